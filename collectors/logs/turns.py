"""Whose turn is it to be read? Deficit round robin over container runs.

Each run in turn may read about one chunk; one that reads less or more carries the difference
over. So a container that writes 50 MB/s gets what the others leave, and no more than its share
of the room that acknowledgements make.
"""

from collections import deque
from collections.abc import Callable, Iterable

from collectors.logs.stream import Stream
from collectors.logs.tail import Tail

Due = Callable[[Tail], bool]
Serve = Callable[[Stream, Tail], int]  # read and send one chunk; bytes taken, 0 for none


class Turns:
    def __init__(self, quantum: int) -> None:
        self._quantum = quantum
        self._queue: deque[Stream] = deque()

    def __bool__(self) -> bool:
        return bool(self._queue)

    def enter(self, stream: Stream) -> None:
        if not stream.queued:
            stream.queued = True
            self._queue.append(stream)

    def go(self, *, budget: int, room: Callable[[], bool], due: Due, serve: Serve) -> None:
        """Turn after turn until nobody is left, there is no room, or `budget` bytes are read. A
        run that is due and yields nothing (it waits for something) leaves until it enters
        again."""
        while self._queue and budget > 0 and room():
            stream = self._queue.popleft()
            stream.deficit += self._quantum
            taken = _turn(stream, stream.tails, room, due, serve)
            budget -= taken
            if taken and any(due(tail) for tail in stream.tails):
                self._queue.append(stream)
            else:
                stream.queued, stream.deficit = False, 0


def _turn(
    stream: Stream, tails: Iterable[Tail], room: Callable[[], bool], due: Due, serve: Serve
) -> int:
    """One run's turn: older generations before newer ones."""
    total = 0
    for tail in list(tails):
        while stream.deficit > 0 and due(tail) and room():
            taken = serve(stream, tail)
            if not taken:
                break
            stream.deficit -= taken
            total += taken
    return total

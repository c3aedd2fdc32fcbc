"""Start, run, stop: the same for every service."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import FrameType

_SLICE_S = 0.5


class Stop:
    """A wish to stop that a loop looks at. SIGTERM and SIGINT set it once `on_signals` is
    active; a second signal is not special: stopping has its own bound.

    A handler runs between any two steps of the very thread that waits, also while that one holds
    the lock of a threading.Event: `Event.set` would then wait for itself, for ever. Putting into a
    SimpleQueue is safe there (docs.python.org/3/library/queue.html, "reentrant").
    """

    def __init__(self) -> None:
        self._asked = False
        self._bell: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        self._asked = True
        self._bell.put(None)

    def is_set(self) -> bool:
        return self._asked

    def wait(self, seconds: float) -> bool:
        """Sleep, but wake when asked to stop. True if so. In slices: a signal that arrives just
        before a wait begins runs its handler only when that wait ends."""
        deadline = time.monotonic() + seconds
        while not self._asked and (left := deadline - time.monotonic()) > 0:
            try:
                self._bell.get(timeout=min(left, _SLICE_S))
            except Empty:
                continue
            self._bell.put(None)  # for whoever else waits
        return self._asked

    @contextmanager
    def on_signals(self) -> Iterator["Stop"]:
        """Handlers for the time of the block; the old ones come back."""

        def handle(_number: int, _frame: FrameType | None) -> None:
            self.set()

        old = {s: signal.signal(s, handle) for s in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield self
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)

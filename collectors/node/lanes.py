"""Carries requests out, each on a short-lived thread of its own: what hangs delays nothing else.

A worker is given a request and returns its answer; it should keep the deadline by itself. If it
does not (a name that resolves for ever, a file system that hangs), `wait` answers for it a little
after the deadline, and until its thread has come back further requests of its lane are answered at
once: a hang costs one thread, not one each round.

State: per lane the thread and the request that it works on; answers that are not yet fetched.
`ask` and `wait` belong to one thread.
"""

import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from collectors.node.ports import Answer, Request
from pipeline.base.clock import Clock
from pipeline.contract import state

Worker = Callable[[Request], Answer]
_GRACE_S = 0.5  # a worker that keeps its deadline is believed


@dataclass(slots=True)
class _Lane:
    thread: threading.Thread
    request: Request
    began: float
    answered: bool = False


class Lanes:
    """`workers` by part."""

    def __init__(self, workers: Mapping[str, Worker], clock: Clock) -> None:
        self._workers = workers
        self._clock = clock
        self._lanes: dict[str, _Lane] = {}
        self._hindered: list[Answer] = []  # to requests that were not started
        self._arrived: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()

    def ask(self, request: Request) -> None:
        """Start it; its answer comes from `wait`."""
        name = f"{request.part}-patient" if request.patient else request.part
        lane, now = self._lanes.get(name), self._clock.monotonic()
        if lane is not None and lane.answered and lane.thread.is_alive():
            hangs = f"what was begun {now - lane.began:.0f} s ago has not come back"
            self._hindered.append(Answer(request, state.TIMEOUT, 0, detail=hangs))
            return
        thread = threading.Thread(
            target=self._work, args=(request,), name=f"node-{name}", daemon=True
        )
        self._lanes[name] = _Lane(thread, request, now)
        thread.start()

    def wake(self) -> None:
        """End a `wait` from another thread."""
        self._arrived.put(None)

    def wait(self, seconds: float) -> list[Answer]:
        """Answers that have arrived, after at most that long; each request's once."""
        now = self._clock.monotonic()
        late = min((self._late(lane) for lane in self._open()), default=now + seconds)
        answers: list[Answer | None] = []
        hindered, self._hindered = self._hindered, []
        if hindered:
            seconds = 0
        try:
            answers.append(self._arrived.get(timeout=max(0.0, min(seconds, late - now))))
            while True:
                answers.append(self._arrived.get_nowait())
        except queue.Empty:
            pass
        first = [a for a in answers if a is not None and self._first(a)]
        return hindered + first + self._overdue()

    def _work(self, request: Request) -> None:
        try:
            answer = self._workers[request.part](request)
        except Exception as error:  # noqa: BLE001 - border of the thread: it must be heard of
            detail = f"{type(error).__name__}: {error}"
            answer = Answer(request, state.UNREADABLE, 0, detail=detail)
        self._arrived.put(answer)

    def _open(self) -> list[_Lane]:
        return [lane for lane in self._lanes.values() if not lane.answered]

    def _late(self, lane: _Lane) -> float:
        return lane.began + lane.request.deadline_s + _GRACE_S

    def _first(self, answer: Answer) -> bool:
        """Not an answer that comes after `wait` has given up on it."""
        for lane in self._lanes.values():
            if lane.request.id == answer.request.id:
                first, lane.answered = not lane.answered, True
                return first
        return False  # its lane has a younger one

    def _overdue(self) -> list[Answer]:
        now, found = self._clock.monotonic(), []
        for lane in self._open():
            if now >= self._late(lane):
                lane.answered = True
                ms = round((now - lane.began) * 1000)
                found.append(Answer(lane.request, state.TIMEOUT, ms, detail="it has not come back"))
        return found

"""What was sent to Kafka and is not acknowledged yet, in order.

State, under one lock: `_pending` is everything unacknowledged by number of `send`; `_waiting` is
the part of it that the client does not have yet. A record leaves `_pending` once, by `settle`.
"""

import itertools
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field

from pipeline.base.errors import KubeledgerError
from pipeline.broker.protocol import Position


@dataclass(slots=True)
class Send:
    """One call of `send`. `number` counts them."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    partition: int | None
    timestamp_ms: int
    size: int
    number: int = -1
    future: "Future[Position]" = field(default_factory=Future)


class Outbox:
    """Thread-safe."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._pending: dict[int, Send] = {}
        self._waiting: deque[Send] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._settled = threading.Condition()
        self._watchers = 0

    def add(self, send: Send) -> int:
        """Queue it; how many bytes wait now."""
        with self._lock:
            send.number = next(self._numbers)
            self._pending[send.number] = send
            self._waiting.append(send)
            self._bytes += send.size
            return self._bytes

    def first(self) -> Send | None:
        """What the client must get next."""
        with self._lock:
            return self._waiting[0] if self._waiting else None

    def handed_over(self, send: Send) -> None:
        with self._lock:
            if self._waiting and self._waiting[0] is send:
                self._waiting.popleft()
                self._bytes -= send.size

    def topics(self) -> set[str]:
        """Of the records that wait."""
        with self._lock:
            return {send.topic for send in self._waiting}

    def start_again(self) -> None:
        """Everything unacknowledged waits again, in its first order."""
        with self._lock:
            self._waiting = deque(self._pending.values())
            self._bytes = sum(send.size for send in self._waiting)

    def take_out(self, topic: str) -> list[Send]:
        """The records of a topic wait no longer; the caller settles them."""
        with self._lock:
            taken = [send for send in self._waiting if send.topic == topic]
            self._waiting = deque(send for send in self._waiting if send.topic != topic)
            self._bytes -= sum(send.size for send in taken)
            return taken

    def last_number(self) -> int:
        return max(list(self._pending), default=-1)

    def settle(self, send: Send, outcome: Position | KubeledgerError) -> None:
        """Its fate is known. Runs the callbacks of the future."""
        if self._pending.pop(send.number, None) is None:
            return
        with suppress(InvalidStateError):
            if isinstance(outcome, Position):
                send.future.set_result(outcome)
            else:
                send.future.set_exception(outcome)
        self.wake_watchers()

    def settle_all(self, outcome: KubeledgerError) -> None:
        for send in list(self._pending.values()):
            self.settle(send, outcome)

    def is_pending(self, send: Send) -> bool:
        return send.number in self._pending

    def is_empty(self) -> bool:
        return not self._pending

    def watch(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until it is so; looked at whenever something was settled."""
        with self._settled:
            self._watchers += 1
            try:
                return self._settled.wait_for(condition, timeout_s)
            finally:
                self._watchers -= 1

    def wake_watchers(self) -> None:
        if self._watchers:  # the usual acknowledgement has none, and takes no lock
            with self._settled:
                self._settled.notify_all()

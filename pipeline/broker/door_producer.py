"""A producer behind the door of an embedded bus, for collectors on other nodes than the bus.

State: what was sent and not acknowledged, by number, in order. One thread connects and writes, one
reads acknowledgements while a connection lasts; after a break everything pending goes again.
"""

import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import closing, suppress
from typing import Any

from pipeline.base.clock import Clock
from pipeline.base.errors import KubeledgerError, Unavailable
from pipeline.broker import door
from pipeline.broker.door_entrance import Entrance
from pipeline.broker.limits import refusal
from pipeline.broker.protocol import Position
from pipeline.broker.trouble import Notice, Trouble
from pipeline.contract.record import Headers

_RETRY_S = (0.5, 5.0)


class DoorProducer:
    """Thread-safe, see protocol.Producer."""

    def __init__(
        self,
        entrance: Entrance,
        *,
        notice: Notice,
        clock: Clock,
    ) -> None:
        self._entrance = entrance
        self._trouble = Trouble(notice)
        self._clock = clock
        self._name = secrets.token_hex(16)
        self._changed = threading.Condition()
        self._pending: dict[int, tuple[Future[Position], bytes]] = {}
        self._next = 1
        self._unsent: list[int] = []
        self._broken = False
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="bus-door", daemon=True)

    def start(self) -> "DoorProducer":
        self._thread.start()
        return self

    def send(
        self,
        topic: str,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> "Future[Position]":
        future: Future[Position] = Future()
        refused = refusal(topic, key, value, headers=headers)
        if refused is not None:
            future.set_exception(refused)
            return future
        stamp = self._clock.wall_ns() // 1_000_000 if timestamp_ms is None else timestamp_ms
        rest = [topic, partition, stamp, key, value, [list(pair) for pair in headers]]
        with self._changed:
            if not self._closing:
                seq, self._next = self._next, self._next + 1
                self._pending[seq] = future, door.pack([seq, *rest])
                self._unsent.append(seq)
                self._changed.notify_all()
                return future
        future.set_exception(Unavailable("the producer is closed"))
        return future

    def flush(self, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._pending, timeout_s)

    def close(self, timeout_s: float) -> None:
        self.flush(timeout_s)
        with self._changed:
            self._closing = True
            left, self._pending, self._unsent = list(self._pending.values()), {}, []
            self._changed.notify_all()
        for future, _ in left:
            _settle(future, Unavailable("closed before this record was acknowledged"))
        self._thread.join(2.0)

    # One connection after the other

    def _run(self) -> None:
        pause = _RETRY_S[0]
        while not self._closing:
            try:
                wire = self._entrance.enter(door.HELLO, self._name)
                pause = _RETRY_S[0]
                with closing(wire):
                    self._work(wire)
            except Unavailable as error:
                self._trouble.tell(str(error))
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, pause)
                pause = min(pause * 2, _RETRY_S[1])

    def _work(self, wire: door.Wire) -> None:
        """Write what is to be sent, until the connection breaks or the producer is closed."""
        with self._changed:
            self._broken = False
            self._unsent = sorted(self._pending)
        listener = threading.Thread(
            target=self._listen, args=(wire,), name="bus-door-acks", daemon=True
        )
        listener.start()
        try:
            while (block := self._due()) is not None:
                wire.sendall(block)
        except OSError as error:
            raise Unavailable(f"the bus went away: {error}") from error
        finally:
            wire.end()
            listener.join(2.0)
        if not self._closing:
            raise Unavailable("the bus closed the connection")

    def _due(self) -> bytes | None:
        """What goes out next; None when this connection is of no use any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._unsent or self._broken or self._closing)
            if self._broken or self._closing:
                return None
            block, size = [], 0
            taken = 0
            for seq in self._unsent:
                taken += 1
                if (entry := self._pending.get(seq)) is not None:
                    block.append(entry[1])
                    size += len(entry[1])
                if size > 1 << 20:
                    break
            del self._unsent[:taken]
        return b"".join(block)

    def _listen(self, wire: door.Wire) -> None:
        """On a thread of its own, for as long as the connection lasts."""
        try:
            for frame in self._answers(wire):
                self._acknowledged(frame)
        except Unavailable as error:
            if not self._closing:
                self._trouble.tell(str(error))
        with self._changed:
            self._broken = True
            self._changed.notify_all()

    def _answers(self, wire: door.Wire) -> Iterator[list[Any]]:
        """Silence is fine while nothing is due."""
        while True:
            try:
                yield from door.frames(wire)
                return
            except Unavailable as error:
                if not isinstance(error.__cause__, TimeoutError) or self._pending:
                    raise

    def _acknowledged(self, frame: list[Any]) -> None:
        with self._changed:
            entry = self._pending.pop(frame[0], None)
            if not self._pending:
                self._changed.notify_all()
        self._trouble.over("the bus takes records again")
        if entry is not None:
            refused = door.REFUSALS.get(frame[1])
            _settle(entry[0], refused(frame[2]) if refused else Position(frame[1], frame[2]))


def _settle(future: "Future[Position]", outcome: Position | KubeledgerError) -> None:
    with suppress(InvalidStateError):
        if isinstance(outcome, KubeledgerError):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

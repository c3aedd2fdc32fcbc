"""The producer of the SQLite bus: sends are queued, a thread writes what has gathered in one
transaction, and so one fsync acknowledges many records (group commit).

State: the queue, in the order of `send`; a batch leaves it only when it is durable. While the
file cannot be written (disk full, locked) the batch stays and is tried again; `notice` hears of
it once, and once more when it goes on. The same thread does retention and compaction.
"""

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress

from pipeline.base.clock import Clock
from pipeline.base.errors import Fatal, KubeledgerError, Unavailable
from pipeline.broker.limits import record_bytes, refusal
from pipeline.broker.protocol import Position
from pipeline.broker.sqlite_append import Appender, Outcome, Send
from pipeline.broker.sqlite_connection import Connection
from pipeline.broker.sqlite_sweep import sweep
from pipeline.broker.trouble import Notice, Trouble
from pipeline.contract.record import Headers

BATCH_BYTES = 8 << 20
BATCH_RECORDS = 2000
_YIELD_S = 0.003  # of the machine's time, between two batches: other processes get the lock
_RETRY_S = 0.5
_SWEEP_S = 15.0
_SWEEP_AGAIN_S = 0.2


class SqliteProducer:
    """Thread-safe. `connect` opens the connection on the producer's own thread."""

    def __init__(self, connect: Callable[[], Connection], *, clock: Clock, notice: Notice) -> None:
        self._connect = connect
        self._clock = clock
        self._trouble = Trouble(notice)
        self._queue: deque[Send] = deque()
        self._changed = threading.Condition()
        self._turn = itertools.count()
        self._closing = False
        self._ended: KubeledgerError | None = None
        self._batch_bytes = BATCH_BYTES
        self._next_sweep = 0.0
        self._thread = threading.Thread(target=self._run, name="bus-producer", daemon=True)

    def start(self) -> "SqliteProducer":
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
        size = record_bytes(key, value, headers)
        with self._changed:
            ended = self._ended or (
                Unavailable("the producer is closed") if self._closing else None
            )
            if ended is None:
                turn = next(self._turn)
                self._queue.append(
                    Send(future, topic, key, value, headers, partition, stamp, turn, size)
                )
                self._changed.notify_all()
        if ended is not None:
            future.set_exception(ended)
        return future

    def flush(self, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue, timeout_s)

    def close(self, timeout_s: float) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        self._end(Unavailable("closed before this record was durable"))
        self._thread.join(1.0)

    def _run(self) -> None:
        try:
            connection = self._open()
        except KubeledgerError as error:
            self._end(error)
            return
        if connection is None:
            return
        try:
            appender = Appender(connection)
            while self._wait_for_work():
                self._work(connection, appender)
        except KubeledgerError as error:
            self._end(error)
        except Exception as error:  # noqa: BLE001 - the thread's border: whoever waits must hear
            self._end(Fatal(f"the bus producer broke down: {type(error).__name__}: {error}"))
        finally:
            connection.close()

    def _open(self) -> Connection | None:
        """None when the producer was closed first."""
        while True:
            try:
                return self._connect()
            except Unavailable as error:
                if not self._pause(error):
                    return None

    def _wait_for_work(self) -> bool:
        """False when there will be none any more."""
        with self._changed:
            now = self._clock.monotonic()
            if not self._queue and not self._closing and now < self._next_sweep:
                self._changed.wait(self._next_sweep - now)
            return bool(self._queue) or not self._closing

    def _work(self, connection: Connection, appender: Appender) -> None:
        batch = self._batch()
        try:
            if batch:
                outcomes = appender.append(batch, self._clock.wall_ns() // 1_000_000)
                self._settle(batch, outcomes)
            self._maintain(connection)
        except Unavailable as error:
            self._pause(error)

    def _batch(self) -> list[Send]:
        """What the next transaction writes; it stays in the queue until it is durable."""
        batch: list[Send] = []
        size = 0
        with self._changed:
            for send in self._queue:
                size += send.size
                if batch and (size > self._batch_bytes or len(batch) == BATCH_RECORDS):
                    break
                batch.append(send)
        return batch

    def _settle(self, batch: list[Send], outcomes: list[Outcome]) -> None:
        self._batch_bytes = BATCH_BYTES
        self._trouble.over("the bus takes records again")
        for send, outcome in zip(batch, outcomes, strict=True):
            with suppress(InvalidStateError):  # given up by `close`
                if isinstance(outcome, KubeledgerError):
                    send.future.set_exception(outcome)
                else:
                    send.future.set_result(outcome)
        with self._changed:
            for _ in batch if self._queue else ():
                self._queue.popleft()
            self._changed.notify_all()
            busy = bool(self._queue)
        if busy:
            time.sleep(_YIELD_S)

    def _maintain(self, connection: Connection) -> None:
        now = self._clock.monotonic()
        if now >= self._next_sweep:
            self._next_sweep = now + _SWEEP_S
            if sweep(connection, self._clock.wall_ns() // 1_000_000):
                self._next_sweep = now + _SWEEP_AGAIN_S

    def _pause(self, error: Unavailable) -> bool:
        """Say it once, wait a little. False when the producer is being closed: then there is
        one last attempt for what is queued, and `close` gives up at its own bound."""
        self._trouble.tell(str(error))
        self._batch_bytes //= 2  # what is left of the disk may do for a part of it
        with self._changed:
            self._changed.wait_for(lambda: self._ended is not None, _RETRY_S)
            return self._ended is None

    def _end(self, error: KubeledgerError) -> None:
        """Nothing is taken any more; what is still pending fails."""
        with self._changed:
            self._ended = self._ended or error
            left, self._queue = list(self._queue), deque()
            self._changed.notify_all()
        for send in left:
            with suppress(InvalidStateError):
                send.future.set_exception(error)

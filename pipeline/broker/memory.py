"""The bus in one process's memory, for tests: every promise of the protocol but durability.

With a ManualClock waiting takes no time, so sessions, retention and compaction are tested in
virtual time. A record is acknowledged inside `send`, on the caller's thread; while the bus is
switched off (`available = False`) sends stay pending and everything else raises Unavailable.
"""

import itertools
import threading
from collections import deque
from concurrent.futures import Future

from pipeline.base.clock import Clock, SystemClock
from pipeline.base.errors import KubeledgerError, Rejected, Unavailable
from pipeline.broker.admin import LocalAdmin
from pipeline.broker.limits import choose_partition, refusal, unknown_topic
from pipeline.broker.member import GroupConsumer
from pipeline.broker.memory_log import MemoryState, MemoryStore
from pipeline.broker.protocol import Position, Record, TopicPartition
from pipeline.broker.reader import LogReader
from pipeline.contract.record import Headers

Send = tuple["Future[Position]", Record, int | None]  # partition asked for


class MemoryBroker:
    """All clients of one object see the same topics and groups."""

    def __init__(self, *, clock: Clock | None = None, session_timeout_s: float = 10.0) -> None:
        self._state = MemoryState(clock or SystemClock())
        self._session_s = session_timeout_s
        self._names = itertools.count(1)
        self._producers: list[MemoryProducer] = []

    @property
    def available(self) -> bool:
        return self._state.available

    @available.setter
    def available(self, on: bool) -> None:
        self._state.available = on
        if on:
            for producer in self._producers:
                producer.drain()

    def maintain(self, compaction_lag_s: float = 0.0) -> None:
        """Retention and compaction, now."""
        self._state.maintain(int(compaction_lag_s * 1000))

    def producer(self) -> "MemoryProducer":
        producer = MemoryProducer(self._state)
        self._producers.append(producer)
        return producer

    def consumer(self, group: str) -> GroupConsumer:
        return GroupConsumer(
            MemoryStore(self._state),
            group,
            name=f"member-{next(self._names)}",
            clock=self._state.clock,
            session_timeout_s=self._session_s,
        )

    def reader(self) -> LogReader:
        return LogReader(MemoryStore(self._state), self._state.clock)

    def admin(self) -> LocalAdmin:
        return LocalAdmin(MemoryStore(self._state))

    def close(self) -> None:
        """Nothing is held."""


class MemoryProducer:
    """Thread-safe. Pending only while the bus is switched off."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state
        self._waiting: deque[Send] = deque()
        self._turn = itertools.count()
        self._drained = threading.Condition()
        self._closed = False

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
        if self._closed or refused is not None:
            future.set_exception(refused or Unavailable("the producer is closed"))
            return future
        stamp = self._state.clock.wall_ns() // 1_000_000 if timestamp_ms is None else timestamp_ms
        record = Record(topic, -1, -1, stamp, key, value, tuple(headers))
        with self._drained:
            self._waiting.append((future, record, partition))
        self.drain()
        return future

    def drain(self) -> None:
        """Write what waits, in order, if the bus is on."""
        with self._drained:
            while self._waiting and self._state.available:
                future, record, partition = self._waiting.popleft()
                try:
                    position = self._write(record, partition)
                except KubeledgerError as error:
                    future.set_exception(error)
                else:
                    future.set_result(position)
            self._drained.notify_all()

    def flush(self, timeout_s: float) -> bool:
        with self._drained:
            return self._drained.wait_for(lambda: not self._waiting, timeout_s)

    def close(self, timeout_s: float) -> None:
        self.flush(timeout_s)
        self._closed = True
        while self._waiting:
            future, record, _ = self._waiting.popleft()
            future.set_exception(Unavailable(f"closed before a record for {record.topic} was sent"))

    def _write(self, record: Record, wanted: int | None) -> Position:
        with self._state.changed:
            spec = self._state.specs.get(record.topic)
            if spec is None:
                raise unknown_topic(record.topic)
            if spec.compacted and record.key is None:
                raise Rejected(f"topic {record.topic} is compacted: its records need a key")
            partition = choose_partition(
                record.topic,
                record.key,
                wanted,
                partitions=spec.partitions,
                turn=next(self._turn),
            )
            log = self._state.log(TopicPartition(record.topic, partition))
            log.append(record._replace(partition=partition, offset=log.end))
            self._state.changed.notify_all()
            return Position(partition, log.end - 1)

"""The reader of the memory and SQLite backends: partitions outside any group."""

from collections.abc import Iterable

from pipeline.base.clock import Clock
from pipeline.base.errors import UsageError
from pipeline.broker.cursors import Cursors
from pipeline.broker.port import LogStore
from pipeline.broker.protocol import Record, TopicPartition


class LogReader:
    """One thread."""

    def __init__(self, store: LogStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._cursors = Cursors(store, lambda tp: store.bounds(tp)[0])

    def assign(self, tps: Iterable[TopicPartition]) -> None:
        wanted = list(tps)
        for tp in wanted:
            self._store.bounds(tp)  # Fatal for a partition that does not exist
        self._cursors.assign(wanted)

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._must_read(tp)
        self._cursors.seek(tp, offset)

    def poll(self, timeout_s: float) -> list[Record]:
        deadline = self._clock.monotonic() + timeout_s
        while True:
            records = self._cursors.fetch()
            left = deadline - self._clock.monotonic()
            if records or left <= 0:
                return records
            self._store.wait(left)

    def position(self, tp: TopicPartition) -> int:
        self._must_read(tp)
        return self._cursors.position(tp)

    def beginning_offset(self, tp: TopicPartition) -> int:
        return self._store.bounds(tp)[0]

    def end_offset(self, tp: TopicPartition) -> int:
        return self._store.bounds(tp)[1]

    def offset_for_time(self, tp: TopicPartition, timestamp_ms: int) -> int | None:
        return self._store.time_offset(tp, timestamp_ms)

    def close(self) -> None:
        self._store.close()

    def _must_read(self, tp: TopicPartition) -> None:
        if tp not in self._cursors.assigned():
            raise UsageError(f"{tp.topic}:{tp.partition} is not assigned to this reader")

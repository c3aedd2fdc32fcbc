"""The state of a memory bus: topics, partitions, groups. Shared by all clients of one
`MemoryBroker`, guarded by one condition that is notified at every write.
"""

import bisect
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pipeline.base.clock import Clock, ManualClock
from pipeline.base.errors import Unavailable
from pipeline.broker.group import Group, dump, parse
from pipeline.broker.limits import unknown_topic
from pipeline.broker.port import Page
from pipeline.broker.protocol import Commit, Record, TopicPartition
from pipeline.contract.topics import TopicSpec

HOUR_MS = 3_600_000


class PartitionLog:
    """Records in offset order. After compaction offsets have holes; `end` never goes back."""

    def __init__(self) -> None:
        self.start = 0
        self.end = 0
        self.records: list[Record] = []

    def append(self, record: Record) -> None:
        self.records.append(record)
        self.end = record.offset + 1

    def from_offset(self, offset: int) -> int:
        """Index of the first record at or after that offset."""
        return bisect.bisect_left(self.records, offset, key=lambda record: record.offset)

    def expire(self, before_ms: int) -> None:
        """Remove the oldest records, up to the first that is young enough."""
        keep = 0
        while keep < len(self.records) and self.records[keep].timestamp_ms < before_ms:
            keep += 1
        if keep:
            self.start = self.records[keep].offset if keep < len(self.records) else self.end
            del self.records[:keep]

    def compact(self, before_ms: int) -> None:
        """Of the records older than that, keep the last of each key; drop old tombstones."""
        last = {record.key: record.offset for record in self.records}
        self.records = [
            record
            for record in self.records
            if record.timestamp_ms >= before_ms
            or (last[record.key] == record.offset and record.value is not None)
        ]


class MemoryState:
    """Everything that the clients share. Hold `changed` to touch it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.changed = threading.Condition(threading.RLock())
        self.specs: dict[str, TopicSpec] = {}
        self.logs: dict[TopicPartition, PartitionLog] = {}
        self.groups: dict[str, Group] = {}
        self.commits: dict[tuple[str, TopicPartition], Commit] = {}
        self.available = True

    def log(self, tp: TopicPartition) -> PartitionLog:
        log = self.logs.get(tp)
        if log is None:
            raise unknown_topic(tp.topic)
        return log

    def maintain(self, compaction_lag_ms: int) -> None:
        """Retention and compaction of everything."""
        now_ms = self.clock.wall_ns() // 1_000_000
        with self.changed:
            for tp, log in self.logs.items():
                spec = self.specs[tp.topic]
                if spec.retention_hours:
                    log.expire(now_ms - spec.retention_hours * HOUR_MS)
                if spec.compacted:
                    log.compact(now_ms - compaction_lag_ms)


class MemoryStore:
    """One client's way to the state: the `LogStore` of memory."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def specs(self) -> Mapping[str, TopicSpec]:
        with self._reach():
            return dict(self._state.specs)

    def create(self, spec: TopicSpec) -> None:
        with self._reach():
            self._state.specs[spec.name] = spec
            for partition in range(spec.partitions):
                self._state.logs[TopicPartition(spec.name, partition)] = PartitionLog()

    def bounds(self, tp: TopicPartition) -> tuple[int, int]:
        with self._reach():
            log = self._state.log(tp)
            return log.start, log.end

    def read(self, tp: TopicPartition, offset: int, *, records: int, size: int) -> Page:
        with self._reach():
            log = self._state.log(tp)
            if not log.start <= offset <= log.end:
                offset = log.start
            found: list[Record] = []
            for record in log.records[log.from_offset(offset) :]:
                if len(found) == records or size <= 0:
                    return Page(found, found[-1].offset + 1)
                found.append(record)
                size -= len(record.value or b"")
            return Page(found, log.end)

    def time_offset(self, tp: TopicPartition, timestamp_ms: int) -> int | None:
        with self._reach():
            for record in self._state.log(tp).records:
                if record.timestamp_ms >= timestamp_ms:
                    return record.offset
            return None

    def peek(self, group: str) -> Group:
        with self._reach():
            return _copy(self._state.groups.get(group, Group()))

    @contextmanager
    def change(self, group: str) -> Iterator[Group]:
        with self._reach():
            before = self._state.groups.get(group, Group())
            commits = dict(self._state.commits)
            changed = _copy(before)
            try:
                yield changed
            except BaseException:
                self._state.commits = commits
                raise
            self._state.groups[group] = changed
            if changed.generation != before.generation:
                self._state.changed.notify_all()

    def gone(self, process: str) -> bool:
        return False

    def process(self) -> str:
        return ""

    def commit(self, group: str, commits: Mapping[TopicPartition, Commit]) -> None:
        with self._reach():
            for tp, commit in commits.items():
                self._state.log(tp)
                self._state.commits[group, tp] = commit

    def committed(self, group: str, tp: TopicPartition) -> Commit | None:
        with self._reach():
            return self._state.commits.get((group, tp))

    def wait(self, seconds: float) -> None:
        if isinstance(self._state.clock, ManualClock):
            self._state.clock.sleep(seconds)  # virtual time: waiting takes none
            return
        with self._state.changed:
            self._state.changed.wait(seconds)

    def close(self) -> None:
        """Nothing is held."""

    @contextmanager
    def _reach(self) -> Iterator[None]:
        with self._state.changed:
            if not self._state.available:
                raise Unavailable("the memory bus is switched off; switch it on again")
            yield


def _copy(group: Group) -> Group:
    return parse(dump(group))

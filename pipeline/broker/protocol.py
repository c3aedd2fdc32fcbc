"""The bus, as the rest of the code sees it. `tests/contracts/test_broker.py` holds every backend
to this text: Apache Kafka (kafka.py), SQLite (sqlite.py) and memory (memory.py).

Errors are those of pipeline.base.errors: Unavailable (try again), Fenced (partition lost),
Rejected (this record will never be taken, for example too large), UsageError (configuration).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import NamedTuple, Protocol

from pipeline.contract.record import Headers
from pipeline.contract.topics import TopicSpec


class TopicPartition(NamedTuple):
    topic: str
    partition: int


class Record(NamedTuple):
    """One record. `value` None is a tombstone. `timestamp_ms` is the producer's, Unix ms."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Position(NamedTuple):
    """Where an acknowledged record is."""

    partition: int
    offset: int


class Commit(NamedTuple):
    """A group's committed position: next offset to read, and up to 4,096 characters of text."""

    offset: int
    metadata: str = ""


class Producer(Protocol):
    """Thread-safe. Order is kept per partition, also across internal retries, and a record is
    written once per `send` as long as this producer lives (idempotence)."""

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
        """Queue a record and return at once. The future resolves when the record is durable
        (Kafka: acks=all; SQLite: synced), or fails with Rejected. While the broker is away it
        stays pending: bounding what is in flight is the caller's business. Callbacks run on the
        producer's thread and must be short. Without `partition`, `partition_for(key)` rules."""

    def flush(self, timeout_s: float) -> bool:
        """Wait until nothing is pending; False if the time was over first."""

    def close(self, timeout_s: float) -> None:
        """Flush for at most that long, then give up what is left (its futures fail with
        Unavailable)."""


Partitions = frozenset[TopicPartition]


class Consumer(Protocol):
    """A member of a consumer group. One thread. The group's partitions are spread evenly over
    its live members; a member that does not poll or dies loses its own after the session
    timeout."""

    def subscribe(
        self,
        topics: Sequence[str],
        *,
        on_assigned: Callable[[Partitions], None],
        on_revoked: Callable[[Partitions], None],
    ) -> None:
        """Join the group. The callbacks run inside `poll` (and `close`): assigned = now ours,
        start from `committed`; revoked = no longer ours, commits for them raise Fenced."""

    def poll(self, timeout_s: float) -> list[Record]:
        """Next records of the assigned, not paused partitions, in order per partition; empty
        after the timeout. Reading starts where `seek` says, else at the committed offset, else
        at the beginning. An offset that retention has removed continues at the oldest one."""

    def seek(self, tp: TopicPartition, offset: int) -> None: ...

    def pause(self, tps: Iterable[TopicPartition]) -> None: ...

    def resume(self, tps: Iterable[TopicPartition]) -> None: ...

    def assignment(self) -> Partitions: ...

    def committed(self, tp: TopicPartition) -> Commit | None:
        """Last commit of the group, from the broker, not from a cache."""

    def commit(self, commits: Mapping[TopicPartition, Commit]) -> None:
        """All or nothing, durable on return. Raises Fenced when any partition is not ours in
        the current generation, or while a rebalance is under way."""

    def close(self) -> None:
        """Leave the group, so that others take over at once. Commits nothing."""


class Reader(Protocol):
    """Reads partitions outside any group. One thread."""

    def assign(self, tps: Iterable[TopicPartition]) -> None:
        """Read these, each from the beginning unless `seek` says otherwise. Partitions that
        were already assigned keep their position."""

    def seek(self, tp: TopicPartition, offset: int) -> None: ...

    def poll(self, timeout_s: float) -> list[Record]: ...

    def position(self, tp: TopicPartition) -> int:
        """Offset of the next record that `poll` would give."""

    def beginning_offset(self, tp: TopicPartition) -> int: ...

    def end_offset(self, tp: TopicPartition) -> int:
        """Offset that the next record will get."""

    def offset_for_time(self, tp: TopicPartition, timestamp_ms: int) -> int | None:
        """First offset whose timestamp is at or after that time; None if there is none."""

    def close(self) -> None: ...


class Admin(Protocol):
    def ensure(self, specs: Sequence[TopicSpec], *, create: bool) -> list[str]:
        """Create what is missing (if `create`) and check what is there: partitions, retention,
        cleanup policy, max message size. Returns a line per topic saying what was found or done.
        Raises Fatal naming every difference and the command that would mend it; never changes an
        existing topic by itself."""

    def partitions(self, topic: str) -> int:
        """Number of partitions; Fatal (saying `kubeledger migrate`) if the topic is missing."""

    def group_lag(self, group: str, topic: str) -> Mapping[int, int]:
        """Per partition: end offset minus the group's committed offset."""

    def close(self) -> None: ...


class Broker(Protocol):
    """A way in. Each call gives a new, independent client; the caller closes it."""

    def producer(self) -> Producer: ...

    def consumer(self, group: str) -> Consumer: ...

    def reader(self) -> Reader: ...

    def admin(self) -> Admin: ...

    def close(self) -> None: ...

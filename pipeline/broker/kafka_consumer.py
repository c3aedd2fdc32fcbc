"""The group member on Apache Kafka: classic protocol, eager rebalance, commits by hand.

kafka-python runs rebalance listeners on its network thread, where nothing may be asked of the
consumer. So the listener only notes what happened, and `poll` tells our caller on the caller's
thread before it returns. Records that the client had fetched for partitions that were only now
announced are put back, so that a `seek` in `on_assigned` rules.

State: `_mine` is what was announced and not revoked; `_news` is what the listener noted.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import kafka
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.structs import OffsetAndMetadata

from pipeline.base.clock import Clock
from pipeline.base.errors import Fenced, UsageError
from pipeline.broker.kafka_options import Options, foreign_errors
from pipeline.broker.limits import POLL_BYTES, POLL_RECORDS, check_metadata, unknown_topic
from pipeline.broker.protocol import Commit, Partitions, Record, TopicPartition

Change = Callable[[Partitions], None]

FETCH_OPTIONS: Options = {
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "fetch_max_bytes": POLL_BYTES // 2,  # per broker; the next fetch is under way while we work
    "max_partition_fetch_bytes": 1 << 20,
    "max_poll_records": POLL_RECORDS,
}
_COMMIT_TIMEOUT_MS = 30_000


def group_options(group: str, session_timeout_s: float) -> Options:
    return FETCH_OPTIONS | {
        "group_id": group,
        "session_timeout_ms": int(session_timeout_s * 1000),
        "heartbeat_interval_ms": int(session_timeout_s * 1000 / 3),
        "partition_assignment_strategy": (RoundRobinPartitionAssignor,),
    }


class _Listener(kafka.ConsumerRebalanceListener):  # type: ignore[misc]
    """Runs on the network thread: appending to a deque is all it may do."""

    def __init__(self, news: "deque[tuple[bool, Partitions]]") -> None:
        self._news = news

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        self._news.append((False, ours(revoked)))

    def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        self._news.append((False, ours(lost)))

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        self._news.append((True, ours(assigned)))


class KafkaBusConsumer:
    """One thread. `client` is a connected KafkaConsumer."""

    def __init__(self, client: Any, group: str, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._group = group
        self._news: deque[tuple[bool, Partitions]] = deque()
        self._mine: Partitions = frozenset()
        self._on_assigned: Change | None = None
        self._on_revoked: Change | None = None

    def subscribe(self, topics: Sequence[str], *, on_assigned: Change, on_revoked: Change) -> None:
        self._on_assigned, self._on_revoked = on_assigned, on_revoked
        with foreign_errors(f"subscribing group {self._group}"):
            there = self._client.topics()
            for topic in topics:
                if topic not in there:
                    raise unknown_topic(topic)
            self._client.subscribe(topics=list(topics), listener=_Listener(self._news))

    def poll(self, timeout_s: float) -> list[Record]:
        if self._on_assigned is None:
            raise UsageError("poll needs a subscription: call `subscribe` first")
        deadline = self._clock.monotonic() + timeout_s
        left = timeout_s
        while True:
            with foreign_errors(f"polling group {self._group}"):
                self._go_on_joining()
                fetched = self._client.poll(timeout_ms=int(max(left, 0) * 1000))
            fresh = self._announce(fetched)
            records = []
            for found, batch in fetched.items():
                tp = TopicPartition(found.topic, found.partition)
                if tp in self._mine and tp not in fresh:
                    records += [record(r) for r in batch]
            left = deadline - self._clock.monotonic()
            if records or left <= 0:
                return records

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._must_hold([tp])
        with foreign_errors(f"seeking in {tp.topic}:{tp.partition}"):
            try:
                self._client.seek(theirs(tp), offset)
            except (ValueError, KeyError) as error:  # taken away this very moment
                raise self._not_ours([tp]) from error

    def pause(self, tps: Iterable[TopicPartition]) -> None:
        self._change(self._client.pause, tps)

    def resume(self, tps: Iterable[TopicPartition]) -> None:
        self._change(self._client.resume, tps)

    def assignment(self) -> Partitions:
        return self._mine

    def committed(self, tp: TopicPartition) -> Commit | None:
        with foreign_errors(f"asking for the position of group {self._group}"):
            found = self._client.committed(theirs(tp), metadata=True, timeout_ms=_COMMIT_TIMEOUT_MS)
        return None if found is None else Commit(found.offset, found.metadata or "")

    def commit(self, commits: Mapping[TopicPartition, Commit]) -> None:
        for commit in commits.values():
            check_metadata(commit.metadata)
        self._must_hold(commits)
        offsets = {
            theirs(tp): OffsetAndMetadata(commit.offset, commit.metadata, -1)
            for tp, commit in commits.items()
        }
        with foreign_errors(f"committing for group {self._group}"):
            self._client.commit(offsets, timeout_ms=_COMMIT_TIMEOUT_MS)

    def close(self) -> None:
        mine, self._mine = self._mine, frozenset()
        try:
            if mine and self._on_revoked is not None:
                self._on_revoked(mine)
        finally:
            with foreign_errors(f"leaving group {self._group}"):
                self._client.close(autocommit=False, timeout_ms=5000)

    def _go_on_joining(self) -> None:
        """The library joins anew when a topic has other partitions than it knew. If the answer
        comes between two polls, it takes itself for joined and never looks at the answer: no
        partition, no heartbeat, for ever. So a join is wanted until it is over."""
        coordinator = self._client._coordinator
        if coordinator.rejoining:
            coordinator.request_rejoin()

    def _announce(self, fetched: Mapping[Any, Sequence[Any]]) -> Partitions:
        """Tell the caller what the listener noted; which partitions are fresh."""
        fresh: Partitions = frozenset()
        while self._news:
            assigned, tps = self._news.popleft()
            if not assigned:
                self._revoke()
                fresh = frozenset()
                continue
            self._revoke()
            fresh = self._mine = tps
            self._put_back(fetched, tps)
            self._change(self._client.resume, tps)  # a pause may have come in between
            if tps and self._on_assigned is not None:
                self._on_assigned(tps)
        return fresh

    def _revoke(self) -> None:
        mine, self._mine = self._mine, frozenset()
        if mine and self._on_revoked is not None:
            self._on_revoked(mine)

    def _put_back(self, fetched: Mapping[Any, Sequence[Any]], tps: Partitions) -> None:
        for partition, batch in fetched.items():
            if ours([partition]) <= tps:
                with foreign_errors(f"rewinding {partition}"):
                    self._client.seek(partition, batch[0].offset)

    def _change(self, how: Callable[[Any], None], tps: Iterable[TopicPartition]) -> None:
        """Pause or resume. The client's thread may have given partitions away, or got them anew,
        and we have not announced it yet: the first are passed over, the second are put right
        when they are announced."""
        for tp in self._mine.intersection(tps):
            with suppress(KeyError):
                how(theirs(tp))

    def _must_hold(self, tps: Iterable[TopicPartition]) -> None:
        if self._news or not self._mine.issuperset(tps):
            raise self._not_ours(tps)

    def _not_ours(self, tps: Iterable[TopicPartition]) -> Fenced:
        names = ", ".join(f"{tp.topic}:{tp.partition}" for tp in sorted(tps))
        return Fenced(f"group {self._group}: {names} is not ours now; poll again")


def ours(tps: Iterable[Any]) -> Partitions:
    return frozenset(TopicPartition(tp.topic, tp.partition) for tp in tps)


def theirs(tp: TopicPartition) -> Any:
    return kafka.TopicPartition(tp.topic, tp.partition)


def record(found: Any) -> Record:
    """A ConsumerRecord as ours."""
    return Record(
        found.topic,
        found.partition,
        found.offset,
        found.timestamp,
        found.key,
        found.value,
        tuple((name, content) for name, content in found.headers),
    )

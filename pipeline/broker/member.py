"""The consumer of the memory and SQLite backends: a member of a group over a `LogStore`.

Rebalancing is eager, as in Apache Kafka's classic protocol: at every change of membership a
member gives back everything it holds (`on_revoked`) and takes its share anew (`on_assigned`),
so after Fenced the next `poll` always brings a fresh assignment. Callbacks never get an empty set.

State: `_mine` is what was told to `on_assigned` and not yet to `on_revoked`; `_generation` is the
group's generation in which it was taken. The truth is in the store; this is what we know of it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from pipeline.base.clock import Clock
from pipeline.base.errors import Fenced, UsageError
from pipeline.broker.cursors import Cursors
from pipeline.broker.limits import check_metadata, unknown_topic
from pipeline.broker.port import LogStore
from pipeline.broker.protocol import Commit, Partitions, Record, TopicPartition

Change = Callable[[Partitions], None]


class GroupConsumer:
    """One thread. `name` is unique among the members of the group."""

    def __init__(
        self, store: LogStore, group: str, *, name: str, clock: Clock, session_timeout_s: float
    ) -> None:
        self._store = store
        self._group = group
        self._name = name
        self._clock = clock
        self._session_s = session_timeout_s
        self._cursors = Cursors(store, self._start)
        self._topics: dict[str, int] = {}
        self._on_assigned: Change = _ignore
        self._on_revoked: Change = _ignore
        self._mine: Partitions = frozenset()
        self._generation = -1
        self._next_beat = 0.0
        self._closed = False

    def subscribe(self, topics: Sequence[str], *, on_assigned: Change, on_revoked: Change) -> None:
        specs = self._store.specs()
        for topic in topics:
            if topic not in specs:
                raise unknown_topic(topic)
        self._topics = {topic: specs[topic].partitions for topic in topics}
        self._on_assigned, self._on_revoked = on_assigned, on_revoked

    def poll(self, timeout_s: float) -> list[Record]:
        if not self._topics:
            raise UsageError("poll needs a subscription: call `subscribe` first")
        deadline = self._clock.monotonic() + timeout_s
        while True:
            self._keep_membership()
            records = self._cursors.fetch()
            left = deadline - self._clock.monotonic()
            if records or left <= 0:
                return records
            self._store.wait(min(left, max(self._next_beat - self._clock.monotonic(), 0.001)))

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._must_hold([tp])
        self._cursors.seek(tp, offset)

    def pause(self, tps: Iterable[TopicPartition]) -> None:
        self._cursors.pause(tps)

    def resume(self, tps: Iterable[TopicPartition]) -> None:
        self._cursors.resume(tps)

    def assignment(self) -> Partitions:
        return self._mine

    def committed(self, tp: TopicPartition) -> Commit | None:
        return self._store.committed(self._group, tp)

    def commit(self, commits: Mapping[TopicPartition, Commit]) -> None:
        for commit in commits.values():
            check_metadata(commit.metadata)
        with self._store.change(self._group) as group:
            group.expire(self._clock.monotonic(), self._store.gone)
            if not group.owns(self._name, commits):
                raise self._fenced(commits)
            self._store.commit(self._group, commits)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            self._give_back()
            if self._topics:
                with self._store.change(self._group) as group:
                    group.leave(self._name)
        finally:
            self._store.close()

    def _start(self, tp: TopicPartition) -> int:
        commit = self._store.committed(self._group, tp)
        return self._store.bounds(tp)[0] if commit is None else commit.offset

    def _keep_membership(self) -> None:
        """Say that we live, remove who does not, and follow the group's generation."""
        now = self._clock.monotonic()
        if now >= self._next_beat:
            self._next_beat = now + self._session_s / 3
            with self._store.change(self._group) as group:
                group.expire(now, self._store.gone)
                group.beat(self._name, now + self._session_s)
        group = self._store.peek(self._group)
        if self._name not in group.members or group.generation != self._generation:
            self._give_back()
            self._take(now)

    def _give_back(self) -> None:
        mine, self._mine, self._generation = self._mine, frozenset(), -1
        self._cursors.clear()
        if mine:
            self._on_revoked(mine)

    def _take(self, now: float) -> None:
        with self._store.change(self._group) as group:
            if self._name not in group.members:
                group.join(
                    self._name,
                    self._topics,
                    deadline=now + self._session_s,
                    process=self._store.process(),
                )
            share = group.settle(self._name, self._counts(group.members))
            generation = group.generation
        if share is None:
            return  # somebody still works on a part of it; the next round asks again
        self._mine, self._generation = share, generation
        self._cursors.assign(share)
        if share:
            self._on_assigned(share)

    def _counts(self, members: Mapping[str, object]) -> Mapping[str, int]:
        """Partitions of all topics, so that members with other subscriptions are counted."""
        return {name: spec.partitions for name, spec in self._store.specs().items()}

    def _must_hold(self, tps: Iterable[TopicPartition]) -> None:
        if not self._mine.issuperset(tps):
            raise self._fenced(tps)

    def _fenced(self, tps: Iterable[TopicPartition]) -> Fenced:
        names = ", ".join(f"{tp.topic}:{tp.partition}" for tp in sorted(tps))
        return Fenced(
            f"group {self._group}: {names} is not ours in the current generation; "
            "drop its state and poll again"
        )


def _ignore(_partitions: Partitions) -> None:
    """Before `subscribe` nobody listens."""

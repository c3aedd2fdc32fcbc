"""A large group on the embedded bus, in virtual time: 64 partitions, 16 processors.

Each round every member that lives polls and commits what it got; a round takes `STEP_S`. Load is
even, nobody starves, and whoever leaves, dies or comes is replaced within a bounded time. (What
members do with records, and that each is stored once: tests/models.)
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest

from pipeline.base.clock import ManualClock
from pipeline.base.errors import Fenced
from pipeline.broker.memory import MemoryBroker
from pipeline.broker.protocol import Commit, Partitions, TopicPartition
from pipeline.broker.sqlite import SqliteBroker
from pipeline.contract.topics import TopicSpec, partition_for

PARTITIONS, MEMBERS = 64, 16
SESSION_S, STEP_S = 10.0, 0.5
TPS = [TopicPartition("logs", n) for n in range(PARTITIONS)]
REBALANCE_S = 2 * STEP_S  # everybody gives back in one round and takes in the next


class Processor:
    """A member that takes what comes and commits it."""

    def __init__(self, group: "Group") -> None:
        self._group = group
        self.consumer = group.broker.consumer("g")
        self.next: dict[TopicPartition, int] = {}
        self.taken = 0
        self.consumer.subscribe(["logs"], on_assigned=self._assigned, on_revoked=self._revoked)

    def _assigned(self, tps: Partitions) -> None:
        self.next = {tp: (self.consumer.committed(tp) or Commit(0)).offset for tp in tps}

    def _revoked(self, tps: Partitions) -> None:
        self.next = {}

    def work(self) -> None:
        for record in self.consumer.poll(0):
            tp = TopicPartition(record.topic, record.partition)
            assert record.offset == self.next[tp]
            self.next[tp] += 1
        try:
            self.consumer.commit({tp: Commit(offset) for tp, offset in self.next.items()})
        except Fenced:
            return
        for tp, offset in self.next.items():
            self.taken += offset - self._group.done[tp]
            self._group.done[tp] = offset
            self._group.moved[tp] = self._group.clock.monotonic()


class Group:
    """The bus, its members, and when each partition moved last."""

    def __init__(self, broker: Any, clock: ManualClock) -> None:
        self.broker, self.clock = broker, clock
        broker.admin().ensure([TopicSpec("logs", PARTITIONS, 0, compacted=False)], create=True)
        self.producer = broker.producer()
        self.done = dict.fromkeys(TPS, 0)
        self.moved = dict.fromkeys(TPS, clock.monotonic())
        self.sent = 0
        self.longest_wait = 0.0
        self.members = [Processor(self) for _ in range(MEMBERS)]

    def round(self) -> None:
        """A record for every partition, then everybody's turn."""
        futures = [
            self.producer.send("logs", key=b"k", value=b"x", partition=tp.partition) for tp in TPS
        ]
        for future in futures:
            future.result(60)
        self.sent += 1
        self.clock.advance(STEP_S)
        for member in self.members:
            member.work()
        now = self.clock.monotonic()
        self.longest_wait = max(self.longest_wait, *(now - at for at in self.moved.values()))

    def settled(self) -> bool:
        held = Counter(tp for member in self.members for tp in member.next)
        even = max(self.shares()) - min(self.shares()) <= 1
        return even and len(held) == PARTITIONS and set(held.values()) == {1}

    def settle(self, limit_s: float) -> float:
        """Rounds until every partition has one owner that lives, and all have their share; the
        time that took."""
        start = self.clock.monotonic()
        while not self.settled():
            assert self.clock.monotonic() - start <= limit_s, "this rebalance takes too long"
            self.round()
        return self.clock.monotonic() - start

    def shares(self) -> list[int]:
        return sorted(len(member.next) for member in self.members)


@pytest.fixture(params=["memory", "sqlite"])
def group(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Group]:
    clock = ManualClock()
    broker: Any = MemoryBroker(clock=clock, session_timeout_s=SESSION_S)
    if request.param == "sqlite":
        broker = SqliteBroker(
            tmp_path / "bus.db", clock=clock, session_timeout_s=SESSION_S, heartbeats=False
        )
    made = Group(broker, clock)
    yield made
    for member in made.members:
        member.consumer.close()
    made.producer.close(5)
    broker.close()


def test_load_is_even_and_nobody_starves(group: Group) -> None:
    group.settle(REBALANCE_S)
    assert group.shares() == [4] * MEMBERS
    for member in group.members:
        member.taken = 0
    before, group.longest_wait = group.sent, 0.0
    for _ in range(20):
        group.round()
    assert {member.taken for member in group.members} == {4 * (group.sent - before)}
    assert set(group.done.values()) == {group.sent}
    assert group.longest_wait <= STEP_S


def test_killed_processors_are_replaced_within_a_session(group: Group) -> None:
    """Five die without a word, five others come later: between, eleven carry the load."""
    group.settle(REBALANCE_S)
    dead, group.members = group.members[:5], group.members[5:]
    took = group.settle(SESSION_S + SESSION_S / 3 + REBALANCE_S)
    assert took >= SESSION_S / 2  # they were not given up before their session was over
    assert group.shares() == [5] * 2 + [6] * 9
    group.members += [Processor(group) for _ in range(5)]
    group.round()
    group.settle(REBALANCE_S)
    assert group.shares() == [4] * MEMBERS
    for _ in range(3):
        group.round()
    assert set(group.done.values()) == {group.sent}  # what had waited is done as well
    for member in dead:  # back from the dead: they hold nothing, and do no harm
        with pytest.raises(Fenced):
            member.consumer.commit({tp: Commit(0) for tp in TPS[:1]})


def test_a_rolling_restart_stops_no_partition_for_long(group: Group) -> None:
    """Each of the sixteen leaves and another comes, as a deployment rolls out."""
    group.settle(REBALANCE_S)
    group.longest_wait = 0.0
    for _ in range(MEMBERS):
        group.members.pop(0).consumer.close()
        group.settle(REBALANCE_S)
        group.members.append(Processor(group))
        group.round()
        group.settle(REBALANCE_S)
    assert group.shares() == [4] * MEMBERS
    assert group.longest_wait <= 2 * REBALANCE_S + STEP_S
    group.round()
    assert set(group.done.values()) == {group.sent}


@pytest.mark.parametrize("partitions", [64, 256])
def test_pods_spread_evenly(partitions: int) -> None:
    """150,000 pods, as on 5,000 nodes, differ by what chance explains and no more."""
    random = Random(7)
    keys = (str(UUID(int=random.getrandbits(128), version=4)).encode() for _ in range(150_000))
    counts = Counter(partition_for(key, partitions) for key in keys)
    assert len(counts) == partitions
    mean = 150_000 / partitions
    assert all(abs(count - mean) < 5 * mean**0.5 for count in counts.values())

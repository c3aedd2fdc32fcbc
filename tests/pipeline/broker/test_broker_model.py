"""Memory and SQLite against a toy model: members come, go, hang and commit in any order.

The model knows the log, the last commits, and who was told last that a partition is his. Whoever
commits successfully must be that one; what is read must be what was written, from the commit on.
"""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pipeline.base.clock import ManualClock
from pipeline.base.errors import Fenced
from pipeline.broker.memory import MemoryBroker
from pipeline.broker.protocol import Commit, Partitions, TopicPartition
from pipeline.broker.sqlite import SqliteBroker
from pipeline.contract.topics import TopicSpec

PARTITIONS = 3
TPS = [TopicPartition("t", n) for n in range(PARTITIONS)]
SESSION_S = 10.0
numbers = st.integers(0, 9)


class Member:
    """A real consumer and what the model knows of it."""

    def __init__(self, model: "BrokerModel") -> None:
        self.consumer = model.broker.consumer("g")
        self.positions: dict[TopicPartition, int] = {}
        self.model = model
        self.consumer.subscribe(["t"], on_assigned=self.assigned, on_revoked=self.revoked)

    def assigned(self, tps: Partitions) -> None:
        assert not self.positions
        for tp in tps:
            self.model.owner[tp] = self
            self.positions[tp] = self.model.commits.get(tp, Commit(0)).offset

    def revoked(self, tps: Partitions) -> None:
        assert tps == self.positions.keys()
        self.positions.clear()

    def poll(self) -> None:
        for record in self.consumer.poll(0):
            tp = TopicPartition(record.topic, record.partition)
            assert record.offset == self.positions[tp]
            assert record.value == self.model.logs[tp][record.offset]
            self.positions[tp] += 1
        assert self.consumer.assignment() == self.positions.keys()


class BrokerModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.broker: Any = self.open()
        self.admin = self.broker.admin()
        self.admin.ensure([TopicSpec("t", PARTITIONS, 0, compacted=False)], create=True)
        self.producer = self.broker.producer()
        self.logs: dict[TopicPartition, list[bytes]] = {tp: [] for tp in TPS}
        self.commits: dict[TopicPartition, Commit] = {}
        self.owner: dict[TopicPartition, Member] = {}
        self.members: list[Member] = []
        self.hanging: list[Member] = []

    def open(self) -> Any:
        return MemoryBroker(clock=self.clock, session_timeout_s=SESSION_S)

    @rule(number=numbers, size=st.integers(0, 300))
    def produce(self, number: int, size: int) -> None:
        tp = TPS[number % PARTITIONS]
        value = bytes(size)
        future = self.producer.send("t", key=b"k", value=value, partition=tp.partition)
        assert future.result(60) == (tp.partition, len(self.logs[tp]))
        self.logs[tp].append(value)

    @precondition(lambda self: len(self.members) < 4)
    @rule()
    def join(self) -> None:
        self.members.append(Member(self))

    @precondition(lambda self: self.members)
    @rule(number=numbers)
    def poll(self, number: int) -> None:
        self.members[number % len(self.members)].poll()

    @precondition(lambda self: self.members)
    @rule(number=numbers)
    def leave(self, number: int) -> None:
        member = self.members.pop(number % len(self.members))
        member.consumer.close()
        assert not member.positions

    @precondition(lambda self: self.members)
    @rule(number=numbers)
    def hang(self, number: int) -> None:
        self.hanging.append(self.members.pop(number % len(self.members)))

    @precondition(lambda self: self.hanging)
    @rule()
    def wake(self) -> None:
        self.members.append(self.hanging.pop(0))

    @rule(seconds=st.sampled_from([0.1, 2.0, 4.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.members)
    @rule(number=numbers, which=st.sets(st.sampled_from(TPS), min_size=1))
    def commit(self, number: int, which: set[TopicPartition]) -> None:
        member = self.members[number % len(self.members)]
        wanted = {tp: Commit(member.positions.get(tp, 0), f"{number}") for tp in which}
        try:
            member.consumer.commit(wanted)
        except Fenced:
            return  # all or nothing: the invariant compares all commits
        assert all(self.owner[tp] is member for tp in which)
        self.commits.update(wanted)

    @precondition(lambda self: self.members)
    @rule()
    def settle(self) -> None:
        """All that live poll; who hangs is expelled; then everything has one owner, who may
        commit."""
        for _ in range(6):
            self.clock.advance(SESSION_S / 3)
            for member in self.members * 2:
                member.poll()
        held = [tp for member in self.members for tp in member.positions]
        assert sorted(held) == TPS
        for member in self.members:
            for tp, position in member.positions.items():
                assert position == len(self.logs[tp])
                self.commits[tp] = Commit(position, "settled")
                member.consumer.commit({tp: self.commits[tp]})

    @invariant()
    def commits_are_what_was_committed(self) -> None:
        probe = self.members or self.hanging
        for tp in TPS if probe else ():
            assert probe[0].consumer.committed(tp) == self.commits.get(tp)

    def teardown(self) -> None:
        for member in self.members + self.hanging:
            member.consumer.close()
        self.producer.close(5)
        self.admin.close()
        self.broker.close()


class SqliteModel(BrokerModel):
    def open(self) -> Any:
        self.directory = tempfile.TemporaryDirectory()
        return SqliteBroker(
            Path(self.directory.name) / "bus.db",
            clock=self.clock,
            session_timeout_s=SESSION_S,
            heartbeats=False,
        )

    def teardown(self) -> None:
        super().teardown()
        self.directory.cleanup()


@pytest.mark.parametrize(("model", "examples"), [(BrokerModel, 40), (SqliteModel, 12)])
def test_against_the_model(model: type[BrokerModel], examples: int) -> None:
    run_state_machine_as_test(
        model,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

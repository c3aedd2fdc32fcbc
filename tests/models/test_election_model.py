"""Leaders of one Lease under anything: answers lost, late or refused, processes that stop and go
on, a Lease that is deleted. There is never a moment with two, and when all is well there is one."""

import json
from dataclasses import dataclass
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from collectors.cluster.election import Call, Election, Terms
from collectors.cluster.ports import Instant

TERMS = Terms(duration_s=15, renew_s=10, retry_s=2)
members = st.integers(0, 2)


class LeaseServer:
    """Get, create and update of one object, with versions."""

    def __init__(self) -> None:
        self.lease: dict | None = None
        self.version = 10

    def answer(self, call: Call) -> tuple[int, bytes]:
        if call.method == "GET":
            return (404, b"{}") if self.lease is None else (200, json.dumps(self.lease).encode())
        wanted = json.loads(call.body or b"")
        if call.method == "POST":
            if self.lease is not None:
                return 409, b"exists"
        elif self.lease is None:
            return 404, b"{}"
        elif wanted["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            return 409, b"conflict"
        self.version += 1
        wanted["metadata"]["resourceVersion"] = str(self.version)
        self.lease = wanted
        return 200, json.dumps(wanted).encode()


@dataclass
class Member:
    """Its clocks are its own: `offset` of the monotonic one, `skew_ms` of the other."""

    election: Election
    offset: float
    skew_ms: int
    answer: tuple[int, bytes] | None = None  # on its way


class ElectionModel(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.server = LeaseServer()
        self.time = 0.0
        self.members = [
            Member(self._election(f"w{n}"), offset=1000.0 * n, skew_ms=n * 3_600_000)
            for n in range(3)
        ]

    def _election(self, name: str) -> Election:
        return Election("kubeledger", "watch", identity=name, terms=TERMS, random=Random(name))

    def _now(self, member: Member) -> Instant:
        wall = 1_795_000_000_000 + round(self.time * 1000) + member.skew_ms
        return Instant(self.time + member.offset, wall)

    @rule(number=members, lost=st.booleans(), refused=st.sampled_from([0, 0, 0, 403, 500]))
    def ask(self, number: int, lost: bool, refused: int) -> None:
        """The server acts at once; the answer comes later, or never."""
        member = self.members[number]
        if member.answer is not None:
            return
        call = member.election.request(self._now(member))
        if call is not None:
            member.answer = (refused, b"no") if refused else self.server.answer(call)
            if lost:
                member.answer = (0, b"")

    @rule(number=members)
    def arrive(self, number: int) -> None:
        member = self.members[number]
        if member.answer is not None:
            member.election.answered(*member.answer, self._now(member))
            member.answer = None

    @rule(seconds=st.sampled_from([0.1, 1.0, 2.5, 9.0, 16.0]))
    def wait(self, seconds: float) -> None:
        self.time += seconds

    @rule(number=members, late=st.integers(1, 20), frozen=st.integers(1, 20))
    def stall(self, number: int, late: int, frozen: int) -> None:
        """One gets its answer late and then does nothing; the others go on."""
        self.ask(number, False, 0)
        self.work(late, without=number)
        self.arrive(number)
        self.work(frozen, without=number)

    @rule(seconds=st.integers(1, 30))
    def work(self, seconds: int, without: int = -1) -> None:
        for _ in range(seconds):
            self.time += 1.0
            for number in {0, 1, 2} - {without}:
                self.arrive(number)
                self.ask(number, False, 0)
                self.arrive(number)
                self.never_two()

    @rule(number=members, orderly=st.booleans())
    def restart(self, number: int, orderly: bool) -> None:
        member = self.members[number]
        call = member.election.release(self._now(member)) if orderly else None
        if call is not None:
            self.server.answer(call)
        member.election, member.answer = self._election(f"w{number} since {self.time}"), None

    @rule()
    def somebody_deletes_the_lease_after_a_while(self) -> None:
        """Only when nobody leads, or is about to: whoever deletes it under a leader gets two."""
        if not self._leaders() and all(member.answer is None for member in self.members):
            self.server.lease = None

    @invariant()
    def never_two(self) -> None:
        if hasattr(self, "members"):
            assert len(self._leaders()) <= 1

    def _leaders(self) -> list[int]:
        return [n for n, m in enumerate(self.members) if m.election.leads(self._now(m))]

    def teardown(self) -> None:
        if hasattr(self, "members"):
            self.work(60)
            assert len(self._leaders()) == 1
            leader = self._leaders()
            self.work(60)
            assert self._leaders() == leader, "a leader that is well stays"


TestElection = ElectionModel.TestCase
TestElection.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)

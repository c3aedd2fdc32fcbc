"""The state processor under anything that can happen: crashes between any two effects, members
that come, go and come back from the dead, repeated and undecodable records, events over which the
fold trips, a store that is away or forgets tokens, snapshots that are lost or damaged. At the end
every event has one row, and every fact is what a fold that never crashed says."""

import shutil

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from pipeline.base.errors import KubeledgerError
from pipeline.contract.state import EVENT, OBJECT, SAMPLE, SIGNAL, TICK
from tests.models.processor_rig import Crash
from tests.models.state_rig import TRIPS, World, away, check_exactly_once

kinds = st.sampled_from([SAMPLE, SAMPLE, SAMPLE, OBJECT, EVENT, SIGNAL, TICK])


class StateMachine(RuleBasedStateMachine):
    @initialize(standby=st.booleans())
    def start(self, standby) -> None:
        self.world = World(standby=standby)
        self.zombies = []
        self.written = []
        self.world.member("a")

    @rule(wanted=st.lists(kinds, min_size=1, max_size=12), steps=st.integers(0, 6))
    def write(self, wanted, steps) -> None:
        for kind in wanted:
            self.written.append(self.world.write(kind))
            self.world.clock.advance(0.01)
        self.work(steps)

    @precondition(lambda self: self.written)
    @rule(data=st.data())
    def send_again(self, data) -> None:
        """A producer that does not know that it was heard."""
        self.world.put(data.draw(st.sampled_from(self.written[-8:])))

    @rule()
    def put_poison(self) -> None:
        self.world.put_poison()

    @rule()
    def put_what_no_fold_thought_of(self) -> None:
        body = {"uid": "u", "reason": TRIPS, "object": {}}
        self.world.put(self.world.event(EVENT, body))

    @rule(after=st.integers(1, 12), count=st.integers(1, 3))
    def store_goes_away(self, after, count) -> None:
        for i in range(count):
            self.world.fail(after + i, away())

    @rule(after=st.integers(1, 14), count=st.integers(0, 15), night=st.booleans())
    def crash(self, after, count, night) -> None:
        """Somewhere in what comes; a new process takes over, at once or when the store has
        forgotten every token."""
        self.world.fail(after, Crash())
        for _ in range(count):
            self.written.append(self.world.write())
        for member in list(self.world.members):
            self.world.step(member, 12)
        if night:
            self.long_night()
        self._somebody()

    @rule(times=st.integers(1, 10))
    def work(self, times) -> None:
        for _ in range(times):
            for member in list(self.world.members):
                self.world.step(member)
        self._somebody()

    @rule(seconds=st.sampled_from([0.4, 2.0, 6.0, 70.0]))
    def wait(self, seconds) -> None:
        self.world.clock.advance(seconds)

    @rule()
    def long_night(self) -> None:
        """So long that the store has forgotten every token."""
        self.world.clock.advance(30 * 3600)
        self.world.store.tokens.clear()

    @precondition(lambda self: len(self.world.members) < 3)
    @rule(name=st.sampled_from("abc"))
    def join(self, name) -> None:
        self.world.member(name)

    @precondition(lambda self: len(self.world.members) > 1)
    @rule(graceful=st.booleans())
    def leave(self, graceful) -> None:
        member = self.world.members.pop(0)
        if graceful:
            try:
                member.finish()
                member.close()
            except (Crash, KubeledgerError):  # a fault that was planned for later
                self.zombies.append(member)
        else:
            self.zombies.append(member)

    @precondition(lambda self: self.zombies)
    @rule(times=st.integers(1, 5))
    def zombie_works(self, times) -> None:
        """It was silent for long, and goes on as if nothing had happened."""
        zombie = self.zombies.pop()
        self.world.clock.advance(20.0)
        for member in list(self.world.members):
            self.world.step(member, 2)
        self.world.members.append(zombie)
        self.world.step(zombie, times)
        self._somebody()

    @rule(which=st.integers(0, 9), at=st.integers(0, 2000), how=st.sampled_from("cfg"))
    def disk_fails(self, which, at, how) -> None:
        """A snapshot is cut, a bit of it flips, or the whole directory is gone."""
        found = sorted(self.world.directory.glob("*/snapshot-*.zst"))
        if not found:
            return
        path = found[which % len(found)]
        content = bytearray(path.read_bytes())
        if how == "g":
            shutil.rmtree(path.parent)
            path.parent.mkdir()
        elif how == "c":
            path.write_bytes(content[: at % (len(content) + 1)])
        elif content:
            content[at % len(content)] ^= 0x20
            path.write_bytes(content)

    def _somebody(self) -> None:
        if not self.world.members:
            self.world.member("b")

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        with self.world as world:
            world.plan.clear()
            world.clock.advance(60.0)
            self._somebody()
            world.settle()
            check_exactly_once(world)
            dead = [r for r in world.store.rows("dead_letters") if r["reason"] == b"bad-event"]
            assert len(dead) == world.poison


TestState = StateMachine.TestCase
TestState.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)

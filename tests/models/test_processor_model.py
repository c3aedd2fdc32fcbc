"""The log processor under anything that can happen: crashes between any two effects, members
that come, go and come back from the dead, repeated and undecodable records, a store that is
away, refuses rows or forgets tokens. No row is ever stored before its signals are in the event
log; at the end every line is stored exactly once."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pipeline.base.errors import KubeledgerError
from pipeline.contract.state import decode_state
from pipeline.contract.topics import STATE
from pipeline.replay import replay_dead
from tests.models.processor_rig import (
    REFUSED,
    Crash,
    World,
    away,
    check_exactly_once,
    signals_of_rows,
)

SIGNAL = b"Envoy proxy is NOT ready: workers have not yet started"
STAMP = b"2026-11-23T05:35:0%d.%09dZ"

lines = st.lists(
    st.tuples(
        st.sampled_from([b"stdout", b"stderr"]),
        st.sampled_from([b"F", b"F", b"F", b"P"]),
        st.sampled_from([b"", b"a", b"hello", b"x" * 40, b"with " + REFUSED, b"\xff\x00", SIGNAL]),
    ),
    min_size=1,
    max_size=6,
)
file_ids = st.integers(1, 4)


def text(parts) -> bytes:
    return b"".join(
        STAMP % (i % 10, i * 1000 + 7) + b" " + stream + b" " + tag + b" " + body + b"\n"
        for i, (stream, tag, body) in enumerate(parts)
    )


class ProcessorMachine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.world = World()
        self.zombies = []
        self.poison = 0
        self.world.member()

    @rule(file_id=file_ids, parts=lines, cut=st.none() | st.integers(0, 400))
    def write(self, file_id, parts, cut) -> None:
        data = text(parts)
        if cut is not None:  # at a line's border, or late enough inside a line
            cut %= len(data) + 1
            line = data.rfind(b"\n", 0, cut) + 1
            cut = cut if cut - line > 50 else line
        self.world.write(file_id, data, cut=cut)

    @precondition(lambda self: self.world.files)
    @rule(data=st.data())
    def send_again(self, data) -> None:
        """A collector that lost its position."""
        file_id = data.draw(st.sampled_from(sorted(self.world.files)))
        whole = self.world.files[file_id]
        starts = [0] + [i + 1 for i, octet in enumerate(whole[:-1]) if octet == 10]
        start = data.draw(st.sampled_from(starts))
        self.world.send(file_id, start, whole[start:])

    @rule()
    def put_poison(self) -> None:
        self.poison += 1
        self.world.put(1, b"garbage", (("v", b"9"), ("kind", b"chunk")))

    @rule(after=st.integers(1, 12), count=st.integers(1, 3))
    def store_goes_away(self, after, count) -> None:
        for i in range(count):
            self.world.fail(after + i, away())

    @rule(after=st.integers(1, 12), steps=st.integers(1, 12))
    def crash(self, after, steps) -> None:
        """Somewhere in the next steps; a new process takes over."""
        self.world.fail(after, Crash())
        for _ in range(steps):
            for member in list(self.world.members):
                self.world.step(member)
            self.world.clock.advance(0.2)
        if not self.world.members:
            self.world.member()

    @rule(times=st.integers(1, 10))
    def work(self, times) -> None:
        for _ in range(times):
            for member in list(self.world.members):
                self.world.step(member)
            self.world.clock.advance(0.2)
        if not self.world.members:
            self.world.member()

    @rule(seconds=st.sampled_from([0.4, 2.0, 6.0, 70.0]))
    def wait(self, seconds) -> None:
        self.world.clock.advance(seconds)

    @rule()
    def long_night(self) -> None:
        """So long that the store has forgotten every token."""
        self.world.clock.advance(30 * 3600)
        self.world.store.tokens.clear()

    @precondition(lambda self: len(self.world.members) < 3)
    @rule()
    def join(self) -> None:
        self.world.member()

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
        if not self.world.members:
            self.world.member()

    @invariant()
    def rows_have_their_signals(self) -> None:
        if hasattr(self, "world"):
            sent = {decode_state(record.value).id for record in self.world.records(STATE)}
            assert signals_of_rows(self.world) <= sent

    @rule()
    def put_back_dead_letters(self) -> None:
        replay_dead(self.world.bus, clock=self.world.clock)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.plan.clear()
        world.clock.advance(60.0)
        if not world.members:
            world.member()
        world.settle()
        world.store.refusing = False
        for _ in range(2):
            replay_dead(world.bus, clock=world.clock)
            world.settle()
        for file_id in world.files:
            world.end(file_id)
        world.settle()
        check_exactly_once(world)
        dead = [row for row in world.store.rows("dead_letters") if row["reason"] != b"row-refused"]
        originals = {row["id"] for row in dead}
        assert len(dead) == len(originals)
        assert len(originals) >= self.poison


TestProcessor = ProcessorMachine.TestCase
TestProcessor.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)

"""What the state processor does when things go wrong, case by case."""

import pytest

from pipeline.base.errors import Fatal, Rejected
from pipeline.contract.facts import TRANSITION, Fact
from pipeline.contract.metrics import SNAPSHOTS_BAD, STATE_REPEATED
from pipeline.contract.state import EVENT, SAMPLE, StateEvent
from pipeline.contract.topics import FACTS, STATE
from pipeline.logs_config import DeadLetterLimits
from pipeline.replay import replay_dead
from tests.models.state_rig import (
    THE_LOG,
    TRIPS,
    ChainFold,
    World,
    check_exactly_once,
    committed,
    crash_at,
    nothing,
    stop,
    store_away,
)


@pytest.fixture
def world():
    with World() as made:
        yield made


EFFECTS = ["send", "commit", "insert", "snapshot"]


@pytest.mark.parametrize("where", [f"{when} {what}" for what in EFFECTS for when in
                                   ("before", "after")])  # fmt: skip
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_crash_between_any_two_steps(world: World, where: str, times: int) -> None:
    """Facts sent, range declared, one table of two stored, snapshot written: whatever was done,
    the next owner ends where nothing would have happened."""
    crash_at(world, where, times=times)
    world.member()
    world.settle()
    check_exactly_once(world)
    assert committed(world).open is None


def test_an_open_range_is_stored_under_its_own_token(world: World) -> None:
    crash_at(world, "after insert")
    declared = committed(world).open
    assert declared is not None
    token = declared.token(THE_LOG)
    assert [name for _, name in world.store.tokens if token in name] == [f"{token}:signals"]
    assert token.startswith(f"{STATE}:0:{declared.first}-{declared.last}")
    before = {token for token in world.store.tokens if declared.token(THE_LOG) in token[1]}
    world.member()
    world.settle()
    check_exactly_once(world)
    after = {token for token in world.store.tokens if declared.token(THE_LOG) in token[1]}
    assert before < after  # the tables that were missing, no other token for those that were not
    assert not any("/rest-" in token for _, token in after)


def test_after_a_long_time_only_what_is_missing_is_inserted(world: World) -> None:
    crash_at(world, "after insert", times=2)
    declared = committed(world).open
    assert declared is not None
    world.store.tokens.clear()
    rows = world.store.rows("signals")
    lost = next(row for row in rows if declared.first <= row["ko"] <= declared.last)
    rows.remove(lost)  # one part of the block did not survive
    world.clock.advance(20 * 3600)
    world.member()
    world.settle()
    check_exactly_once(world)
    assert any("/rest-" in token for _, token in world.store.tokens)


class NewRules(ChainFold):
    """The same events say something else now."""

    def apply(self, event: StateEvent, offset: int) -> list[Fact]:
        facts = super().apply(event, offset)
        return [Fact(f.kind, f.t, f.entity, f"{f.id}-new", f.body) for f in facts]


def test_an_upgrade_in_the_middle_of_a_batch(world: World) -> None:
    """The declared batch is built by other rules: rows that are there are left out, what the new
    rules say is added; snapshots of the old rules are not continued."""
    crash_at(world, "after insert", times=4)
    declared = committed(world).open
    assert declared is not None
    old = [r["id"] for r in world.store.rows("facts") if r["ko"] >= declared.first]
    world.fold, world.fingerprint = NewRules, "code-2"
    world.member()
    world.settle()
    assert "batch.differs" in world.telemetry.names()
    for table in ("node_samples", "signals"):
        offsets = [row["ko"] for row in world.store.rows(table)]
        assert len(offsets) == len(set(offsets))
    ids = [row["id"] for row in world.store.rows("facts")]
    assert len(ids) == len(set(ids))
    assert old
    assert set(old) | {name + b"-new" for name in old} <= set(ids)


def test_snapshots_of_other_rules_are_folded_again(world: World) -> None:
    for _ in range(12):
        world.write()
    first = world.member()
    world.settle()
    stop(world, first)
    world.fingerprint = "code-2"
    world.member()
    world.settle()
    assert world.telemetry.values[SNAPSHOTS_BAD.name, ("other-code",)] >= 1
    check_exactly_once(world)


def test_facts_do_not_wait_for_the_store(world: World) -> None:
    """Alerts come from facts. The store is away for minutes; facts flow within a poll."""
    member = world.member()
    world.settle()
    world.hook = store_away
    for number in range(30):
        world.write()
        world.step(member, 2)
        assert len(world.log(FACTS)) >= (number + 1) // 3
        world.clock.advance(8)
    assert not world.store.rows("node_samples")
    assert "events wait and none was stored" in str(member.crew.tally.health())
    world.hook = nothing
    world.settle()
    check_exactly_once(world)
    assert member.crew.tally.health() is None
    assert {"waiting", "waited"} <= set(world.telemetry.names())


def test_facts_do_not_wait_for_the_batch() -> None:
    """Rows linger to be stored together; facts are on the bus after the next poll."""
    with World(linger_s=30.0, events=1000) as world:
        member = world.member()
        world.step(member, 2)
        for number in range(30):
            world.write()
            world.step(member)
            assert len(world.log(FACTS)) >= (number + 1) // 3
        assert not world.store.rows("node_samples")
        stop(world, member)
        check_exactly_once(world)


def test_what_is_held_while_the_store_is_away_is_bounded() -> None:
    with World(held_bytes=1024 * 1024) as world:
        member = world.member()
        world.settle()
        world.hook = store_away
        padding = "x" * 100_000
        for _ in range(30):
            body = {"node": "n", "part": "host", "outcome": "ok", "detail": padding}
            world.put(world.event(SAMPLE, body))
        world.step(member, 60)
        assert 1024 * 1024 <= member.crew.backlog.held < 4 * 1024 * 1024
        world.hook = nothing
        world.settle()
        check_exactly_once(world)


def test_a_zombie_declares_nothing_and_so_stores_nothing(world: World) -> None:
    zombie = world.member("a")
    world.write()
    world.step(zombie, 3)
    for _ in range(5):
        world.write()
    world.members.remove(zombie)
    world.clock.advance(30)  # silent beyond its session
    world.member("b")
    world.settle()
    tokens = set(world.store.tokens)
    for _ in range(3):
        zombie._guarded(zombie._advance)  # it has not polled: it does not know
        world.clock.advance(1)
    assert zombie.mine is None
    assert "dropped" in world.telemetry.names()
    assert world.store.tokens == tokens
    check_exactly_once(world)


def test_a_rebalance_that_gives_the_partition_back_folds_nothing_again(world: World) -> None:
    first = world.member("a")
    for _ in range(8):
        world.write()
    world.step(first, 2)  # folded, in part stored
    folded = first.crew.machine.next
    world.member("b")
    loaded = world.telemetry.names().count("snapshot.loaded")
    world.settle()
    assert first.mine is not None
    assert first.crew.machine.next >= folded
    assert world.telemetry.names().count("snapshot.loaded") == loaded
    repeats = [name for name, _ in world.telemetry.values if name == STATE_REPEATED.name]
    assert repeats == []
    check_exactly_once(world)


def test_the_second_member_waits_folds_along_and_takes_over_at_once(world: World) -> None:
    first, second = world.member("a"), world.member("b")
    for _ in range(40):
        world.write()
        world.settle()
    assert second.mine is None
    assert second.crew.machine.next == committed(world).offset
    assert list((world.directory / "b").glob("snapshot-*.zst"))
    before = world.telemetry.names().count("snapshot.loaded")
    stop(world, first)
    world.write()
    world.settle()
    assert second.mine is not None
    assert world.telemetry.names().count("snapshot.loaded") == before
    check_exactly_once(world)


def test_a_cold_standby_reads_only_when_it_must() -> None:
    with World(standby=False) as world:
        first, second = world.member("a"), world.member("b")
        for _ in range(12):
            world.write()
        world.settle()
        assert second.crew.machine.fresh
        stop(world, first)
        world.write()
        world.settle()
        check_exactly_once(world)


# Delivery


def test_an_event_that_is_delivered_again_changes_nothing(world: World) -> None:
    world.member()
    events = [world.write() for _ in range(12)]
    world.settle()
    facts = len(world.log(FACTS))
    for event in events:
        world.put(event)
    world.settle()
    assert len(world.log(FACTS)) == facts
    assert len(world.store.rows("node_samples")) == 12
    check_exactly_once(world)


def test_a_record_that_is_no_event_is_put_aside_whole(world: World) -> None:
    world.member()
    world.write()
    world.put_raw(b"\xffgarbage", (("v", b"1"),))
    world.put_raw(None)
    world.put_poison()
    world.write()
    world.settle()
    check_exactly_once(world)
    dead = world.store.rows("dead_letters")
    assert {row["reason"] for row in dead} == {b"bad-event"}
    assert [row["ko"] for row in dead] == [1, 2, 3]
    assert any(b"`node` must be a text" in row["detail"] for row in dead)
    assert world.log("kubeledger.dead")[0].value == b"\xffgarbage"


def test_an_event_over_which_a_fold_trips_is_put_aside_and_the_rest_goes_on(world: World) -> None:
    world.member()
    for number in range(20):
        if number == 10:
            world.put(world.event(EVENT, {"uid": "u", "reason": TRIPS}))
        world.write()
    world.settle()
    check_exactly_once(world)
    (dead,) = world.store.rows("dead_letters")
    assert (dead["reason"], dead["ko"]) == (b"fold-error", 10)
    assert replay_dead(world.bus, clock=world.clock) == {"fold-error": 1}
    world.settle()
    check_exactly_once(world)


def test_a_topic_full_of_garbage_stops_the_service() -> None:
    limits = DeadLetterLimits(count=5, share=0.1)
    with World(dead_letters=limits) as world:
        member = world.member()
        for _ in range(10):
            world.put_poison()
        with pytest.raises(Fatal, match="stopped before the topic drains into dead letters"):
            world.step(member, 30)
        assert not world.store.rows("dead_letters")


def test_a_fact_that_the_bus_never_takes_is_told_and_stays_in_the_store() -> None:
    class Large(ChainFold):
        def apply(self, event: StateEvent, offset: int) -> list[Fact]:
            return [Fact(TRANSITION, event.t, "node/n", f"l-{offset}", {"x": "y" * 1_100_000})]

    with World(fold=Large) as world:
        world.member()
        world.write()
        world.settle()
        assert "fact.refused" in world.telemetry.names()
        assert world.log(FACTS) == []
        assert [row["id"] for row in world.store.rows("facts")][:1] == [b"l-0"]


def test_rows_that_the_table_refuses_stop_the_service(world: World) -> None:
    def refuse(where: str) -> None:
        if where == "before insert":
            raise Rejected("no such type")

    member = world.member()
    world.write()
    world.hook = refuse
    with pytest.raises(Fatal, match="kubeledger migrate"):
        world.step(member, 20)

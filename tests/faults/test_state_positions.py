"""The state processor where positions, retention and time do what they should not."""

import json

import pytest

from pipeline.base.clock import ManualClock
from pipeline.base.errors import Fatal
from pipeline.broker.protocol import Commit
from pipeline.contract.facts import Fact
from pipeline.contract.metrics import CONSUMER_LAG, SNAPSHOTS_BAD, STATE_GONE
from pipeline.contract.state import TICK, StateEvent
from pipeline.contract.topics import FACTS
from pipeline.eventlog.rows import decode
from pipeline.eventlog.ticker import Ticker
from pipeline.processor.metadata import Progress
from tests.models.state_rig import (
    THE_LOG,
    ChainFold,
    World,
    check_exactly_once,
    committed,
    crash_at,
    stop,
    write,
)


@pytest.fixture
def world():
    with World() as made:
        yield made


def test_records_that_retention_removed_are_told_and_the_rest_goes_on(world: World) -> None:
    first = world.member()
    world.settle()
    write(world, 12)
    world.settle()
    stop(world, first)
    for _ in range(5):
        world.write()  # nobody folds these in time
    end = len(world.log())
    world.clock.advance(8 * 24 * 3600)
    world.bus.maintain()
    survivor = world.write()
    world.member()
    world.settle()
    gone = {k: v for (name, k), v in world.telemetry.values.items() if name == STATE_GONE.name}
    assert set(gone) == {("stored",), ("folded",)}
    assert gone[("folded",)] <= 5
    assert "events.gone" in world.telemetry.names()
    stored = {row["ko"] for row in world.store.rows("node_samples")}
    assert {record.offset for record in world.log() if decode(record.value) == survivor} <= stored
    assert not any(12 < offset < end for offset in stored)
    # the folds went on from the snapshot, with a hole: the count of facts does not start again
    ids = [row["id"] for row in world.store.rows("facts")]
    assert len(ids) == len(set(ids))


def test_an_open_range_of_which_the_beginning_is_gone(world: World) -> None:
    crash_at(world, "after insert")
    declared = committed(world).open
    assert declared is not None
    records = world.bus._state.logs[THE_LOG]
    records.expire(records.records[0].timestamp_ms)
    del records.records[: declared.first + 2]
    records.start = records.records[0].offset
    world.member()
    world.settle()
    for table in ("node_samples", "signals", "facts"):
        keys = [(row["ko"], row.get("id")) for row in world.store.rows(table)]
        assert len(keys) == len(set(keys))
    stored = {row["ko"] for t in ("node_samples", "signals") for row in world.store.rows(t)}
    assert set(range(declared.first + 2, declared.last + 1)) <= stored
    assert committed(world).open is None
    assert world.telemetry.values[STATE_GONE.name, ("stored",)] == 2


def test_a_group_that_lost_its_commit_stores_nothing_twice(world: World) -> None:
    """Offsets expire when a group is silent for long: what is stored is looked up."""
    first = world.member()
    world.settle()
    write(world, 12)
    world.settle()
    stop(world, first)
    world.bus._state.commits.clear()
    world.store.tokens.clear()
    world.member()
    for _ in range(12):
        world.write()
    world.settle()
    check_exactly_once(world)


def test_without_a_snapshot_the_last_hours_are_folded_again() -> None:
    with World(refold_h=2.0) as world:
        first = world.member("a")
        write(world, 12)
        world.settle()
        world.clock.advance(5 * 3600)
        world.settle()
        recent = len(world.log())
        write(world, 12)
        world.settle()
        stop(world, first)
        confirmed = committed(world).offset
        second = world.member("b")  # a directory of its own: nothing in it
        world.settle()
        (told,) = [f for name, f in world.telemetry.events if name == "folding-again"]
        assert recent - 2 <= told["first"] <= recent
        assert told["upto"] == confirmed
        write(world, 3)
        world.settle()
        assert second.crew.machine.next == len(world.log())
        rows = [
            row["ko"] for table in ("node_samples", "signals") for row in world.store.rows(table)
        ]
        assert len(rows) == len(set(rows)) == 27


def test_a_topic_that_was_made_anew_stops_the_service(world: World) -> None:
    member = world.member()
    world.write()
    world.settle()
    member.crew.consumer.commit({THE_LOG: Commit(99, "")})
    member.close()
    world.members.clear()
    with pytest.raises(Fatal, match="was made anew"):
        world.step(world.member(), 5)


def test_a_snapshot_of_the_topic_as_it_was_before_is_not_used(world: World) -> None:
    """Same name, same offsets, other records: the record before the snapshot tells."""
    first = world.member()
    world.settle()
    write(world, 12)
    world.settle()
    stop(world, first)
    log = world.bus._state.logs[THE_LOG]
    log.records = [r._replace(value=r.value + b" ") for r in log.records]
    world.member()
    for _ in range(4):
        world.write()
    world.settle()
    assert world.telemetry.values[SNAPSHOTS_BAD.name, ("other-topic",)] >= 1


# Time


def test_ticks_are_written_by_the_working_member_alone(world: World) -> None:
    world.member("a")
    world.member("b")
    for _ in range(10):
        world.settle()
        world.clock.advance(60)
    ticks = [decode(r.value) for r in world.log() if b'"tick"' in r.value]
    assert len(ticks) >= 10
    assert len({tick.id for tick in ticks}) == len(ticks)
    assert all(tick.t % 60_000 == 0 for tick in ticks)
    assert [tick.t for tick in ticks] == sorted(tick.t for tick in ticks)


def test_ticks_and_a_clock_that_jumps(world: World) -> None:
    clock = ManualClock()
    ticker = Ticker(world.producer, clock, cluster="-", tick_s=5)
    ticker.tick()
    ticker.tick()
    clock.jump_wall(-60)
    ticker.tick()  # it waits until the time is reached again
    assert len(world.log()) == 1
    clock.jump_wall(-86_400)
    ticker.tick()  # it had been wrong before
    assert len(world.log()) == 2
    world.bus.available = False
    for _ in range(5):
        clock.advance(5)
        ticker.tick()
    world.bus.available = True
    assert len(world.log()) == 3


def test_ticks_that_nothing_follows_from_are_confirmed_and_declare_nothing() -> None:
    class Silent(ChainFold):
        def apply(self, event: StateEvent, offset: int) -> list[Fact]:
            return []

    with World(fold=Silent) as world:
        world.member()
        for _ in range(5):
            world.put(world.event(TICK, {}))
            world.settle()
        assert committed(world).offset == len(world.log())
        assert not world.store.tokens


def test_a_graceful_stop_leaves_nothing_to_do(world: World) -> None:
    first = world.member()
    for _ in range(4):
        world.write()
    world.step(first, 2)  # folded, lingering
    assert not world.store.rows("node_samples")
    stop(world, first)
    end = len(world.log())
    assert committed(world) == Progress(end, committed(world).carry)
    assert (world.directory / "member" / f"snapshot-{end}.zst").exists()
    check_exactly_once(world)


def test_lag_is_told(world: World) -> None:
    member = world.member()
    world.write()
    world.settle()
    world.clock.advance(11)
    world.step(member)
    assert (CONSUMER_LAG.name, ("0",)) in world.telemetry.values


def test_bodies_in_the_store_are_those_of_the_facts(world: World) -> None:
    world.member()
    for _ in range(15):
        world.write()
    world.settle()
    sent = {json.loads(r.value)["id"]: json.loads(r.value) for r in world.log(FACTS)}
    for row in world.store.rows("facts"):
        fact = sent[row["id"].decode()]
        assert json.loads(row["body"]) == fact["body"]
        assert (row["ts"] + row["ts_shift"], row["entity"].decode()) == (fact["t"], fact["entity"])

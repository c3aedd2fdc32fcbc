"""The state processor with the fold of capacity, and a process that dies again and again: each
row of `capacity`, `hpa_1m` and `drains` is there once, as a fold that never died says."""

import random
from collections.abc import Callable

import pytest

from pipeline.contract.facts import CAPACITY, DRAIN
from pipeline.contract.state import EVENT, OBJECT, SYNCED, TICK
from pipeline.elasticity.capacity import Capacity
from tests.journeys.recordings import events
from tests.models.processor_rig import Crash
from tests.models.state_rig import World, check_exactly_once

TABLES = ("capacity", "hpa_1m", "drains")
KINDS = (OBJECT, SYNCED, EVENT, TICK)


@pytest.mark.parametrize("seed", range(4))
def test_dying_on_the_way_changes_nothing(seed: int) -> None:
    chance = random.Random(seed)
    with World(fold=Capacity, events=40, snapshot_events=60) as world:
        world.hook = _dying(world, chance)
        _member(world, "a")
        for event in events("hpa-and-drain"):
            if event.kind not in KINDS:
                continue
            world.put(event)
            if chance.random() < 0.3:
                for member in list(world.members):
                    world.step(member, chance.randrange(1, 6))
            if not world.members:
                world.clock.advance(chance.choice([0, 4000, 4000]))  # beyond the tokens, too
                _member(world, chance.choice("ab"))
        world.hook = lambda _: None
        world.clock.advance(60)
        if not world.members:
            _member(world, "b")
        world.settle()
        check_exactly_once(world)
        facts, _ = world.truth()
        told = [(offset, fact) for offset, fact in facts if fact.kind in (CAPACITY, DRAIN)]
        minutes = sorted(
            (row["ko"], (row.get("pool") or row["name"]).decode())
            for table in ("capacity", "hpa_1m")
            for row in world.store.rows(table)
        )
        assert minutes == sorted(
            (offset, fact.body.get("pool") or fact.body["name"])
            for offset, fact in told
            if fact.kind == CAPACITY
        )
        drains = sorted((row["ko"], row["version"]) for row in world.store.rows("drains"))
        assert drains == sorted(
            (offset, fact.body["version"]) for offset, fact in told if fact.kind == DRAIN
        )
        assert len(drains) == 5


def _dying(world: World, chance: random.Random) -> Callable[[str], None]:
    """Now and then it dies just when rows of these tables have come into the store."""
    seen = 0

    def hook(where: str) -> None:
        nonlocal seen
        count = sum(len(world.store.rows(table)) for table in TABLES)
        grown, seen = count > seen, count
        if where == "after insert" and grown and chance.random() < 0.6:
            raise Crash

    return hook


def _member(world: World, name: str) -> None:
    """The recording has ticks of its own, and they are not of the wall clock."""
    world.member(name).crew.ticker.tick = lambda: None

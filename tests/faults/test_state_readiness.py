"""The state processor with the real folds: recordings of outages, and a process that dies again
and again on the way. What is on the topic and in the tables is what a fold that never died says."""

import random

import pytest

from tests.cases.all import CASES
from tests.cases.case import Case, told
from tests.cases.rig import new_fold
from tests.models.processor_rig import Crash
from tests.models.state_rig import World, check_exactly_once

SPREAD = [case for case in CASES if case.expected][::9]


@pytest.mark.parametrize("case", SPREAD, ids=[case.name for case in SPREAD])
@pytest.mark.parametrize("seed", range(3))
def test_dying_on_the_way_changes_nothing(case: Case, seed: int) -> None:
    chance = random.Random(f"{case.name} {seed}")
    _, rig = told(case)
    with World(fold=new_fold, events=40, snapshot_events=60) as world:
        _member(world, "a")
        sent = []
        for event in rig.events:
            world.put(event)
            sent.append(event)
            if chance.random() < 0.05:
                world.put(chance.choice(sent[-20:]))  # a producer that repeats itself
            if chance.random() < 0.04:
                world.fail(chance.randrange(1, 40), Crash())
            if chance.random() < 0.3:
                for member in list(world.members):
                    world.step(member, chance.randrange(1, 6))
            if not world.members:
                if chance.random() < 0.5:
                    world.clock.advance(30)
                _member(world, chance.choice("ab"))
        world.plan.clear()
        world.clock.advance(60)
        if not world.members:
            _member(world, "b")
        world.settle()
        facts, _ = world.truth()
        assert facts
        check_exactly_once(world)
        assert not world.store.rows("dead_letters")


def _member(world: World, name: str) -> None:
    """The recording has ticks of its own, and they are not of the wall clock."""
    world.member(name).crew.ticker.tick = lambda: None

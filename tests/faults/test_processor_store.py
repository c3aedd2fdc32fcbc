"""The log processor when the store takes a block and dies before it says so, forgets, is slow, or
when the processor itself is wrong and rejects everything."""

import base64
from random import Random

import pytest

from pipeline.base.errors import Fatal, Unavailable
from pipeline.broker.limits import POLL_BYTES
from pipeline.contract.topics import LOG_GROUP, LOGS
from pipeline.logs_config import DeadLetterLimits
from pipeline.processor import partition as buffers
from pipeline.replay import replay_dead
from pipeline.stages.decode import BAD_RECORD, Undecodable
from tests.models.processor_rig import World, check_exactly_once, settings

A = b"2026-11-23T05:35:03.1Z stdout F one\n"
B = b"2026-11-23T05:35:04.1Z stderr F two\n"
HELD = 1 << 20  # the smallest bound there is


def single(**changes) -> World:
    return World(partitions=1, config=settings(**changes))


def lag(world: World) -> int:
    return sum(world.bus.admin().group_lag(LOG_GROUP, LOGS).values())


def dies_after_insert(world: World, times: int, then=lambda: None) -> None:
    """The store takes the block and is gone before its answer, so often."""
    deaths = []

    def tick(where: str) -> None:
        if where == "after insert" and len(deaths) < times:
            deaths.append(where)
            then()
            raise Unavailable("the store died before it answered")

    world.store.tick = tick


@pytest.mark.parametrize("times", [1, 5])
def test_a_store_that_dies_before_its_answer_has_the_block_once(times):
    world = single()
    world.member()
    dies_after_insert(world, times)
    world.write(1, A + B + A)
    world.write(2, B)
    world.settle()
    check_exactly_once(world)
    assert not any("/rest-" in token for _, token in world.store.tokens)


def test_a_store_that_forgets_while_it_is_away_is_asked_what_it_has():
    """The block was taken, the answer lost, and the token with it: only rows can tell."""
    world = single()
    world.member()

    def long_night() -> None:
        world.clock.advance(3600)
        world.store.tokens.clear()
        del world.store.rows()[1:2]  # and a row of it did not survive

    dies_after_insert(world, 1, long_night)
    world.write(1, A + B + A)
    world.settle()
    check_exactly_once(world)
    assert any("/rest-" in token for _, token in world.store.tokens)


def test_clock_jumps_repeat_and_lose_nothing():
    """Wall time decides how far a token is trusted, and may jump between any two attempts."""
    world = single()
    world.member()
    for jump in (-7200, 86_400 * 3, 3600, -86_400 * 3):
        dies_after_insert(world, 2, lambda jump=jump: world.clock.jump_wall(jump))
        world.write(1, A + B)
        world.settle()
    check_exactly_once(world)


def test_a_slow_store_fills_the_bus_and_not_the_processor():
    """It takes a block only after ten times "not now", for which the member goes on polling, as
    it must: the records wait in the bus, and within a bound here."""
    world = single(held_bytes=HELD)
    member = world.member()
    noise, refusals, seen = Random(1), [0], []
    for number in range(200):
        body = base64.b64encode(noise.randbytes(75_000))
        world.write(1, b"2026-11-23T05:35:03.%09dZ stdout F %s\n" % (number, body))

    def tick(where: str) -> None:
        if where == "before insert":
            seen.append(sum(p.held for p in member.partitions.values()))
            refusals[0] += 1
            if refusals[0] % 11:
                raise Unavailable("too many parts")

    world.store.tick = tick
    steps = 0
    while lag(world):
        world.step(member)
        world.clock.advance(0.1)
        assert (steps := steps + 1) < 5_000
    assert len(seen) > 1_000
    assert HELD < max(seen) <= HELD + POLL_BYTES < 200 * 75_000
    world.settle()
    check_exactly_once(world)


def test_a_processor_that_rejects_everything_stops_and_its_letters_come_back(monkeypatch):
    """A release with a bug takes good records for bad ones. The limit stops it before the topic
    drains; after the fix `replay dead` restores what it had put aside, and the rest is there."""
    world = single(rows=2, dead_letters=DeadLetterLimits(count=5, share=0.5))
    good = world.member()
    for _ in range(4):
        world.write(1, A + B)
    world.settle()
    good.finish()
    good.close()
    world.members.clear()

    def bug(_headers: object) -> Undecodable:
        return Undecodable(BAD_RECORD, "this release cannot read anything")

    for number in range(40):
        world.write(1 + number % 3, A + B)
    with monkeypatch.context() as release:
        release.setattr(buffers, "decode_event", bug)
        broken = world.member()
        with pytest.raises(Fatal, match="dead letters"):
            world.step(broken, 400)
        broken.close()
        world.members.clear()
    letters = len(world.store.rows("dead_letters"))
    assert 0 < letters <= 2 * 5
    assert lag(world) >= 40 - letters

    world.clock.advance(3600)
    world.member()
    world.settle()
    assert len(world.store.rows("dead_letters")) == letters
    assert replay_dead(world.bus, clock=world.clock) == {BAD_RECORD: letters}
    world.settle()
    check_exactly_once(world)

"""State processors on every kind of bus, in real time: one works, one waits, the working one
leaves in the middle of a batch."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipeline.base.clock import SystemClock
from pipeline.broker.config import BrokerConfig
from pipeline.broker.memory import MemoryBroker
from pipeline.broker.open import open_broker
from pipeline.broker.protocol import Admin, Broker
from pipeline.contract.topics import STATE, STATE_GROUP
from tests.models.state_rig import World, check_exactly_once, committed

SESSION_S = 15.0  # who has a part is not thrown out for being slow


@pytest.fixture(params=["memory", "sqlite", pytest.param("kafka", marks=pytest.mark.real)])
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    if request.param == "memory":
        yield MemoryBroker(session_timeout_s=SESSION_S)
        return
    url = f"sqlite:{tmp_path}/bus.db"
    if request.param == "kafka":
        url = request.getfixturevalue("own_kafka").url
    broker = open_broker(BrokerConfig(url=url, session_timeout_s=SESSION_S))
    yield broker
    broker.close()


def until(world: World, condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, what
        for member in world.members:
            member.step(0.05)


def all_confirmed(world: World, admin: Admin) -> bool:
    working = [m.mine for m in world.members if m.mine is not None and m.mine.ready]
    told = all(member.crew.producer.flush(0) for member in world.members)  # no tick is on its way
    return len(working) == 1 and told and admin.group_lag(STATE_GROUP, STATE)[0] == 0


def test_a_working_member_and_a_waiting_one(bus: Broker) -> None:
    with World(bus=bus, clock=SystemClock(), events=20) as world, ExitStack() as closing:
        closing.callback(world.producer.close, 5)
        admin = bus.admin()
        closing.callback(admin.close)
        first = world.member("a")
        closing.callback(first.close)
        until(world, lambda: first.mine is not None, "the first member works")
        _write(world)
        until(world, lambda: all_confirmed(world, admin), "the first batch is confirmed")
        before = first.mine
        second = world.member("b")
        closing.callback(second.close)
        _write(world)
        until(  # who comes late makes all give back what they have, and would do so below
            world,
            lambda: first.mine is not before and all_confirmed(world, admin),
            "both members are in the group",
        )
        working, waiting = (first, second) if first.mine else (second, first)
        until(
            world,
            lambda: waiting.crew.machine.next >= committed(world).offset - 25,
            "the waiting member folds along",
        )
        while not working.crew.backlog:  # folded, not stored
            world.write()
            working.step(0.05)
        world.members.remove(working)
        working.close()
        until(world, lambda: all_confirmed(world, admin), "the other one took over")
        check_exactly_once(world)


def _write(world: World) -> None:
    for _ in range(50):
        world.write()

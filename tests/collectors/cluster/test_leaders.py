"""Several watchers, one Lease, real sockets: no change is lost when the leader changes."""

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from pipeline.contract.metrics import WATCH_LEADS
from tests.collectors.cluster.fake_api import LEASES, FakeApi, Fault
from tests.collectors.cluster.fake_store import FakeStore, Reply, status
from tests.collectors.cluster.watcher_rig import (
    EVENTS,
    FAST_LEASE,
    NODES,
    PODS,
    AheadClock,
    RunningWatcher,
    agrees,
    bus,
    until,
)

# No lease of it runs out while a test lasts, but by a clock that a test puts forward.
SLOW_LEASE = {"duration_s": 600.0, "renew_s": 500.0, "retry_s": 0.2}
LEASE = {"lease": SLOW_LEASE}


@pytest.fixture
def api() -> Iterator[FakeApi]:
    store = FakeStore()
    for number in range(5):
        store.put(PODS, f"web-{number}", "shop", spec={"n": number}, status={})
    with FakeApi(store) as running:
        yield running


def leads(watcher: RunningWatcher) -> bool:
    return watcher.telemetry.value(WATCH_LEADS) == 1


def test_one_leads_and_hands_over_in_order(api: FakeApi, tmp_path: Path) -> None:
    broker = bus()
    first = RunningWatcher.on(api, tmp_path, broker, **LEASE, seed=1)
    second = RunningWatcher.on(api, tmp_path, broker, **LEASE, seed=2)
    with first:
        until(lambda: leads(first) and agrees(api, broker))
        with second:
            asked = api.asked["lease"]  # who leads does not ask, it writes
            until(lambda: api.asked["lease"] >= asked + 4)
            assert not leads(second)
            assert "watch-synced" not in second.log.getvalue(), "a standby reads nothing"
            first.end()
            with api.changing():
                api.store.delete(PODS, "web-1")
                api.store.put(PODS, "web-2", "shop", spec={"n": 22}, status={})
            until(lambda: leads(second))  # it was released, or this would take ten minutes
            until(lambda: agrees(api, broker))


def test_a_leader_that_cannot_renew_stops_and_another_takes_over(
    api: FakeApi, tmp_path: Path
) -> None:
    broker, clocks = bus(), (AheadClock(), AheadClock())
    first = RunningWatcher.on(api, tmp_path, broker, **LEASE, seed=1, clock=clocks[0])
    second = RunningWatcher.on(api, tmp_path, broker, **LEASE, seed=2, clock=clocks[1])
    with first:
        until(lambda: leads(first) and agrees(api, broker))
        api.faults[LEASES] = Fault(reply=status(500, "InternalError", "etcd is away"))
        with second:
            clocks[0].ahead_s += SLOW_LEASE["renew_s"]
            until(lambda: not leads(first))
            assert not leads(second)
            clocks[1].ahead_s += SLOW_LEASE["duration_s"]
            with api.changing():
                api.store.delete(PODS, "web-0")
                api.store.put(PODS, "web-9", "shop", spec={}, status={})
            del api.faults[LEASES]
            until(lambda: leads(first) or leads(second))
            until(lambda: agrees(api, broker))
            assert not (leads(first) and leads(second))


def test_without_rights_on_the_lease_nobody_leads_and_health_says_why(
    api: FakeApi, tmp_path: Path
) -> None:
    words = 'leases is forbidden: User "watch" cannot create resource "leases"'
    api.faults[LEASES] = Fault(reply=status(403, "Forbidden", words))
    broker = bus()
    with RunningWatcher.on(api, tmp_path, broker, **LEASE) as watcher:
        until(lambda: "watch-election-failed" in watcher.log.getvalue())
        assert "verbs: [get, create, update]" in watcher.log.getvalue()
        assert words.replace('"', '\\"') in watcher.log.getvalue()
        assert not leads(watcher)


@pytest.mark.parametrize("seed", [1, 2])
def test_storm(api: FakeApi, tmp_path: Path, seed: int) -> None:
    """Changes, dropped watches, forgotten history, refusals and changes of leader at random, over
    real sockets. In the end a reader of the log knows what the server knows."""
    random, broker, lease = Random(seed), bus(), {"lease": FAST_LEASE}
    watcher = RunningWatcher.on(api, tmp_path, broker, **lease, seed=seed)
    watcher.__enter__()
    try:
        end, leaders = time.monotonic() + 8, 1
        while time.monotonic() < end:
            time.sleep(random.uniform(0, 0.03))
            _change(api, random)
            if random.random() < 0.06:
                _trouble(api, random)
            if random.random() < 0.004:
                leaders += 1
                watcher.__exit__()
                watcher = RunningWatcher.on(api, tmp_path, broker, **lease, seed=seed + leaders)
                watcher.__enter__()
        api.faults.clear()
        api.once.clear()
        until(lambda: agrees(api, broker), seconds=120)
    finally:
        watcher.__exit__()
    assert agrees(api, broker)


def _change(api: FakeApi, random: Random) -> None:
    path, namespace = random.choice([(PODS, "shop"), (NODES, ""), (EVENTS, "shop")])
    name = f"x-{random.randrange(12)}"
    with api.changing():
        if random.random() < 0.3 and (path, name) in api.store.objects:
            api.store.delete(path, name)
        else:
            api.store.put(path, name, namespace, spec={"n": random.randrange(99)}, status={})


def _trouble(api: FakeApi, random: Random) -> None:
    path = random.choice([PODS, NODES])
    kind = random.randrange(5)
    if kind == 0:
        api.drop_all()
    elif kind == 1:
        with api.changing():
            api.store.compact()
    elif kind == 2:
        api.faults[path] = Fault(reply=Reply(503, b"no backend"))
    elif kind == 3:
        api.faults[path] = Fault(cut_after=random.randrange(900), watches_only=True)
    else:
        api.faults.clear()

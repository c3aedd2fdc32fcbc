"""Capacity by node pool, HPAs by the minute: what is counted, and when it is said."""

import random

import pytest

from pipeline.base.errors import UsageError
from pipeline.contract.facts import CAPACITY, encode_fact
from pipeline.elasticity.capacity import Capacity
from pipeline.elasticity.inventory import pool_of
from pipeline.elasticity.pod_requests import pod_requests
from pipeline.elasticity.pools import pool_figures
from pipeline.elasticity.quantity import milli, quantity, whole
from tests.pipeline.elasticity.rig import Rig, fresh, ms

GI = 2**30
A = {"karpenter.sh/nodepool": "a"}


def cluster() -> Rig:
    rig = Rig()
    rig.tick(0)
    rig.node(1, "n1", labels=A)
    rig.node(1, "n2", labels=A, ready="Unknown")
    rig.node(1, "n3", labels=A, cordoned=True)
    rig.pod(2, "web-0", "n1")
    rig.pod(2, "web-1", "n2")
    rig.pod(2, "web-2", "", phase="Pending", nodeSelector=A)
    rig.pod(2, "lost", "", phase="Pending")
    rig.pod(2, "done", "n1", phase="Succeeded")
    return rig


def test_requested_against_what_can_be_used() -> None:
    rig = cluster()
    facts = [fact for fact in rig.tick(61) if fact.kind == CAPACITY]
    assert [(fact.entity, fact.t) for fact in facts] == [
        ("nodepool/-", ms(60)),
        ("nodepool/a", ms(60)),
    ]
    body = dict(facts[1].body)
    assert body == {
        "pool": "a",
        "nodes": 3, "nodes_ready": 2, "nodes_cordoned": 1,
        "allocatable_cpu_m": 12_000, "allocatable_memory": 24 * GI,
        "usable_cpu_m": 4_000, "usable_memory": 8 * GI,
        "requested_cpu_m": 1_000, "requested_memory": 2 * GI,
        "pods": 2, "pods_pending": 1,
        "lost_cpu_m": 4_000, "lost_memory": 8 * GI,
        "short_lived": 0,
    }  # fmt: skip
    assert facts[0].body["pods_pending"] == 1


def test_said_when_it_changes_and_every_ten_minutes() -> None:
    rig = cluster()
    rig.ticks(5, 60 * 21)
    rig.pod(60 * 21 + 1, "web-0", "n1", deleted=True)
    rig.ticks(60 * 21 + 5, 60 * 23)
    minutes = [(f.t - ms(0)) // 60_000 for f in rig.facts if f.entity == "nodepool/a"]
    assert minutes == [1, 10, 20, 22]


def test_a_pool_that_is_gone_is_said_once() -> None:
    rig = Rig()
    rig.tick(0)
    rig.node(1, labels=A)
    rig.ticks(5, 65)
    rig.node(70, labels=A, deleted=True)
    rig.ticks(75, 60 * 12)
    told = [(f.body["nodes"], f.body["allocatable_cpu_m"]) for f in rig.facts if f.kind == CAPACITY]
    assert told == [(1, 4000), (0, 0)]


def test_time_that_was_not_seen_is_one_minute() -> None:
    rig = cluster()
    assert len([fact for fact in rig.tick(60 * 60) if fact.kind == CAPACITY]) == 2


def test_nodes_that_lived_shortly() -> None:
    rig = Rig()
    rig.tick(0)
    rig.node(1, "stays", labels=A)
    rig.node(1, "young", labels=A, created="2026-11-23T04:59:00Z")
    rig.node(1, "old", labels=A, created="2026-11-22T00:00:00Z")
    for name in ("young", "old"):
        rig.node(30, name, labels=A, deleted=True)
    rig.ticks(60, 60)
    assert rig.last(CAPACITY, "nodepool/a")["short_lived"] == 1
    rig.ticks(3600, 3700)
    assert rig.last(CAPACITY, "nodepool/a")["short_lived"] == 0


def test_sums_are_what_a_recount_gives() -> None:
    """Random versions, deletions, pods that move and end; against the last version of each."""
    chance, rig = random.Random(7), Rig()
    live: dict[str, tuple[str, int]] = {}  # uid -> node, millicores
    for step in range(3000):
        uid = chance.choice([*live, f"new-{step}"] if len(live) < 60 else [*live])
        if uid in live and chance.random() < 0.3:
            meta = {"namespace": "shop", "name": uid, "uid": uid}
            rig.object(step, "pods", {"metadata": meta}, deleted=True)
            del live[uid]
            continue
        node, cpu = chance.choice(["", "n1", "n2", "n3"]), chance.choice([100, 250, 500])
        phase = chance.choice(["Running", "Running", "Failed"]) if node else "Pending"
        meta = {"namespace": "shop", "name": uid, "uid": uid}
        container = {"resources": {"requests": {"cpu": f"{cpu}m"}}}
        spec = {"nodeName": node, "containers": [container]}
        rig.object(step, "pods", {"metadata": meta, "spec": spec, "status": {"phase": phase}})
        live[uid] = ("ended" if phase == "Failed" else node, cpu)
    found = pool_figures(rig.capacity._state.inventory, {})["-"]
    bound = [cpu for node, cpu in live.values() if node not in ("", "ended")]
    assert (found["requested_cpu_m"], found["pods"]) == (sum(bound), len(bound))
    assert found["pods_pending"] == sum(node == "" for node, _ in live.values())


def test_what_a_list_does_not_have_is_gone() -> None:
    rig = cluster()
    rig.synced(10, "pods", uids=["pods-shop-web-0"])
    rig.tick(61)
    assert rig.last(CAPACITY, "nodepool/a")["pods"] == 1
    assert rig.last(CAPACITY, "nodepool/a")["pods_pending"] == 0


def test_hpa_at_its_maximum() -> None:
    rig = Rig()
    rig.tick(0)
    rig.hpa(1, 2, 2)
    rig.hpa(30, 2, 6)
    rig.hpa(45, 6, 6, limited="TooManyReplicas")
    rig.tick(60)
    entity = "hpa/shop/web"
    body = rig.last(CAPACITY, entity)
    assert (body["current"], body["desired"], body["min"], body["max"]) == (6, 6, 1, 6)
    assert (body["limited"], body["limited_reason"]) == (1, "TooManyReplicas")
    assert (body["maxed_s"], body["ready"]) == (15.0, None)
    rig.deployment(70, 5)
    rig.hpa(90, 6, 6)
    rig.ticks(95, 120)
    assert (rig.last(CAPACITY, entity)["maxed_s"], rig.last(CAPACITY, entity)["ready"]) == (30, 5)
    rig.ticks(125, 180)
    assert (rig.last(CAPACITY, entity)["maxed_s"], rig.last(CAPACITY, entity)["limited"]) == (0, 0)


def test_hpa_that_goes_up_and_down() -> None:
    rig = Rig()
    rig.tick(0)
    for s, desired in ((1, 2), (100, 4), (200, 2), (300, 5), (400, 6), (500, 3)):
        rig.hpa(s, desired, desired)
    rig.ticks(505, 600)
    entity = "hpa/shop/web"
    assert rig.last(CAPACITY, entity)["reversals"] == 3  # down, up, down again
    rig.ticks(3600, 4200)
    assert rig.last(CAPACITY, entity)["reversals"] == 0


def test_deterministic_with_repeats_and_from_every_snapshot() -> None:
    rig = cluster()
    rig.hpa(20, 2, 6)
    rig.node(30, "n1", labels=A, cordoned=True)
    rig.pod(40, "web-0", "n1", evicted=True)
    rig.ticks(45, 70)
    rig.pod(80, "web-0", "n1", deleted=True)
    rig.ticks(85, 140)
    whole_run = [encode_fact(fact) for fact in rig.facts]
    numbered = list(enumerate(rig.events))
    again = fresh()
    twice = [f for n, event in numbered for _ in range(2) for f in again.apply(event, n)]
    assert [encode_fact(fact) for fact in twice] == whole_run
    first, done = fresh(), []
    for at, event in numbered:
        snapshot, second = first.dump(), fresh()
        second.restore(snapshot)
        assert second.dump() == snapshot
        rest = [encode_fact(f) for n, later in numbered[at:] for f in second.apply(later, n)]
        assert done + rest == whole_run
        done += [encode_fact(fact) for fact in first.apply(event, at)]


def test_a_snapshot_of_another_version_is_refused() -> None:
    with pytest.raises(UsageError, match="fold again from the beginning"):
        Capacity().restore(b'{"version": 0}')


def test_pools_are_named_by_whoever_makes_them() -> None:
    assert pool_of({"alibabacloud.com/nodepool-id": "np1"}) == "np1"
    assert pool_of({"cloud.google.com/gke-nodepool": "g", "zone": "z"}) == "g"
    assert pool_of({"type": "virtual-kubelet", "agentpool": "x"}) == "virtual-kubelet"
    assert pool_of({}) == "-"


def needs(cpu: str, **more: object) -> dict[str, object]:
    return {"resources": {"requests": {"cpu": cpu, "memory": "64Mi"}}} | more


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        ({"containers": [needs("100m"), needs("0.25"), {}]}, 350),
        ({"containers": [needs("100m")], "initContainers": [needs("2")]}, 2000),
        # a sidecar stays, and an init container after it runs beside it
        (
            {
                "containers": [needs("100m")],
                "initContainers": [needs("50m", restartPolicy="Always"), needs("120m")],
            },
            170,
        ),
        (
            {
                "containers": [needs("100m")],
                "initContainers": [needs("120m"), needs("50m", restartPolicy="Always")],
            },
            150,
        ),
        ({"containers": [needs("100m")], "overhead": {"cpu": "250m"}}, 350),
        ({"containers": [needs("100m")], **needs("1")}, 1000),
        ({}, 0),
    ],
)
def test_requests_of_a_pod(spec: dict[str, object], cpu: int) -> None:
    assert pod_requests(spec)[0] == cpu


def test_quantities() -> None:
    assert [milli(text) for text in ("100m", "2", "0.29", "1e3", "1n", 3)] == [
        100, 2000, 290, 1_000_000, 1, 3000
    ]  # fmt: skip
    assert [whole(text) for text in ("1Ki", "24581684Ki", "1.5Gi", "2k", "128974848")] == [
        1024, 24_581_684 * 1024, 3 * 2**29, 2000, 128_974_848
    ]  # fmt: skip
    assert quantity("much") is None
    assert milli("") == 0

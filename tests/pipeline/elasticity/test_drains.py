"""Drains: from cordon to the end, and who stood in the way."""

import pytest

from pipeline.elasticity.budgets import selects
from pipeline.elasticity.drains import NOT_RECORDED
from tests.journeys.recordings import replayed
from tests.pipeline.elasticity.rig import Rig, ms


def draining() -> Rig:
    """A node with three pods and one of a DaemonSet; one pod is evicted, 20 s pass."""
    rig = Rig()
    rig.node(0)
    for name in ("web-0", "web-1", "db-0"):
        rig.pod(1, name, app=name[:-2])
    rig.pod(1, "agent", owner="DaemonSet")
    rig.node(10, cordoned=True)
    rig.tick(15)
    rig.pod(20, "web-0", evicted=True)
    rig.pod(20, "web-1", evicted=True)
    return rig


def test_a_drain_from_cordon_to_removal() -> None:
    rig = draining()
    rig.pod(21, "db-0", app="db", evicted=True)
    rig.ticks(25, 25)
    for name in ("web-0", "web-1", "db-0"):
        rig.pod(28, name, deleted=True)
    rig.ticks(30, 35)
    rig.node(40, deleted=True)
    assert rig.statuses() == ["cordoned", "evicting", "empty", "removed"]
    body = rig.drain()
    assert [found["pod"] for found in body["evicted"]] == ["shop/web-0", "shop/web-1", "shop/db-0"]
    assert (body["started_at"], body["emptied_at"], body["ended_at"]) == (ms(10), ms(30), ms(40))
    assert (body["by"], body["blocked"], body["version"]) == ("cordon", [], 4)


def test_a_budget_that_blocks_is_named() -> None:
    rig = draining()
    rig.budget(21, "db-pdb", 0, matchLabels={"app": "db"})
    rig.budget(21, "web-pdb", 0, matchLabels={"app": "web"})
    rig.budget(21, "wide-pdb", 1, matchLabels={"app": "db"})
    rig.ticks(25, 40)
    assert rig.statuses()[-1] == "blocked"
    (stay,) = rig.drain()["blocked"]
    assert stay == {"pod": "shop/db-0", "since": ms(20), "by": ["shop/db-pdb"], "until": None}
    assert rig.drain()["blocked_by"] == ["shop/db-pdb"]
    rig.pod(50, "db-0", app="db", evicted=True)
    rig.ticks(50, 55)
    assert rig.statuses()[-1] == "evicting"
    assert rig.drain()["blocked"][0]["until"] == ms(50)


def test_what_is_not_watched_is_inferred_and_said() -> None:
    rig = draining()
    rig.ticks(25, 40)
    assert rig.drain()["blocked_by"] == [NOT_RECORDED]


def test_without_a_budget_the_reason_is_unknown() -> None:
    rig = draining()
    rig.synced(21, "poddisruptionbudgets", uids=[])
    rig.ticks(25, 40)
    assert (rig.drain()["status"], rig.drain()["blocked_by"]) == ("blocked", [])


def test_an_annotation_keeps_a_pod() -> None:
    rig = draining()
    rig.pod(21, "db-0", app="db", kept=True)
    rig.ticks(25, 40)
    assert rig.drain()["blocked_by"] == ["annotation karpenter.sh/do-not-disrupt"]


def test_critical_pods_wait_for_the_others() -> None:
    rig = draining()
    rig.pod(21, "db-0", app="db", priority=2_000_001_000)
    rig.ticks(25, 40)
    assert rig.drain()["status"] == "evicting"  # the evicted ones are still there


def test_a_cordon_alone_is_no_drain() -> None:
    rig = Rig()
    rig.node(0)
    rig.pod(1, "web-0")
    rig.node(10, cordoned=True)
    rig.ticks(15, 600)
    rig.node(610)
    assert rig.statuses() == ["cordoned", "uncordoned"]
    assert rig.drain()["ended_at"] == ms(610)


@pytest.mark.parametrize(
    ("taint", "by"),
    [
        ("ToBeDeletedByClusterAutoscaler", "cluster-autoscaler"),
        ("karpenter.sh/disrupted", "karpenter"),
    ],
)
def test_an_autoscaler_that_takes_a_node(taint: str, by: str) -> None:
    rig = Rig()
    rig.node(0)
    rig.node(10, taint=taint)
    rig.event(20, "ScaleDownFailed", "failed to drain and delete node: timeout")
    rig.event(21, "Rebooted", "not about a drain")
    rig.ticks(25, 30)
    assert rig.drain()["by"] == by
    assert [said["reason"] for said in rig.drain()["said"]] == ["ScaleDownFailed"]
    rig.node(40)
    assert rig.drain()["status"] == "uncordoned"


def test_selectors() -> None:
    labels = {"app": "web", "tier": "front"}
    assert selects({}, labels)
    assert not selects(None, labels)
    assert not selects({"matchLabels": {"app": "db"}}, labels)
    for operator, values, holds in (
        ("In", ["web"], True), ("NotIn", ["web"], False), ("Exists", [], True),
        ("DoesNotExist", [], False), ("Else", [], False),
    ):  # fmt: skip
        rule = {"key": "app", "operator": operator, "values": values}
        assert selects({"matchExpressions": [rule]}, labels) is holds


def test_a_real_drain_that_was_blocked_first() -> None:
    """The recording has no watch of budgets; that there was one can be told all the same."""
    (drain,) = replayed("hpa-and-drain").drains
    assert (drain["node"], drain["by"], drain["status"]) == ("node-a", "cordon", "uncordoned")
    evicted = [found["pod"] for found in drain["evicted"]]
    assert evicted[-1] == "shop/web-db8b6cdd-m8m8q"
    assert sorted(evicted[:-1]) == [
        f"shop/{name}"
        for name in ("big-lines", "fast", "json", "odd", "plain", "trace-go", "trace-java",
                     "trace-python")
    ]  # fmt: skip
    (stay,) = drain["blocked"]
    assert (stay["pod"], stay["by"]) == ("shop/web-db8b6cdd-m8m8q", [NOT_RECORDED])
    assert 29_000 < stay["until"] - stay["since"] < 31_000


def test_real_consolidation_and_real_outage() -> None:
    """Karpenter removes two nodes; 24 of 30 nodes lose their heartbeat and are no drain."""
    found = replayed("karpenter-scale-up").drains
    assert [(d["by"], d["status"]) for d in found] == [("karpenter", "removed")] * 2
    assert (
        found[0]["said"][-1]["message"] == "Failed to drain node, 2 pods are waiting to be evicted"
    )
    assert replayed("karpenter-scale-up").capacity[-1]["short_lived"] == 1
    outage = replayed("many-nodes-notready")
    assert outage.drains == []
    lost = [f.body["lost_cpu_m"] for f in outage.facts if f.kind == "capacity" and "pool" in f.body]
    assert max(lost) == 24 * 4000
    assert lost[-1] == 0


def test_healthy_has_no_drain() -> None:
    assert replayed("healthy").drains == []

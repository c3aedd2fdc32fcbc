"""The chain of a pod that waits for a node: each hop from its own source, and no hop made up."""

from typing import Any

import pytest

from pipeline.elasticity.ca_status import parse
from pipeline.elasticity.pending import Hop, PodEvent, Recorded, chain, is_pending
from pipeline.elasticity.stock import stock_of
from tests.cases.scaling import ca_yaml, inventory
from tests.cases.shapes import conditioned, pod, running, unscheduled

FULL = (
    "0/5 nodes are available: 2 node(s) had untolerated taint {node.kubernetes.io/not-ready: }, "
    "3 Insufficient cpu. preemption: 0/5 nodes are available"
)
WAITS = pod(node="", conditions=unscheduled(FULL))
LIES = PodEvent(9, "FailedScheduling", "Failed to schedule pod, all available instance types "
                'exceed limits for nodepool: "wide"', "karpenter", 1)  # fmt: skip
POOL = {
    "metadata": {"name": "wide"},
    "spec": {"limits": {"cpu": "24"}, "template": {"spec": {"taints": [
        {"key": "gpu", "effect": "NoSchedule"}]}}},
    "status": {"resources": {"cpu": "24"}},
}  # fmt: skip


def kinds(step: str, recorded: Recorded) -> list[str]:
    return [hop.kind for hop in chain(recorded) if hop.step == step]


def test_the_scheduler_by_family() -> None:
    hops = [hop for hop in chain(Recorded(WAITS)) if hop.step == "scheduler"]
    assert [hop.kind for hop in hops] == ["taint", "capacity"]
    assert hops[1] == Hop("scheduler", "3 nodes: Insufficient cpu", "capacity", "PodScheduled")


def test_taints_of_nodes_that_are_not_ready_point_to_their_incident() -> None:
    body = {"id": "1f", "entity": "node/b", "title": "t", "verdict": "node.kubelet-down",
            "because": "", "opened_at": 5}  # fmt: skip
    hops = chain(Recorded(WAITS, incidents=[body]))
    assert any(hop.kind == "node-not-ready" and "node/b" in hop.says for hop in hops)
    assert hops[-1].kind == "node.kubelet-down"


def test_the_scheduler_is_told_from_karpenter_by_its_words() -> None:
    bare = pod(node="", conditions=[])
    assert kinds("scheduler", Recorded(bare, [LIES])) == ["unassigned"]
    of_scheduler = PodEvent(3, "FailedScheduling", FULL, "default-scheduler", 1)
    both = Recorded(bare, [of_scheduler, LIES])
    assert kinds("scheduler", both) == ["taint", "capacity"]


def test_nothing_said_is_said() -> None:
    assert kinds("autoscaler", Recorded(WAITS)) == ["silent"]


def test_what_karpenter_says_and_what_stands() -> None:
    recorded = Recorded(WAITS, [LIES], pools=[POOL])
    assert kinds("autoscaler", recorded) == ["limits", "taint"]
    assert kinds("limits", recorded) == ["limit-reached", "not-recorded"]


def test_the_last_word_of_the_autoscaler_counts() -> None:
    refused = PodEvent(1, "NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size "
                       "reached", "cluster-autoscaler", 3)  # fmt: skip
    asked = PodEvent(2, "Nominated", "Pod should schedule on: nodeclaim/wide-1", "karpenter", 1)
    claim = conditioned(
        "wide-1",
        {"type": "Launched", "status": "True"},
        {"type": "Registered", "status": "Unknown", "message": "Node not registered with cluster"},
    )
    recorded = Recorded(WAITS, [refused, asked], claims=[claim])
    assert kinds("autoscaler", recorded) == ["asked-for-a-node", "registered"]
    assert kinds("autoscaler", Recorded(WAITS, [asked, refused])) == ["max-size"]


def test_groups_in_backoff_and_quotas() -> None:
    backoff = "backoffInfo: {errorCode: OutOfStock, errorMessage: sold out}"
    groups = parse(ca_yaml(scale_up="Backoff", backoff=backoff))
    hard, used = {"pods": "3", "requests.cpu": "4"}, {"pods": "3", "requests.cpu": "1"}
    quota = {"metadata": {"name": "team"}, "status": {"hard": hard, "used": used}}
    recorded = Recorded(WAITS, groups=groups, quotas=[quota])
    assert kinds("autoscaler", recorded) == ["silent", "backoff"]
    assert kinds("limits", recorded) == ["size", "quota-reached"]


def test_stock_of_instant_scaling() -> None:
    failed = PodEvent(4, "ProvisionNodeFailed", "out of stock", "GOATScaler", 1)
    changed = "ecs.g7.large/cn-b inventory status changed from Healthy to UnHealthy"
    stock = PodEvent(5, "InstanceInventoryStatusChanged", changed, "GOATScaler", 1)
    recorded = Recorded(WAITS, [failed], restocked=[stock])
    assert kinds("autoscaler", recorded) == ["out-of-stock", "stock"]


def test_the_stock_of_node_pools_is_quoted() -> None:
    """Some of it missing is not all of it missing; all there is no reason to wait."""
    gone = stock_of(inventory("np1", ("ecs.g7.large", "cn-b", "WithoutStock")))
    kinds_of_some = (
        ("ecs.g7.large", "cn-b", "ClosedWithStock"),
        ("ecs.g7.large", "cn-c", "WithStock"),
    )
    some = stock_of(inventory("np2", *kinds_of_some))
    there = stock_of(inventory("np3", ("ecs.g7.large", "cn-b", "WithStock")))
    hops = [h for h in chain(Recorded(WAITS, stocks=[gone, some, there])) if h.step == "autoscaler"]
    assert [hop.kind for hop in hops] == ["silent", "out-of-stock", "low-stock", "in-stock"]
    assert "1 of 1 are short: ecs.g7.large in cn-b WithoutStock" in hops[1].says
    assert hops[1].source == "np1-inventory-status"
    assert "1 of 2 are short: ecs.g7.large in cn-b ClosedWithStock" in hops[2].says


def test_requests_that_a_limit_range_set() -> None:
    said = "LimitRanger plugin set: cpu, memory request for container main"
    body = pod(node="", conditions=unscheduled(FULL))
    body["metadata"]["annotations"] = {"kubernetes.io/limit-ranger": said}
    ranges = [{"metadata": {"name": "small"}}]
    [hop] = [h for h in chain(Recorded(body, ranges=ranges)) if h.step == "limits"]
    assert (hop.kind, hop.source) == ("defaulted", "kubernetes.io/limit-ranger")
    assert hop.says == "LimitRange small set cpu, memory request for container main"
    hops = [h for h in chain(Recorded(body)) if h.step == "limits"]
    assert [hop.kind for hop in hops] == ["defaulted", "not-recorded"]
    assert hops[0].says.startswith("a LimitRange that is not recorded set")
    assert kinds("limits", Recorded(WAITS, ranges=ranges)) == [], "it asked for itself"


def test_the_provider_of_a_virtual_node() -> None:
    recorded = Recorded(WAITS, [PodEvent(4, "NoStock", "out of stock", "virtual-kubelet", 1)])
    assert kinds("provider", recorded) == ["NoStock"]


@pytest.mark.parametrize(
    ("body", "waits"),
    [
        (WAITS, True),
        (pod(), False),
        (pod(phase="Running", ready="True", containers=[running(ready=True)]), False),
        (pod(node="", phase="Failed"), False),
    ],
)
def test_who_waits(body: dict[str, Any], waits: bool) -> None:
    assert is_pending(body) is waits

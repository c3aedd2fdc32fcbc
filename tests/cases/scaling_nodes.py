"""Nodes that an autoscaler does not make, cannot make, or cannot remove: cluster-autoscaler,
Karpenter and virtual nodes, in their own words."""

from typing import Any

from pipeline.contract.state import FORBIDDEN, SYNCED, StateEvent
from tests.cases.case import Cases
from tests.cases.pods import ABOUT, POD
from tests.cases.rig import Rig, ms
from tests.cases.scaling import ca_status, ca_text, ca_yaml
from tests.cases.shapes import conditioned, pod, running, unscheduled

case = Cases()

CA, GROUP, POOL = "cluster-autoscaler/-", "nodegroup/asg-1", "nodepool/general"
FULL = (
    "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No "
    "preemption victims found for incoming pod."
)
CONFIG_MAP = {"kind": "ConfigMap", "namespace": "kube-system", "name": "cluster-autoscaler-status"}


def _pending(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "pods", pod(node="", conditions=unscheduled(FULL)))
    rig.event(2, "FailedScheduling", FULL, **ABOUT)


@case({POD: "ca.not-triggered"}, lookalike_of="pod.unschedulable")
def every_group_is_full_or_too_small(rig: Rig) -> None:
    _pending(rig)
    rig.event(5, "NotTriggerScaleUp", "pod didn't trigger scale-up: 2 max node group size reached, "
              "1 Insufficient memory, 1 node(s) had untolerated taint {gpu: yes}", **ABOUT)  # fmt: skip
    rig.ticks(10, 90)


@case({POD: "ca.not-triggered"})
def the_only_group_is_in_backoff(rig: Rig) -> None:
    _pending(rig)
    rig.event(5, "NotTriggerScaleUp", "pod didn't trigger scale-up: 1 in backoff after failed "
              "scale-up", **ABOUT)  # fmt: skip
    rig.ticks(10, 90)


@case({POD: "ca.not-triggered"})
def karpenter_blames_limits_and_it_is_the_taint(rig: Rig) -> None:
    taints = [{"key": "kwok", "value": "fake", "effect": "NoSchedule"}]
    spec = {"template": {"spec": {"taints": taints}}, "limits": {"cpu": "100"}}
    rig.tick(0)
    rig.object(0.5, "nodepools", {"metadata": {"name": "general"}, "spec": spec, "status": {}})
    rig.object(1, "pods", pod(node="", conditions=unscheduled(FULL)))
    rig.event(2, "FailedScheduling", "Failed to schedule pod, all available instance types exceed "
              'limits for nodepool: "general"', **ABOUT)  # fmt: skip
    rig.ticks(10, 90)


@case({POD: "pod.unschedulable"}, lookalike_of="ca.not-triggered")
def nobody_makes_nodes_here(rig: Rig) -> None:
    _pending(rig)
    rig.ticks(10, 90)


@case({}, lookalike_of="ca.not-triggered")
def refused_at_first_and_then_helped(rig: Rig) -> None:
    _pending(rig)
    rig.event(5, "NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached",
              **ABOUT)  # fmt: skip
    rig.ticks(10, 25)
    rig.event(30, "TriggeredScaleUp", "pod triggered scale-up: [{asg-1 3->4 (max: 10)}]", **ABOUT)
    rig.ticks(35, 120)
    rig.object(125, "pods", pod(phase="Running", ready="True", containers=[running(ready=True)]))
    rig.ticks(130, 200)


@case({POD: "ca.not-triggered"})
def the_node_that_was_asked_for_does_not_come(rig: Rig) -> None:
    _pending(rig)
    rig.event(5, "ProvisionNode", "Provision node asa-1 in cn-b successfully", **ABOUT)
    rig.ticks(10, 55)
    rig.event(60, "ProvisionNodeFailed", "Provision node failed: OperationDenied.NoStock", **ABOUT)
    rig.ticks(65, 120)


@case({"node/node-a": "node.not-ready"}, lookalike_of="ca.not-triggered")
def the_node_that_would_do_is_not_ready(rig: Rig) -> None:
    """The pod is a symptom of the node."""
    taint = "node(s) had untolerated taint {node.kubernetes.io/not-ready: }"
    rig.tick(0)
    rig.node(1)
    rig.node(10, "False", "something new is wrong")
    said = f"0/1 nodes are available: 1 {taint}."
    rig.object(30, "pods", pod(node="", conditions=unscheduled(said)))
    rig.event(35, "NotTriggerScaleUp", f"pod didn't trigger scale-up: 1 {taint}", **ABOUT)
    rig.ticks(40, 120)


OUT = """backoffInfo:
      errorCode: OutOfStock
      errorMessage: 'The requested resource is sold out in the specified zone'"""


def _status(rig: Rig, start: float, stop: float, text: str) -> None:
    """As the autoscaler writes it each ten seconds."""
    s = start
    while s <= stop:
        rig.object(s, "configmaps", ca_status(text))
        rig.ticks(s + 1, s + 9)
        s += 10


@case({GROUP: "ca.scaleup-failed"}, lookalike_of="ca.unregistered")
def the_cloud_is_sold_out(rig: Rig) -> None:
    rig.tick(0)
    _status(rig, 1, 30, ca_yaml())
    _status(rig, 41, 80, ca_yaml(scale_up="Backoff", backoff=OUT))


@case({GROUP: "ca.scaleup-failed"})
def an_old_autoscaler_may_not_ask(rig: Rig) -> None:
    rig.tick(0)
    _status(rig, 1, 30, ca_text())
    message = "Scale-up failed for group asg-1: AccessDenied: not authorized to perform SetDesired"
    rig.event(35, "FailedToScaleUpGroup", message, **CONFIG_MAP)
    _status(rig, 41, 80, ca_text(scale_up="Backoff"))


@case({GROUP: "ca.scaleup-failed"})
def new_nodes_never_register(rig: Rig) -> None:
    rig.tick(0)
    rig.event(5, "ScaleUpTimedOut", "Nodes added to group asg-1 failed to register within 15m0s",
              **CONFIG_MAP)  # fmt: skip
    rig.ticks(10, 60)


@case({POOL: "ca.scaleup-failed"})
def karpenter_finds_no_capacity(rig: Rig) -> None:
    rig.tick(0)
    rig.event(5, "InsufficientCapacityError", "NodeClaim general-x7k2p event: insufficient capacity",
              kind="NodeClaim", name="general-x7k2p")  # fmt: skip
    rig.ticks(10, 60)


@case({}, lookalike_of="ca.scaleup-failed")
def a_scale_up_is_under_way(rig: Rig) -> None:
    rig.tick(0)
    _status(rig, 1, 200, ca_yaml(scale_up="InProgress", unregistered=1))


@case({GROUP: "ca.unregistered"}, lookalike_of="ca.scaleup-failed")
def a_machine_does_not_become_a_node(rig: Rig) -> None:
    rig.tick(0)
    _status(rig, 1, 60, ca_yaml(long_unregistered=1))


def _claim(registered: str) -> dict[str, Any]:
    claim = conditioned(
        "general-x7k2p",
        {"type": "Launched", "status": "True"},
        {"type": "Registered", "status": registered},
    )
    claim["metadata"]["labels"] = {"karpenter.sh/nodepool": "general"}
    return claim


@case({POOL: "ca.unregistered"})
def a_claim_stays_without_a_node(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "nodeclaims", _claim("Unknown"))
    rig.ticks(5, 500, 15)


@case({}, lookalike_of="ca.unregistered")
def a_claim_becomes_a_node_in_three_minutes(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "nodeclaims", _claim("Unknown"))
    rig.ticks(5, 180, 15)
    rig.object(181, "nodeclaims", _claim("True"))
    rig.ticks(185, 900, 15)


@case({CA: "ca.unhealthy"}, lookalike_of="ca.silent")
def half_of_the_nodes_are_not_ready(rig: Rig) -> None:
    rig.tick(0)
    rig.event(5, "ClusterUnhealthy", "Cluster is unhealthy", **CONFIG_MAP)
    _status(rig, 10, 60, ca_yaml(health="Unhealthy", ready=5, total=10))


@case({}, lookalike_of="ca.unhealthy")
def one_of_many_nodes_is_not_ready(rig: Rig) -> None:
    rig.tick(0)
    _status(rig, 1, 60, ca_yaml(ready=9, total=10))


@case({CA: "ca.scaledown-blocked"}, lookalike_of="ca.unhealthy")
def a_budget_keeps_a_pod_on_its_node(rig: Rig) -> None:
    rig.tick(0)
    message = (
        "failed to drain and delete node: Failed to evict pod shop/web-0: Cannot evict pod as "
        "it would violate the pod's disruption budget."
    )
    rig.event(5, "ScaleDownFailed", message, kind="Node", name="node-b")
    rig.ticks(10, 60)


@case({}, lookalike_of="ca.scaledown-blocked")
def a_node_is_removed(rig: Rig) -> None:
    rig.tick(0)
    for s, message in ((5, "marked the node as toBeDeleted/unschedulable"),
                       (60, "nodes removed by cluster autoscaler")):  # fmt: skip
        rig.event(s, "ScaleDown", message, kind="Node", name="node-b")
        rig.ticks(s + 5, s + 50)


@case({CA: "ca.silent"}, lookalike_of="ca.unhealthy")
def the_autoscaler_stopped(rig: Rig) -> None:
    rig.tick(0)
    _status(rig, 1, 30, ca_yaml())
    rig.ticks(40, 240)


@case({}, lookalike_of="ca.silent")
def the_watcher_may_not_read_the_status_any_more(rig: Rig) -> None:
    rig.tick(0)
    _status(rig, 1, 30, ca_yaml())
    lost = {"resource": "configmaps", "version": "", "count": 0, "outcome": FORBIDDEN,
            "namespace": "kube-system", "name": "cluster-autoscaler-status"}  # fmt: skip
    rig.feed(StateEvent(SYNCED, ms(45), "watch", "lost", lost))
    rig.ticks(50, 600, 15)


SOLD_OUT = (
    "Create ECI failed because the specified instance is out of stock. Please change the type"
)


@case({POD: "vk.provider-failed"}, lookalike_of="pod.unschedulable")
def the_virtual_node_is_sold_out(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "pods", pod(node="virtual-kubelet-a", reason="ProviderFailed", message=SOLD_OUT))
    rig.event(2, "ProviderCreateFailed", SOLD_OUT, **ABOUT)
    rig.event(3, "NoStock", SOLD_OUT, **ABOUT)
    rig.ticks(5, 60)


@case({}, lookalike_of="vk.provider-failed")
def the_provider_succeeds_at_the_second_try(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "pods", pod(node="virtual-kubelet-a"))
    rig.event(2, "ProviderCreateFailed", "throttled", **ABOUT)
    rig.ticks(5, 10)
    rig.event(12, "ProviderCreateSuccess", "Create pod in provider successfully", **ABOUT)
    rig.object(13, "pods", pod(node="virtual-kubelet-a", phase="Running", ready="True",
                               containers=[running(ready=True)]))  # fmt: skip
    rig.ticks(15, 100)

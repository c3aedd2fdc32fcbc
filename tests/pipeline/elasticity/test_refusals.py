"""Autoscalers' words -> reasons; and what truly stands between a pod and the pools."""

import pytest

from pipeline.elasticity.refusals import (
    REASONS,
    Wish,
    karpenter,
    not_triggered,
    provision_failed,
    truly,
    wish_of,
)
from tests.cases.shapes import pod

SAID = [
    ("2 max node group size reached, 1 Insufficient memory", ["max-size", "size"]),
    ("1 in backoff after failed scale-up", ["backoff"]),
    ("3 max total nodes in cluster reached", ["limits"]),
    ('1 exceeded quota: "cluster-wide", resources: cpu', ["limits"]),
    ("1 not ready for scale-up", ["not-ready"]),
    ("2 node(s) had volume node affinity conflict", ["zone"]),
    ("1 node(s) didn't match Pod's node affinity/selector, 2 Insufficient cpu",
     ["size", "selector"]),
    ("1 node(s) had untolerated taint {gpu: a, b}", ["taint"]),
    ("1 node(s) didn't have free ports for the requested pod ports", ["ports"]),
    ("1 node(s) didn't match pod topology spread constraints", ["spread"]),
    ("1 node(s) didn't match pod anti-affinity rules", ["pod-affinity"]),
    ("1 something that nobody has seen", ["unknown"]),
]  # fmt: skip


@pytest.mark.parametrize(("said", "want"), SAID)
def test_cluster_autoscaler(said: str, want: list[str]) -> None:
    assert not_triggered(f"pod didn't trigger scale-up: {said}") == want
    longer = f"pod didn't trigger scale-up (it wouldn't fit if a new node is added): {said}"
    assert not_triggered(longer) == want, "as it was worded until 1.18"


def test_instant_scaling() -> None:
    sold_out = "provision failed: OperationDenied.NoStock, the resource is out of stock"
    assert provision_failed(sold_out) == ["out-of-stock"]
    assert provision_failed("no idea") == ["provision-failed"]


def test_another_event_says_nothing() -> None:
    assert not_triggered("pod triggered scale-up: [{asg 1->2 (max: 5)}]") == []
    assert karpenter("0/3 nodes are available: 3 Insufficient cpu.") == []


REQUIREMENTS = ", requirements=karpenter.sh/nodepool In [wide], {}pool In [wide], resources={{}}"


@pytest.mark.parametrize(
    ("said", "want"),
    [
        ('incompatible requirements, label "disk" does not have known values', "selector"),
        ('incompatible requirements, label "topology.kubernetes.io/zone" does not have known '
         "values", "zone"),
        ("no instance type has enough resources" + REQUIREMENTS.format(""), "size"),
        ("no instance type met the scheduling requirements or had a required offering"
         + REQUIREMENTS.format("topology.kubernetes.io/zone In [x], "), "zone"),
        ("no instance type met all requirements"
         + REQUIREMENTS.format("kubernetes.io/arch In [arm64], "), "architecture"),
        ("did not tolerate taint (taint=kwok=fake:NoSchedule)", "taint"),
        ('all available instance types exceed limits for nodepool: "wide"', "limits"),
        ("words of a version to come", "unknown"),
    ],
)  # fmt: skip
def test_karpenter(said: str, want: str) -> None:
    assert karpenter(f"Failed to schedule pod, {said}") == [want]


POOL = {
    "limits": {"cpu": "24"},
    "template": {
        "metadata": {"labels": {"pool": "wide"}},
        "spec": {
            "taints": [{"key": "kwok", "value": "fake", "effect": "NoSchedule"}],
            "requirements": [
                {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
                {"key": "topology.kubernetes.io/zone", "operator": "NotIn", "values": ["c"]},
            ],
        },
    },
}
KWOK = ({"key": "kwok", "operator": "Exists"},)


@pytest.mark.parametrize(
    ("wish", "want"),
    [
        (Wish(), ["taint"]),
        (Wish(tolerations=({"key": "kwok", "value": "other"},)), ["taint"]),
        (Wish(tolerations=({"operator": "Exists"},)), []),
        (Wish(tolerations=({"key": "kwok", "value": "fake", "effect": "NoSchedule"},)), []),
        (Wish({"disk": "ssd"}, KWOK), ["selector"]),
        (Wish({"pool": "narrow"}, KWOK), ["selector"]),
        (Wish({"kubernetes.io/arch": "arm64"}, KWOK), ["architecture"]),
        (Wish({"topology.kubernetes.io/zone": "c"}, KWOK), ["zone"]),
        (Wish({"topology.kubernetes.io/zone": "a"}, KWOK), []),
        (Wish({"node.kubernetes.io/instance-type": "s-2x"}, KWOK), []),
        (Wish({}, KWOK, {"cpu": "25"}), ["size"]),
        (Wish({"pool": "wide"}, KWOK, {"cpu": "1500m"}), []),
    ],
)
def test_what_truly_stands_between(wish: Wish, want: list[str]) -> None:
    assert truly(wish, [POOL]) == want


def test_another_pool_may_take_it() -> None:
    free = {"template": {"metadata": {"labels": {"disk": "ssd"}}}}
    assert truly(Wish({"disk": "ssd"}), [POOL, free]) == []
    assert truly(Wish({"disk": "hdd"}, KWOK), [POOL, free]) == ["selector"]


def test_a_pod_asks_for_the_sum_of_its_containers() -> None:
    asks = {"resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}
    body = pod()
    body["spec"]["containers"] = [{"name": "a", **asks}, {"name": "b", **asks}]
    assert wish_of(body).requests == {"cpu": "1.0", "memory": repr(2.0 * 2**30)}


def test_every_reason_has_an_order() -> None:
    assert len(REASONS) == 16

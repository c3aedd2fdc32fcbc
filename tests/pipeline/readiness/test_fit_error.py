"""Why no node takes a pod, in the words of schedulers old and new."""

import pytest

from pipeline.readiness.detect.fit_error import (
    all_cordoned,
    binding_family,
    family,
    fit_reasons,
)

PREEMPTION = (
    " preemption: 0/5 nodes are available: 2 No preemption victims found for incoming pod, "
    "3 Preemption is not helpful for scheduling."
)


def test_counts_and_reasons() -> None:
    message = (
        "0/5 nodes are available: 1 node(s) had untolerated taint {node-role: master}, "
        "1 Too many pods, 4 Insufficient cpu." + PREEMPTION
    )
    assert fit_reasons(message) == [
        (1, "node(s) had untolerated taint {node-role: master}"),
        (1, "Too many pods"),
        (4, "Insufficient cpu"),
    ]


def test_a_comma_inside_a_reason() -> None:
    message = (
        "0/2 nodes are available: 1 node(s) had taint {a: b}, that the pod didn't tolerate, "
        "1 Insufficient memory."
    )
    assert fit_reasons(message)[0] == (1, "node(s) had taint {a: b}, that the pod didn't tolerate")


def test_a_reason_of_the_pod_itself_has_no_number() -> None:
    message = "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    assert fit_reasons(message) == [(0, "pod has unbound immediate PersistentVolumeClaims")]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("Insufficient nvidia.com/gpu", "capacity"),
        ("Too many pods", "capacity"),
        ("node(s) had no available disk", "capacity"),
        ("node(s) had untolerated taint {node.kubernetes.io/not-ready: }", "taint"),
        ("node(s) had untolerated taint(s)", "taint"),
        ("node(s) had taints that the pod didn't tolerate", "taint"),
        ("node(s) didn't match Pod's node affinity/selector", "affinity"),
        ("node(s) didn't match the requested node name", "affinity"),
        ("node(s) didn't match pod affinity rules", "pod-affinity"),
        ("node(s) didn't match pod anti-affinity rules", "pod-affinity"),
        ("node(s) didn't satisfy existing pods anti-affinity rules", "pod-affinity"),
        ("node(s) didn't match pod topology spread constraints", "spread"),
        ("node(s) didn't have free ports for the requested pod ports", "ports"),
        ("node(s) were unschedulable", "cordoned"),
        ("node(s) had volume node affinity conflict", "volume"),
        ("node(s) didn't find available persistent volumes to bind", "volume"),
        ("node(s) had no available volume zone", "volume"),
        ("node(s) exceed max volume count", "volume"),
        ("pod has unbound immediate PersistentVolumeClaims", "volume"),
        ('persistentvolumeclaim "x" not found', "volume"),
        ("something that a plugin of ours says", ""),
    ],
)
def test_families(reason: str, expected: str) -> None:
    assert family(reason) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("0/4 nodes are available: 3 node(s) had untolerated taint(s), 1 Insufficient cpu.",
         "capacity"),
        ("0/4 nodes are available: 2 Insufficient cpu, 2 node(s) didn't match pod topology spread "
         "constraints.", "spread"),
        ("0/4 nodes are available: 4 node(s) didn't match Pod's node affinity/selector.",
         "affinity"),
        ("no nodes available to schedule pods", "no-nodes"),
        ("0/4 nodes are available: 4 a new reason.", ""),
        ("a message of another scheduler", ""),
    ],
)  # fmt: skip
def test_what_refuses_the_nodes_that_got_furthest(message: str, expected: str) -> None:
    assert binding_family(message) == expected


def test_what_preemption_says_is_no_reason() -> None:
    message = "0/2 nodes are available: 2 node(s) were unschedulable." + PREEMPTION
    assert all_cordoned(message)
    assert not all_cordoned(message.replace("2 node(s) were", "1 Insufficient cpu, 1 node(s) were"))
    assert not all_cordoned("no nodes available to schedule pods")

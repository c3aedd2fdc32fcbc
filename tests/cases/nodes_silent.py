"""Nodes that say nothing: catalogue 3.2, and 3.3 where it concerns nodes."""

from pipeline.contract.state import DELETED, METRICS, REFUSED, TIMEOUT
from tests.cases.case import Cases
from tests.cases.rig import Rig

case = Cases()


@case("node.kubelet-down")
def kubelet_is_frozen(rig: Rig) -> None:
    rig.healthy(0, 60)
    for s in range(65, 125, 5):
        rig.healthz(s, TIMEOUT)
        rig.host(s, daemons={"kubelet": {"pid": 1, "state": "T"},
                             "containerd": {"pid": 2, "state": "S"}})  # fmt: skip
        rig.tick(s)
    rig.node(112, "Unknown", "Kubelet stopped posting node status.")
    rig.tick(125)


@case("node.kubelet-down", lookalike_of="node.unreachable")
def kubelet_does_not_start(rig: Rig) -> None:
    rig.healthy(0, 60)
    for s in range(65, 125, 5):
        rig.healthz(s, REFUSED)
        rig.tick(s)
    rig.log(70, "kubelet", 'E1123 05:45:07.076067 16481 run.go:74] "command failed" err="failed to '
            'run Kubelet: running with swap on is not supported, please disable swap"')  # fmt: skip
    rig.node(112, "Unknown", "Kubelet stopped posting node status.")
    rig.tick(125)


@case("", lookalike_of="node.kubelet-down")
def kubelet_is_restarted_quickly(rig: Rig) -> None:
    rig.healthy(0, 60)
    rig.healthz(65, REFUSED)
    rig.tick(65)
    rig.healthy(70, 120)


@case("", lookalike_of="node.kubelet-down")
def kubelet_is_upgraded(rig: Rig) -> None:
    """Stopped, exchanged, started: gone for some seconds."""
    rig.healthy(0, 60)
    for s in (65, 70, 75):
        rig.sample(s, METRICS, outcome=REFUSED)
        rig.healthz(s, REFUSED)
        rig.host(s, daemons={"containerd": {"pid": 2, "state": "S"}})
        rig.tick(s)
    rig.healthy(80, 160)


@case("node.kubelet-down", lookalike_of="node.unreachable")
def kubelet_is_stopped_and_nothing_is_known_of_leases(rig: Rig) -> None:
    rig.metrics(0)
    for s in range(5, 60, 5):
        running = {"kubelet": {"pid": 1, "state": "S"}} if s < 10 else {}
        rig.healthz(s, REFUSED)
        rig.host(s, daemons={"containerd": {"pid": 2, "state": "S"}, **running})
        rig.tick(s)


@case("", lookalike_of="node.unreachable")
def drained_node_is_rebooted(rig: Rig) -> None:
    """Cordoned, emptied but for its DaemonSets and static pods, and away for two minutes."""
    rig.healthy(0, 60)
    for name, kind in (("agent-x1", "DaemonSet"), ("proxy-node-a", "Node"), ("web-1", "")):
        meta = {"name": name, "namespace": "shop"}
        owner = {"kind": kind, "name": name[:5], "controller": True}
        rig.object(61, "pods", {"metadata": {**meta, "ownerReferences": [owner] if kind else []},
                                "spec": {"nodeName": "node-a"}, "status": {}})  # fmt: skip
    rig.node(62, unschedulable=True)
    rig.object(64, "pods", {"metadata": {"name": "web-1", "namespace": "shop"}}, DELETED)
    rig.ticks(65, 105)
    rig.node(106, "Unknown", "Kubelet stopped posting node status.", unschedulable=True)
    rig.ticks(110, 180)
    rig.event(
        181, "Rebooted", "Node node-a has been rebooted, boot id: 2", kind="Node", name="node-a"
    )
    rig.node(182, "False", "container runtime is down", unschedulable=True)
    rig.lease(183)
    rig.metrics(184, process_start=2.0)
    rig.ticks(185, 190)
    rig.node(191, unschedulable=True)
    rig.healthy(195, 260)


@case("node.unreachable", lookalike_of="node.not-ready")
def cordoned_node_with_pods_is_dark(rig: Rig) -> None:
    rig.healthy(0, 60)
    rig.pod(61, "web-1")
    rig.node(62, unschedulable=True)
    rig.ticks(65, 105)
    rig.node(106, "Unknown", "Kubelet stopped posting node status.", unschedulable=True)
    rig.ticks(110, 120)


@case("", lookalike_of="zone.disruption")
def autoscaler_removes_six_nodes_at_once(rig: Rig) -> None:
    names = [f"node-{n}" for n in range(8)]
    for name in names:
        rig.node(0, name=name)
        rig.lease(0, name)
    rig.tick(5)
    for name in names[:6]:
        rig.node(10, name=name, taints=["ToBeDeletedByClusterAutoscaler"])
    for s in range(20, 300, 20):
        for name in names[:6] if s == 60 else ():
            rig.node(s, "Unknown", name=name, taints=["ToBeDeletedByClusterAutoscaler"])
        for name in names[:6] if s == 160 else ():
            rig.object(s, "nodes", {"metadata": {"name": name}}, DELETED)
        for name in names[6:]:
            rig.lease(s, name)
        rig.ticks(s, s + 15)


@case("", lookalike_of="node.kubelet-down")
def node_is_deleted_before_its_machine_stops(rig: Rig) -> None:
    rig.healthy(0, 60)
    rig.object(61, "nodes", {"metadata": {"name": "node-a"}}, DELETED)
    for s in (65, 70, 75):
        rig.healthz(s, REFUSED)
        rig.host(s, daemons={"containerd": {"pid": 2, "state": "S"}})
        rig.tick(s)
    rig.ticks(80, 300)


@case("node.unreachable")
def node_is_dark(rig: Rig) -> None:
    rig.healthy(0, 60)
    rig.ticks(65, 105)
    rig.node(106, "Unknown", "Kubelet stopped posting node status.")
    rig.ticks(110, 120)


@case("node.not-ready", lookalike_of="node.unreachable")
def node_without_a_collector_is_unknown(rig: Rig) -> None:
    rig.node(0)
    rig.lease(0)
    rig.ticks(5, 50)
    rig.node(50, "Unknown", "Kubelet stopped posting node status.")
    rig.ticks(55, 65)


@case("node.apiserver-path", lookalike_of="node.kubelet-down")
def kubelet_answers_and_does_not_reach_the_api(rig: Rig) -> None:
    rig.healthy(0, 60)
    for s in range(65, 125, 5):
        rig.metrics(s, rest={"200": 100, "<error>": float(s)})
        rig.healthz(s)
        rig.tick(s)
    rig.log(90, "kubelet", 'E1123 05:45:07.076067 16481 controller.go:145] "Failed to ensure lease '
            'exists, will retry" err="Get \\"https://10.0.0.1:6443/apis/coordination.k8s.io/v1/'
            'namespaces/kube-node-lease/leases/node-a?timeout=10s\\": net/http: request canceled '
            '(Client.Timeout exceeded while awaiting headers)" interval="7s"')  # fmt: skip
    rig.node(112, "Unknown", "Kubelet stopped posting node status.")
    rig.tick(125)


@case("node.cert", lookalike_of="node.apiserver-path")
def client_certificate_has_expired(rig: Rig) -> None:
    rig.healthy(0, 60)
    for s in range(65, 125, 5):
        rig.metrics(s, rest={"200": 100, "<error>": float(s)}, client_cert_ttl=-5.0)
        rig.healthz(s)
        rig.tick(s)
    rig.log(90, "kubelet", 'E1123 05:45:07.076067 16481 kubelet_node_status.go:1] "Error updating '
            'node status, will retry" err="error getting node: Get https://10.0.0.1:6443/api/v1/nodes/'
            "node-a: x509: certificate has expired or is not yet valid: current time "
            '2026-11-23T05:45:07Z is after 2026-11-22T00:00:00Z"')  # fmt: skip
    rig.node(112, "Unknown", "Kubelet stopped posting node status.")
    rig.tick(125)


@case("", lookalike_of="node.cert")
def client_certificate_expires_in_a_month(rig: Rig) -> None:
    rig.node(0)
    for s in range(0, 65, 5):
        rig.metrics(s, client_cert_ttl=30 * 86_400.0)
        rig.healthz(s)
        rig.tick(s)
        if s % 20 == 0:
            rig.lease(s)


def _silent(rig: Rig, silent: int, total: int) -> None:
    for s in range(0, 65, 5):
        for number in range(total):
            if s == 0:
                rig.node(s, name=f"node-{number}")
            if s % 20 == 0:
                rig.lease(s, f"node-{number}")
        rig.tick(s)
    for s in range(65, 125, 5):
        for number in range(silent, total):
            if s % 20 == 0:
                rig.lease(s, f"node-{number}")
        if s == 110:
            for number in range(silent):
                rig.node(
                    s, "Unknown", "Kubelet stopped posting node status.", name=f"node-{number}"
                )
        rig.tick(s)


@case({"cluster/-": "zone.disruption"}, lookalike_of="node.not-ready")
def most_nodes_fall_silent_together(rig: Rig) -> None:
    _silent(rig, silent=12, total=20)


@case({"cluster/-": "zone.disruption"})
def some_of_many_nodes_fall_silent_together(rig: Rig) -> None:
    _silent(rig, silent=6, total=100)


@case(
    {"node/node-0": "node.not-ready", "node/node-1": "node.not-ready"},
    lookalike_of="zone.disruption",
)
def two_of_many_nodes_fall_silent(rig: Rig) -> None:
    _silent(rig, silent=2, total=20)

"""Nodes that say nothing: catalogue 3.2, and 3.3 where it concerns nodes."""

from pipeline.contract.state import REFUSED, TIMEOUT
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

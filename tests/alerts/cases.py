"""What tests/cases has not: recordings by hand for alert rules, through the same real folds."""

from tests.cases.rig import Rig
from tests.cases.shapes import conditioned


def node_flaps(rig: Rig) -> None:
    """Ready and not ready again, four times in eight minutes."""
    rig.healthy(0, 10)
    for s in range(20, 500, 120):
        rig.node(s, "False", "PLEG is not healthy: pleg was last seen active 3m1s ago")
        rig.node(s + 60, "True")
    rig.ticks(500, 520)


def node_flaps_twice(rig: Rig) -> None:
    rig.healthy(0, 10)
    for s in (20, 140):
        rig.node(s, "False", "starting")
        rig.node(s + 60, "True")
    rig.ticks(205, 300)


def _api(rig: Rig, s: float, status: str) -> None:
    rig.object(
        s,
        "apiservices",
        conditioned("v1beta1.metrics.k8s.io", {
            "type": "Available", "status": status, "reason": "MissingEndpoints",
            "message": "endpoints for service/metrics-server have no addresses",
        }),
    )  # fmt: skip


def an_aggregated_api_is_down(rig: Rig) -> None:
    rig.tick(0)
    _api(rig, 1, "True")
    _api(rig, 10, "False")
    rig.ticks(15, 400)


def an_aggregated_api_is_down_for_two_minutes(rig: Rig) -> None:
    rig.tick(0)
    _api(rig, 1, "True")
    _api(rig, 10, "False")
    rig.ticks(15, 130)
    _api(rig, 131, "True")
    rig.ticks(135, 600)


def root_certificate_ends_in_a_week(rig: Rig) -> None:
    rig.object(0, "secrets", {
        "metadata": {"name": "istio-ca-secret", "namespace": "istio-system"},
        "certificates": [{"key": "ca-cert.pem", "not_after": "2026-11-27T00:00:00Z"}],
    })  # fmt: skip
    rig.ticks(5, 40)


def node_recovers(rig: Rig) -> None:
    """The runtime does not list pods for two minutes, then all is well for five."""
    rig.healthy(0, 30)
    rig.log(40, "kubelet", 'E1123 05:34:01.000000    1234 generic.go:238] "GenericPLEG: Unable to '
            'retrieve pods" err="rpc error: code = DeadlineExceeded desc = context deadline '
            'exceeded"')  # fmt: skip
    rig.alive(45, 160)
    rig.healthy(165, 1200)


CASES = {
    case.__name__: case
    for case in (
        node_flaps, node_flaps_twice, an_aggregated_api_is_down,
        an_aggregated_api_is_down_for_two_minutes, root_certificate_ends_in_a_week, node_recovers,
    )
}  # fmt: skip

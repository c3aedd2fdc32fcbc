"""Horizontal pod autoscalers that cannot, may not or should not scale, in their own words."""

from tests.cases.case import Cases
from tests.cases.rig import Rig
from tests.cases.scaling import (
    CALCULATES,
    CANNOT,
    IN_RANGE,
    TOO_MANY,
    deployment,
    fails,
    hpa,
)

case = Cases()

HPA = "hpa/shop/web"
HPAS, DEPLOYMENTS = "horizontalpodautoscalers", "deployments"
ABOUT = {"kind": "HorizontalPodAutoscaler", "namespace": "shop", "name": "web"}
DOWN = (
    "unable to fetch metrics from resource metrics API: the server is currently unable to "
    "handle the request (get pods.metrics.k8s.io)"
)
EXTERNAL = (
    "unable to get external metric shop/queue/nil: unable to fetch metrics from external "
    "metrics API: the server could not find the requested resource"
)


def _well(rig: Rig, s: float = 1) -> None:
    rig.tick(s - 1)
    rig.object(s, DEPLOYMENTS, deployment())
    rig.object(s, HPAS, hpa(CALCULATES, IN_RANGE))


@case({HPA: "hpa.no-metrics"})
def metrics_api_is_down(rig: Rig) -> None:
    _well(rig)
    rig.object(15, HPAS, hpa(fails(CANNOT + DOWN)))
    rig.ticks(20, 90)


@case({HPA: "hpa.no-metrics"})
def a_sidecar_has_no_request(rig: Rig) -> None:
    _well(rig)
    rig.object(15, HPAS, hpa(fails(
        CANNOT + "missing request for cpu in container proxy of Pod web-7d9c5-x2x4p")))  # fmt: skip
    rig.ticks(20, 60)


@case({HPA: "hpa.no-metrics"})
def metrics_of_these_pods_never_come(rig: Rig) -> None:
    _well(rig)
    rig.object(15, HPAS, hpa(fails(CANNOT + "no metrics returned from resource metrics API")))
    rig.ticks(20, 120)


@case({HPA: "hpa.no-metrics"})
def one_of_two_metrics_fails(rig: Rig) -> None:
    """ScalingActive stays True."""
    _well(rig)
    for s in (15, 30, 45):
        rig.event(s, "FailedGetExternalMetric", EXTERNAL, **ABOUT)
        rig.event(s + 0.1, "FailedComputeMetricsReplicas", "invalid metrics (1 invalid out of 2), "
                  f"first error is: {EXTERNAL}", **ABOUT)  # fmt: skip
        rig.ticks(s + 5, s + 10)


@case({}, lookalike_of="hpa.no-metrics")
def a_new_hpa_waits_for_its_first_metrics(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, DEPLOYMENTS, deployment(1, ready=0))
    rig.object(2, HPAS, hpa(desired=0))
    rig.object(17, HPAS, hpa(fails(CANNOT + "no metrics returned from resource metrics API"),
                             desired=0))  # fmt: skip
    rig.event(17, "FailedGetResourceMetric", "failed to get cpu utilization", **ABOUT)
    rig.ticks(20, 30)
    rig.object(32, HPAS, hpa(fails(CANNOT + "did not receive metrics for targeted pods (pods might "
                                   "be unready)"), desired=0))  # fmt: skip
    rig.ticks(35, 60)
    rig.object(62, DEPLOYMENTS, deployment(1))
    rig.object(62, HPAS, hpa(CALCULATES, IN_RANGE, desired=1))
    rig.ticks(65, 300)


@case({HPA: "hpa.maxed"})
def more_pods_are_wanted_than_allowed(rig: Rig) -> None:
    _well(rig)
    rig.object(15, DEPLOYMENTS, deployment(6))
    rig.object(15, HPAS, hpa(CALCULATES, TOO_MANY, desired=6))
    rig.ticks(20, 90)


@case({}, lookalike_of="hpa.maxed")
def at_the_maximum_for_one_calculation(rig: Rig) -> None:
    _well(rig)
    rig.object(15, DEPLOYMENTS, deployment(6))
    rig.object(15, HPAS, hpa(CALCULATES, TOO_MANY, desired=6))
    rig.ticks(20, 25)
    rig.object(30, HPAS, hpa(CALCULATES, IN_RANGE, desired=6))
    rig.ticks(35, 200)


@case({}, lookalike_of="hpa.maxed")
def minimum_and_maximum_are_the_same(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, HPAS, hpa(CALCULATES, TOO_MANY, low=3, high=3, desired=3))
    rig.ticks(5, 200)


LIMIT = ("ScalingLimited", "True", "ScaleUpLimit",
         "the desired replica count is increasing faster than the maximum scale rate")  # fmt: skip


@case({HPA: "hpa.rate-limited"}, lookalike_of="hpa.maxed")
def its_policy_slows_the_scale_up(rig: Rig) -> None:
    _well(rig)
    rig.object(15, HPAS, hpa(CALCULATES, LIMIT))
    rig.ticks(20, 60)


@case({}, lookalike_of="hpa.rate-limited")
def stabilisation_delays_the_scale_up(rig: Rig) -> None:
    _well(rig)
    waits = ("AbleToScale", "True", "ScaleUpStabilized", "recent recommendations were lower than "
             "current one, applying the lowest recent recommendation")  # fmt: skip
    rig.object(15, HPAS, hpa(waits, CALCULATES, IN_RANGE))
    rig.ticks(20, 200)


def _sizes(rig: Rig, *sizes: int) -> None:
    _well(rig)
    for number, size in enumerate(sizes):
        s = 60 + number * 120
        rig.object(s, DEPLOYMENTS, deployment(size, writer="kube-controller-manager"))
        rig.object(s, HPAS, hpa(CALCULATES, IN_RANGE, desired=size))
        rig.ticks(s + 5, s + 60, 15)


@case({HPA: "hpa.flapping"})
def up_and_down_again_and_again(rig: Rig) -> None:
    _sizes(rig, 5, 2, 5, 2)


@case({}, lookalike_of="hpa.flapping")
def up_in_steps_and_down_once(rig: Rig) -> None:
    _sizes(rig, 3, 4, 6, 3, 2)


@case({HPA: "hpa.disabled"})
def the_target_has_no_pods(rig: Rig) -> None:
    _well(rig)
    rig.object(15, HPAS, hpa(fails("scaling is disabled since the replica count of the target is "
                                   "zero", "ScalingDisabled")))  # fmt: skip
    rig.ticks(20, 60)


LOST = ("AbleToScale", "False", "FailedGetScale", "the HPA controller was unable to get the "
        'target\'s current scale: deployments.apps "web" not found')  # fmt: skip


@case({HPA: "hpa.target-lost"}, lookalike_of="hpa.disabled")
def the_target_does_not_exist(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, HPAS, hpa(LOST))
    rig.ticks(5, 60)


@case({HPA: "hpa.target-lost"})
def the_target_cannot_be_written(rig: Rig) -> None:
    _well(rig)
    rig.object(15, HPAS, hpa(("AbleToScale", "False", "FailedUpdateScale", "the HPA controller was "
                              "unable to update the target scale: forbidden"), CALCULATES))  # fmt: skip
    rig.event(
        15, "FailedRescale", "New size: 3; reason: cpu above target; error: forbidden", **ABOUT
    )
    rig.ticks(20, 60)


@case({}, lookalike_of="hpa.target-lost")
def the_target_is_made_after_its_hpa(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, HPAS, hpa(LOST))
    rig.ticks(5, 15)
    rig.object(16, DEPLOYMENTS, deployment())
    rig.object(16, HPAS, hpa(CALCULATES, IN_RANGE))
    rig.ticks(20, 100)


BOTH = "pods by selector app=web are controlled by multiple HPAs: [shop/web shop/web-2]"


@case({HPA: "hpa.ambiguous"})
def two_hpas_select_the_same_pods(rig: Rig) -> None:
    _well(rig)
    rig.object(15, HPAS, hpa(fails(BOTH, "AmbiguousSelector")))
    rig.ticks(20, 60)


@case({}, lookalike_of="hpa.ambiguous")
def an_hpa_is_renamed(rig: Rig) -> None:
    """Both are there for one calculation."""
    _well(rig)
    rig.object(15, HPAS, hpa(fails(BOTH, "AmbiguousSelector")))
    rig.ticks(20, 25)
    rig.object(30, HPAS, hpa(CALCULATES, IN_RANGE))
    rig.ticks(35, 100)


@case({HPA: "hpa.vs-other-writer"}, lookalike_of="hpa.flapping")
def a_deploy_tool_writes_the_number_back(rig: Rig) -> None:
    _well(rig)
    for s in (60, 180):
        rig.object(s, DEPLOYMENTS, deployment(4, writer="kube-controller-manager"))
        rig.object(s, HPAS, hpa(CALCULATES, IN_RANGE, desired=4))
        rig.object(s + 60, DEPLOYMENTS, deployment(1, writer="argocd-controller"))
        rig.ticks(s + 65, s + 110, 15)
    rig.object(300, DEPLOYMENTS, deployment(4, writer="kube-controller-manager"))
    rig.ticks(305, 320)


@case({}, lookalike_of="hpa.vs-other-writer")
def somebody_scales_by_hand_once(rig: Rig) -> None:
    _well(rig)
    rig.object(60, DEPLOYMENTS, deployment(5, writer="kubectl"))
    rig.object(65, DEPLOYMENTS, deployment(2, writer="kube-controller-manager"))
    rig.ticks(70, 200)


@case({HPA: "autoscaler.scaled-but-not-ready"})
def a_quota_stops_the_new_pods(rig: Rig) -> None:
    _well(rig)
    rig.object(15, DEPLOYMENTS, deployment(5, made=3))
    rig.object(15, HPAS, hpa(CALCULATES, IN_RANGE, desired=5))
    rig.ticks(20, 200)


@case({}, lookalike_of="autoscaler.scaled-but-not-ready")
def new_pods_take_a_minute_to_warm_up(rig: Rig) -> None:
    _well(rig)
    rig.object(15, DEPLOYMENTS, deployment(5, ready=2))
    rig.object(15, HPAS, hpa(CALCULATES, IN_RANGE, desired=5))
    rig.ticks(20, 75)
    rig.object(76, DEPLOYMENTS, deployment(5))
    rig.ticks(80, 300)

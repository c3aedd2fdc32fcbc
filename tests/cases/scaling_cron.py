"""Scheduled and vertical scaling: CronHPA (AliyunContainerService/kubernetes-cronhpa-controller) and
VPA (kubernetes/autoscaler), in their own words."""

from datetime import UTC, datetime, timedelta

from tests.cases.case import Cases
from tests.cases.rig import T0, Rig
from tests.cases.scaling import (
    CALCULATES,
    IN_RANGE,
    cronhpa,
    deployment,
    hpa,
    job,
    vpa,
)
from tests.cases.shapes import pod, running

case = Cases()

CRONS, VPAS = "cronhorizontalpodautoscalers", "verticalpodautoscalers"
CRON, VPA = "cronhpa/shop/daily", "vpa/shop/web"
ABOUT = {"kind": "CronHorizontalPodAutoscaler", "namespace": "shop", "name": "daily"}
DONE = "cron hpa job up executed successfully. current replicas:2, desired replicas:5."
BROKEN = (
    "cron hpa failed to execute, because of failed to scale Deployment web in shop namespace "
    'to 5 after retrying 3 times and exit,because of deployments.apps "web" not found'
)
SKIPPED = (
    "cron hpa job up executed successfully. Skip scale replicas because HPA web in namespace "
    "shop current replicas:6 >= desired replicas:5."
)


def at(s: float) -> str:
    when = datetime.fromtimestamp(T0 / 1000, UTC) + timedelta(seconds=s)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


@case({CRON: "cronhpa.failed"}, lookalike_of="cronhpa.missed")
def the_target_of_the_job_is_gone(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, CRONS, cronhpa(job("Failed", at(0), BROKEN)))
    rig.event(1, "Failed", BROKEN, **ABOUT)
    rig.ticks(5, 60)


@case({CRON: "cronhpa.skipped"}, lookalike_of="cronhpa.failed")
def the_hpa_has_more_pods_already(rig: Rig) -> None:
    rig.tick(0)
    rig.object(2, CRONS, cronhpa(job("Succeed", at(1), SKIPPED)))
    rig.ticks(5, 60)


@case({CRON: "cronhpa.skipped"})
def the_date_is_excluded(rig: Rig) -> None:
    rig.tick(0)
    message = "cron hpa job up executed successfully. skip scaling activity,because of excludeDate "
    rig.object(2, CRONS, cronhpa(job("Succeed", at(1), message + "(* * * 23 11 *).")))
    rig.ticks(5, 60)


@case({}, lookalike_of="cronhpa.skipped")
def the_job_runs_each_five_minutes(rig: Rig) -> None:
    rig.tick(0)
    for s in range(2, 900, 300):
        rig.object(s, CRONS, cronhpa(job("Succeed", at(s - 1), DONE)))
        rig.ticks(s + 3, s + 295, 30)


@case({CRON: "cronhpa.missed"})
def the_controller_was_away_at_the_time(rig: Rig) -> None:
    rig.tick(0)
    rig.object(2, CRONS, cronhpa(job("Succeed", at(1), DONE)))
    rig.ticks(5, 480, 15)


@case({CRON: "cronhpa.missed"})
def the_run_is_made_up_for_late(rig: Rig) -> None:
    rig.tick(0)
    rig.object(2, CRONS, cronhpa(job("Submitted", at(1))))
    rig.event(30, "OutOfDate", "rerun out of date job: up", **ABOUT)
    rig.ticks(35, 60)


@case({}, lookalike_of="cronhpa.missed")
def the_job_was_to_run_once(rig: Rig) -> None:
    rig.tick(0)
    ran = cronhpa(job("Succeed", at(1), DONE))
    ran["spec"]["jobs"] = [{"name": "up", "schedule": "0 */5 * * * *", "runOnce": True}]
    rig.object(2, CRONS, ran)
    rig.ticks(5, 900, 15)


def _with_hpa(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "deployments", deployment())
    rig.object(1, "horizontalpodautoscalers", hpa(CALCULATES, IN_RANGE))


@case({CRON: "cronhpa.conflict"}, lookalike_of="hpa.vs-other-writer")
def it_scales_what_an_hpa_scales(rig: Rig) -> None:
    _with_hpa(rig)
    rig.object(2, CRONS, cronhpa(job("Submitted", at(1))))
    rig.ticks(5, 60)


@case({}, lookalike_of="cronhpa.conflict")
def it_moves_the_bounds_of_the_hpa(rig: Rig) -> None:
    _with_hpa(rig)
    rig.object(2, CRONS, cronhpa(job("Submitted", at(1)), kind="HorizontalPodAutoscaler"))
    rig.ticks(5, 60)


# Vertical

PROVIDED = ("RecommendationProvided", "True", "")
NONE_YET = ("RecommendationProvided", "False", "")


@case({VPA: "vpa.no-recommendation"}, lookalike_of="vpa.eviction-loop")
def no_pod_matches(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, VPAS, vpa(NONE_YET, ("NoPodsMatched", "True", "No pods match this VPA object")))
    rig.ticks(5, 150)


@case({VPA: "vpa.no-recommendation"})
def the_target_is_owned_by_another(rig: Rig) -> None:
    rig.tick(0)
    message = "The target ReplicaSet/web has a parent controller but it should point to a topmost"
    rig.object(1, VPAS, vpa(("ConfigUnsupported", "True", message)))
    rig.ticks(5, 90)


@case({}, lookalike_of="vpa.no-recommendation")
def history_is_being_loaded(rig: Rig) -> None:
    rig.tick(0)
    rig.object(
        1, VPAS, vpa(NONE_YET, ("FetchingHistory", "True", "Fetching history is in progress"))
    )
    rig.ticks(5, 120)
    rig.object(121, VPAS, vpa(PROVIDED, ("LowConfidence", "True", ""), cpu="100m"))
    rig.ticks(125, 900, 15)


def _beside_an_hpa(rig: Rig, mode: str) -> None:
    target = {"type": "Utilization", "averageUtilization": 60}
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    rig.tick(0)
    rig.object(1, "horizontalpodautoscalers", hpa(CALCULATES, IN_RANGE, metrics=[cpu]))
    beside = vpa(PROVIDED, cpu="500m")
    beside["spec"]["updatePolicy"] = {"updateMode": mode}
    rig.object(2, VPAS, beside)
    rig.ticks(5, 60)


@case({"hpa/shop/web": "hpa.vs-other-writer"})
def a_vpa_moves_what_the_hpa_goes_by(rig: Rig) -> None:
    _beside_an_hpa(rig, "Recreate")


@case({}, lookalike_of="hpa.vs-other-writer")
def a_vpa_only_recommends(rig: Rig) -> None:
    _beside_an_hpa(rig, "Off")


def _evictions(rig: Rig, times: int) -> None:
    """Of a Deployment with two pods."""
    rig.tick(0)
    rig.object(1, "deployments", deployment(2))
    rig.object(2, VPAS, vpa(PROVIDED, cpu="500m"))
    for number in range(times):
        s, name = 60 * (number + 1), f"web-7d9c5-{number}"
        new = pod(name, phase="Running", ready="True", containers=[running(ready=True)],
                  owner=("ReplicaSet", "web-7d9c5"))  # fmt: skip
        new["metadata"]["labels"] = {"pod-template-hash": "7d9c5"}
        rig.object(s, "pods", new)
        rig.event(s + 30, "EvictedByVPA", "Pod was evicted by VPA Updater to apply resource "
                  "recommendation.", kind="Pod", namespace="shop", name=name)  # fmt: skip
        rig.object(s + 40, VPAS, vpa(PROVIDED, cpu="510m"))
        rig.ticks(s + 45, s + 55)


@case({VPA: "vpa.eviction-loop"})
def the_same_pods_are_evicted_without_end(rig: Rig) -> None:
    _evictions(rig, 5)


@case({}, lookalike_of="vpa.eviction-loop")
def each_pod_is_evicted_once(rig: Rig) -> None:
    _evictions(rig, 2)

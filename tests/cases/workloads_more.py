"""Workloads again: controllers that try once more, last runs of CronJobs, Services and their pods,
namespaces of old clusters, certificates that end soon."""

from typing import Any

from tests.cases.case import Cases
from tests.cases.rig import Rig
from tests.cases.shapes import conditioned, pod, running, unscheduled, waiting

case = Cases()

WEB, NIGHTLY = "deployment/shop/web", "cronjob/shop/nightly"
SET = {"kind": "StatefulSet", "namespace": "shop", "name": "db"}
QUOTA = (
    'create Pod db-0 in StatefulSet db failed error: pods "db-0" is forbidden: exceeded quota: s'
)
STALLED = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
           "message": 'ReplicaSet "web-1" has timed out progressing.'}  # fmt: skip


@case({"statefulset/shop/db": "workload.create-failed"})
def quota_refuses_a_stateful_set(rig: Rig) -> None:
    """It has no condition for that, and tries again after up to 16 minutes."""
    rig.tick(0)
    rig.event(5, "FailedCreate", QUOTA, **SET)
    rig.ticks(10, 900, 30)


@case({}, lookalike_of="workload.create-failed")
def controller_succeeds_at_the_second_try(rig: Rig) -> None:
    rig.tick(0)
    rig.event(5, "FailedCreate", 'create Pod db-0 in StatefulSet db failed error: pods "db-0" already '
              "exists", **SET)  # fmt: skip
    rig.event(7, "SuccessfulCreate", "create Pod db-0 in StatefulSet db successful", **SET)
    rig.ticks(10, 120)


@case({WEB: "pod.unschedulable"}, lookalike_of="workload.create-failed")
def rollout_stalls_because_no_node_fits(rig: Rig) -> None:
    rig.tick(0)
    _replicaset(rig)
    rig.object(1, "pods", pod("web-a", node="", owner=("ReplicaSet", "web-1"), conditions=unscheduled(
        "0/3 nodes are available: 3 Insufficient memory.")))  # fmt: skip
    rig.ticks(5, 90)
    rig.object(91, "deployments", conditioned("web", STALLED, namespace="shop"))
    rig.ticks(95, 150)


def _replicaset(rig: Rig) -> None:
    owner = {"kind": "Deployment", "name": "web", "uid": "d", "controller": True}
    rig.object(0, "replicasets", {"metadata": {"name": "web-1", "namespace": "shop",
                                               "ownerReferences": [owner]}})  # fmt: skip


def _run(name: str, verdict: str, when: str = "") -> dict[str, Any]:
    condition = {"type": verdict, "status": "True", "reason": "BackoffLimitExceeded",
                 "lastTransitionTime": when}  # fmt: skip
    job = conditioned(name, *([condition] if verdict else []), namespace="shop")
    job["metadata"]["ownerReferences"] = [
        {"kind": "CronJob", "name": "nightly", "uid": "c", "controller": True}
    ]
    return job


@case({NIGHTLY: "job.failed"})
def next_run_of_a_failed_cronjob_has_begun(rig: Rig) -> None:
    """It may fail as well: only its end says more."""
    rig.tick(0)
    rig.object(1, "jobs", _run("nightly-1", "Failed"))
    rig.ticks(5, 30)
    rig.object(31, "jobs", _run("nightly-2", ""))
    rig.ticks(35, 120)


@case({NIGHTLY: "job.failed"})
def failed_run_was_removed_by_its_time_to_live(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "jobs", _run("nightly-1", "Failed"))
    rig.object(40, "jobs", _run("nightly-1", "Failed"), "DELETED")
    rig.ticks(45, 120)


@case({}, lookalike_of="job.failed")
def an_older_run_failed_and_the_last_one_completed(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "jobs", _run("nightly-2", "Complete", "2026-11-23T02:00:00Z"))
    rig.object(2, "jobs", _run("nightly-1", "Failed", "2026-11-22T02:00:00Z"))
    rig.ticks(5, 60)


@case({}, lookalike_of="job.failed")
def a_job_failed_last_week(rig: Rig) -> None:
    rig.tick(0)
    condition = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded",
                 "lastTransitionTime": "2026-11-16T02:00:00Z"}  # fmt: skip
    rig.object(1, "jobs", conditioned("once", condition, namespace="shop"))
    rig.ticks(5, 60)


@case({"job/shop/once": "job.failed"})
def jobs_are_not_watched_and_an_event_tells(rig: Rig) -> None:
    rig.tick(0)
    rig.event(1, "BackoffLimitExceeded", "Job has reached the specified backoff limit",
              kind="Job", namespace="shop", name="once")  # fmt: skip
    rig.ticks(5, 600, 30)


def _slice(rig: Rig, s: float, *ready: bool) -> None:
    endpoints = [
        {"conditions": {"ready": yes}, "targetRef": {"kind": "Pod", "namespace": "shop",
                                                     "name": f"web-{number}"}}
        for number, yes in enumerate(ready)
    ]  # fmt: skip
    meta = {"name": "web-x", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}}
    rig.object(s, "endpointslices", {"metadata": meta, "endpoints": endpoints})


def _refused(rig: Rig, start: int, stop: int) -> None:
    for s in range(start, stop, 10):
        rig.container_log(s, "ingress/controller-0", "controller", "W1123 05:33:21.000000       7 "
            'controller.go:1] Service "shop/web" does not have any active Endpoint.')  # fmt: skip
        rig.ticks(s + 1, s + 9)


@case({}, lookalike_of="ingress.no-endpoints")
def service_was_empty_until_its_pods_were_ready(rig: Rig) -> None:
    rig.tick(0)
    _slice(rig, 1, False)
    _refused(rig, 2, 22)
    _slice(rig, 24, True)
    rig.ticks(25, 120)


@case({}, lookalike_of="ingress.no-endpoints")
def workload_behind_the_ingress_is_scaled_to_zero(rig: Rig) -> None:
    rig.tick(0)
    rig.object(0, "deployments", {"metadata": {"name": "web", "namespace": "shop"},
                                  "spec": {"replicas": 0}})  # fmt: skip
    _slice(rig, 1)
    _refused(rig, 2, 90)


@case({}, lookalike_of="ingress.no-endpoints")
def a_service_is_empty_and_nobody_asks_for_it(rig: Rig) -> None:
    rig.tick(0)
    _slice(rig, 1)
    rig.ticks(5, 200)


@case({"service/shop/web": "ingress.no-endpoints"})
def no_pod_fits_the_selector_of_the_service(rig: Rig) -> None:
    rig.tick(0)
    _slice(rig, 1)
    _refused(rig, 2, 60)


@case({"pod/shop/web-0": "pod.crashloop"}, lookalike_of="ingress.no-endpoints")
def service_is_empty_because_its_pod_crashes(rig: Rig) -> None:
    rig.tick(0)
    crash = waiting("CrashLoopBackOff", "back-off 40s", reason="Error", exitCode=1)
    rig.object(1, "pods", pod(phase="Running", containers=[crash]))
    rig.ticks(5, 30)
    _slice(rig, 31, False)
    _refused(rig, 32, 100)


@case({"namespace/old": "ns.terminating.apiservice"})
def old_cluster_says_nothing_about_its_namespace(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "apiservices", conditioned("v1beta1.metrics.k8s.io", {
        "type": "Available", "status": "False", "reason": "MissingEndpoints", "message": "none"}))  # fmt: skip
    document = conditioned("old")
    document["metadata"]["deletionTimestamp"] = "2026-11-23T05:33:21Z"
    rig.object(2, "namespaces", document)
    rig.ticks(5, 120)


@case({"namespace/old": "ns.terminating.unknown"}, lookalike_of="ns.terminating.apiservice")
def namespace_stays_and_nothing_tells_why(rig: Rig) -> None:
    rig.tick(0)
    document = conditioned("old")
    document["metadata"]["deletionTimestamp"] = "2026-11-23T05:33:21Z"
    rig.object(2, "namespaces", document)
    rig.ticks(5, 400)


@case({"mesh/istio-system/istio-ca-secret": "mesh.ca-expiring"}, lookalike_of="mesh.ca-expired")
def root_certificate_ends_in_three_days(rig: Rig) -> None:
    rig.object(0, "secrets", {
        "metadata": {"name": "istio-ca-secret", "namespace": "istio-system"},
        "certificates": [{"key": "ca-cert.pem", "not_after": "2026-11-26T05:33:20Z"}],
    })  # fmt: skip
    rig.ticks(5, 40)


@case({"cloneset/shop/web": "pod.crashloop"})
def pods_of_a_controller_of_another_kind_are_one_incident(rig: Rig) -> None:
    rig.tick(0)
    crash = waiting("CrashLoopBackOff", "back-off 40s", reason="Error", exitCode=1)
    for name in ("web-a", "web-b", "web-c"):
        rig.object(1, "pods", pod(name, phase="Running", containers=[crash],
                                  owner=("CloneSet", "web")))  # fmt: skip
    rig.ticks(5, 30)


@case({"pod/shop/web-0": "pod.crashloop"})
def static_pod_belongs_to_itself_and_not_to_its_node(rig: Rig) -> None:
    rig.tick(0)
    crash = waiting("CrashLoopBackOff", "back-off 40s", reason="Error", exitCode=1)
    rig.object(1, "pods", pod(phase="Running", containers=[crash, running(ready=True, name="b")],
                              owner=("Node", "node-a")))  # fmt: skip
    rig.ticks(5, 30)

"""Pods again: many of one workload, starts that take long, autoscalers, volumes of other nodes."""

from pipeline.contract.state import DELETED
from tests.cases.case import Cases
from tests.cases.pods import ABOUT, CREATING, IMAGE, POD
from tests.cases.rig import Rig
from tests.cases.shapes import pod, running, unscheduled, waiting

case = Cases()

WEB = "deployment/shop/web"
NOT_MOUNTED = 'MountVolume.SetUp failed for volume "conf" : failed to sync configmap cache'
CPU = "0/3 nodes are available: 1 node(s) had untolerated taint {a: b}, 2 Insufficient cpu."
READY = {"phase": "Running", "ready": "True", "containers": [running(ready=True)]}


def _owned() -> dict[str, tuple[str, str]]:
    return {"owner": ("ReplicaSet", "web-1")}


def _replicaset(rig: Rig) -> None:
    owner = {"kind": "Deployment", "name": "web", "uid": "d", "controller": True}
    rig.object(0, "replicasets", {"metadata": {"name": "web-1", "namespace": "shop",
                                               "ownerReferences": [owner]}})  # fmt: skip


def _about(name: str) -> dict[str, str]:
    return {"kind": "Pod", "namespace": "shop", "name": name}


@case({}, lookalike_of="pod.volume-mount")
def one_pod_once_failed_to_mount_and_others_start(rig: Rig) -> None:
    """A rollout: there is always a pod that is being created, and one had a passing fault."""
    _replicaset(rig)
    rig.object(1, "pods", pod("web-a", containers=[CREATING], **_owned()))
    rig.event(2, "FailedMount", NOT_MOUNTED, **_about("web-a"))
    rig.object(6, "pods", pod("web-a", **READY, **_owned()))
    for s, name in ((10, "web-b"), (40, "web-c"), (70, "web-d")):
        rig.object(s, "pods", pod(name, containers=[CREATING], **_owned()))
        rig.ticks(s + 5, s + 25)
        rig.object(s + 32, "pods", pod(name, **READY, **_owned()))
    rig.ticks(110, 150)


@case({}, lookalike_of="pod.volume-mount")
def mount_failed_once_and_then_a_large_image_is_pulled(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "pods", pod(containers=[CREATING]))
    rig.event(2, "FailedMount", NOT_MOUNTED, **ABOUT)
    rig.event(4, "Pulling", f'Pulling image "{IMAGE}"', **ABOUT)
    rig.ticks(5, 200)


@case({WEB: "pod.volume-mount"})
def one_pod_of_many_cannot_mount(rig: Rig) -> None:
    _replicaset(rig)
    rig.object(1, "pods", pod("web-a", containers=[CREATING], **_owned()))
    rig.object(1, "pods", pod("web-b", **READY, **_owned()))
    rig.event(2, "FailedMount", 'MountVolume.SetUp failed for volume "conf" : configmap "conf" '
              "not found", **_about("web-a"))  # fmt: skip
    rig.ticks(5, 60)


@case({}, lookalike_of="pod.unschedulable")
def autoscaler_has_asked_for_a_node(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "pods", pod(node="", conditions=unscheduled(CPU)))
    rig.event(12, "TriggeredScaleUp", "pod triggered scale-up: [{pool 3->4 (max: 10)}]", **ABOUT)
    rig.ticks(15, 180)
    rig.object(181, "pods", pod(**READY))
    rig.ticks(185, 240)


@case({POD: "pod.unschedulable"})
def autoscaler_asked_and_no_node_came(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "pods", pod(node="", conditions=unscheduled(CPU)))
    rig.event(12, "TriggeredScaleUp", "pod triggered scale-up: [{pool 3->4 (max: 10)}]", **ABOUT)
    rig.ticks(15, 400)


@case({POD: "pod.unassigned"}, lookalike_of="pod.unschedulable")
def nobody_schedules_the_pod(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "pods", pod(node="", conditions=[]))
    rig.ticks(5, 90)


@case({}, lookalike_of="pod.probe")
def application_starts_slowly(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "pods", pod(phase="Running", containers=[running(ready=False)]))
    for s in range(5, 105, 10):
        rig.event(s, "Unhealthy", "Readiness probe failed: connection refused", **ABOUT)
        rig.tick(s + 5)
    rig.object(106, "pods", pod(**READY))
    rig.ticks(110, 200)


@case({POD: "pod.probe"}, lookalike_of="pod.unready")
def readiness_is_lost_after_the_start(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "pods", pod(**READY))
    rig.object(20, "pods", pod(phase="Running", containers=[running(ready=False)]))
    rig.event(21, "Unhealthy", "Readiness probe failed: HTTP probe failed", **ABOUT)
    rig.ticks(25, 90)


@case({POD: "pod.start-slow"})
def containers_are_not_created_and_nobody_says_why(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "pods", pod(containers=[CREATING], conditions=[
        {"type": "Initialized", "status": "True"},
        {"type": "PodReadyToStartContainers", "status": "False"}]))  # fmt: skip
    rig.ticks(5, 620)


@case({}, lookalike_of="pod.crashloop")
def container_fails_twice_until_its_database_is_there(rig: Rig) -> None:
    rig.tick(0)
    crash = waiting("CrashLoopBackOff", "back-off 10s", reason="Error", exitCode=1)
    rig.object(5, "pods", pod(phase="Running", containers=[crash | {"restartCount": 1}]))
    rig.ticks(5, 16)
    rig.object(17, "pods", pod(**READY))
    rig.ticks(20, 90)


@case({}, lookalike_of="pod.admission")
def kubelet_refuses_one_pod_and_the_next_runs(rig: Rig) -> None:
    _replicaset(rig)
    rig.object(1, "pods", pod("web-a", **_owned()))
    rig.object(2, "pods", pod("web-a", phase="Failed", reason="OutOfcpu", **_owned()))
    rig.object(3, "pods", pod("web-b", **READY, **_owned()))
    rig.ticks(5, 60)


@case({}, lookalike_of="pod.evicted")
def pod_was_evicted_long_ago(rig: Rig) -> None:
    rig.tick(0)
    old = pod(phase="Failed", reason="Evicted", message="low on resource: memory")
    old["metadata"]["creationTimestamp"] = "2026-11-20T00:00:00Z"
    rig.object(1, "pods", old)
    rig.ticks(5, 60)


@case({WEB: "pod.volume-attach"})
def volume_is_still_with_another_node(rig: Rig) -> None:
    _attached(rig)
    rig.ticks(5, 90)


@case({"node/node-b": "node.not-ready"}, lookalike_of="pod.volume-attach")
def volume_is_still_with_a_node_that_is_not_ready(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "nodes", _node("True"))
    rig.object(2, "nodes", _node("False"))
    rig.ticks(5, 60)
    _attached(rig, 65)
    rig.ticks(70, 160)


def _node(ready: str) -> dict[str, object]:
    condition = {"type": "Ready", "status": ready, "reason": "KubeletNotReady", "message": "?"}
    return {"metadata": {"name": "node-b"}, "spec": {}, "status": {"conditions": [condition]}}


def _attached(rig: Rig, s: float = 0) -> None:
    _replicaset(rig)
    claim = {"metadata": {"name": "data", "namespace": "shop"},
             "spec": {"volumeName": "pvc-1"}, "status": {"phase": "Bound"}}  # fmt: skip
    rig.object(s, "persistentvolumeclaims", claim)
    rig.object(s, "volumeattachments", {
        "metadata": {"name": "csi-1"}, "status": {"attached": True},
        "spec": {"nodeName": "node-b", "source": {"persistentVolumeName": "pvc-1"}}})  # fmt: skip
    rig.object(s + 1, "pods", pod("web-b", containers=[CREATING], claim="data", **_owned()))
    rig.event(s + 2, "FailedAttachVolume", 'Multi-Attach error for volume "pvc-1" Volume is already '
              "used by pod(s) web-a", **_about("web-b"))  # fmt: skip


@case({})
def late_deletion_of_a_pod_whose_name_is_taken_again(rig: Rig) -> None:
    rig.tick(0)
    old = pod(**READY)
    rig.object(1, "pods", old)
    young = pod(**READY)
    young["metadata"]["uid"] = "another"
    rig.object(2, "pods", young)
    rig.object(3, "pods", old, DELETED)
    rig.ticks(5, 30)
    assert rig.fold.world.pod("shop", "web-0") is not None

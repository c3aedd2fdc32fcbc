"""Pods that are not started or not ready: catalogue 3.6."""

from typing import Any

from pipeline.contract.state import DELETED
from tests.cases.case import Cases
from tests.cases.rig import Rig
from tests.cases.shapes import pod, running, unscheduled, waiting

case = Cases()

POD = "pod/shop/web-0"
ABOUT = {"kind": "Pod", "namespace": "shop", "name": "web-0"}
IMAGE = "registry.example/team/web:1"
CREATING = waiting("ContainerCreating")
DELETED_AT = "2026-11-23T05:34:20Z"  # 60 s after the first second of a case


def _stays(rig: Rig, obj: dict[str, Any], reason: str = "", message: str = "") -> None:
    """The pod is like this for two minutes; its Event comes again and again."""
    rig.tick(0)
    for s in range(1, 122, 20):
        rig.object(s, "pods", obj)
        if reason:
            rig.event(s + 1, reason, message, **ABOUT)
        rig.ticks(s + 4, s + 19)


@case({POD: "pod.unschedulable"})
def nothing_is_large_enough(rig: Rig) -> None:
    message = ("0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 "
               "No preemption victims found for incoming pod.")  # fmt: skip
    _stays(rig, pod(node="", conditions=unscheduled(message)), "FailedScheduling", message)


@case({}, lookalike_of="pod.unschedulable")
def a_node_is_on_its_way(rig: Rig) -> None:
    rig.tick(0)
    message = "0/1 nodes are available: 1 Insufficient cpu."
    rig.object(1, "pods", pod(node="", conditions=unscheduled(message)))
    rig.ticks(5, 25)
    rig.object(26, "pods", pod(containers=[CREATING]))
    rig.object(35, "pods", pod(phase="Running", ready="True", containers=[running(ready=True)]))
    rig.ticks(40, 120)


@case({}, lookalike_of="pod.unschedulable")
def the_nodes_are_cordoned(rig: Rig) -> None:
    message = "0/2 nodes are available: 2 node(s) were unschedulable."
    _stays(rig, pod(node="", conditions=unscheduled(message)))


@case({}, lookalike_of="pod.unschedulable")
def scheduling_is_gated(rig: Rig) -> None:
    gated = [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]
    _stays(rig, pod(node="", conditions=gated))


@case({POD: "pvc.pending"}, lookalike_of="pod.unschedulable")
def claim_has_no_class(rig: Rig) -> None:
    message = "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    claim = {"metadata": {"name": "data", "namespace": "shop"}, "spec": {},
             "status": {"phase": "Pending"}}  # fmt: skip
    rig.object(0, "persistentvolumeclaims", claim)
    rig.object(1, "pods", pod(node="", claim="data", conditions=unscheduled(message)))
    rig.event(2, "FailedBinding", "no persistent volumes available for this claim and no storage "
              "class is set", kind="PersistentVolumeClaim", namespace="shop", name="data")  # fmt: skip
    rig.ticks(5, 60)


@case({"persistentvolumeclaim/shop/data": "pvc.pending"})
def claim_of_nobody_cannot_be_provisioned(rig: Rig) -> None:
    claim = {"metadata": {"name": "data", "namespace": "shop"},
             "spec": {"storageClassName": "fast"}, "status": {"phase": "Pending"}}  # fmt: skip
    rig.object(0, "persistentvolumeclaims", claim)
    rig.event(2, "ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found',
              kind="PersistentVolumeClaim", namespace="shop", name="data")  # fmt: skip
    rig.ticks(5, 60)


@case({}, lookalike_of="pvc.pending")
def claim_waits_for_its_first_consumer(rig: Rig) -> None:
    claim = {"metadata": {"name": "data", "namespace": "shop"}, "spec": {},
             "status": {"phase": "Pending"}}  # fmt: skip
    rig.object(0, "persistentvolumeclaims", claim)
    rig.event(2, "WaitForFirstConsumer", "waiting for first consumer to be created before binding",
              kind="PersistentVolumeClaim", namespace="shop", name="data")  # fmt: skip
    rig.ticks(5, 120)


@case({POD: "pod.sandbox-cni"})
def network_of_the_sandbox_fails(rig: Rig) -> None:
    message = ('Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network '
               'for sandbox "0a1b": plugin type="terway" failed (add): cmdAdd: error alloc ip')  # fmt: skip
    _stays(rig, pod(containers=[CREATING]), "FailedCreatePodSandBox", message)


@case({}, lookalike_of="pod.sandbox-cni")
def sandbox_died_and_is_made_again(rig: Rig) -> None:
    rig.tick(0)
    rig.event(
        1, "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.", **ABOUT
    )
    rig.object(2, "pods", pod(containers=[CREATING]))
    rig.object(12, "pods", pod(phase="Running", ready="True", containers=[running(ready=True)]))
    rig.ticks(15, 120)


@case({POD: "pod.create-hang"}, lookalike_of="pod.sandbox-cni")
def runc_create_does_not_return(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "pods", pod(containers=[CREATING]))
    rig.ticks(5, 120)
    rig.event(122, "Failed", "Error: context deadline exceeded", **ABOUT)
    rig.tick(125)


@case({POD: "pod.image-auth"}, lookalike_of="pod.image-notfound")
def registry_refuses_the_credentials(rig: Rig) -> None:
    message = (f'Failed to pull image "{IMAGE}": failed to pull and unpack image "{IMAGE}": failed to '
               "resolve reference: pull access denied, repository does not exist or may require "
               "authorization: server message: insufficient_scope: authorization failed")  # fmt: skip
    _stays(rig, pod(containers=[waiting("ImagePullBackOff")]), "Failed", message)


@case({POD: "pod.image-net"}, lookalike_of="pod.image-auth")
def registry_is_out_of_reach(rig: Rig) -> None:
    message = (f'Failed to pull image "{IMAGE}": failed to pull and unpack image "{IMAGE}": failed to '
               f'resolve reference "{IMAGE}": failed to do request: Head "https://registry.example/v2/":'
               " dial tcp 10.0.0.9:443: i/o timeout")  # fmt: skip
    _stays(rig, pod(containers=[waiting("ImagePullBackOff")]), "Failed", message)


@case({POD: "pod.image-notfound"}, lookalike_of="pod.image-net")
def tag_does_not_exist(rig: Rig) -> None:
    message = (f'Failed to pull image "{IMAGE}": rpc error: code = NotFound desc = failed to pull and '
               f'unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": {IMAGE}: not found')  # fmt: skip
    _stays(rig, pod(containers=[waiting("ErrImagePull")]), "Failed", message)


@case({POD: "pod.image-unknown"})
def pull_fails_and_nobody_says_why(rig: Rig) -> None:
    _stays(rig, pod(containers=[waiting("ImagePullBackOff")]))


@case({POD: "pod.image-name"})
def image_name_is_wrong(rig: Rig) -> None:
    _stays(rig, pod(containers=[waiting("InvalidImageName")]))


@case({POD: "pod.image-never"})
def image_must_not_be_pulled(rig: Rig) -> None:
    _stays(rig, pod(containers=[waiting("ErrImageNeverPull")]))


@case({}, lookalike_of="pod.image-net")
def a_large_image_is_pulled(rig: Rig) -> None:
    _stays(rig, pod(containers=[CREATING]), "Pulling", f'Pulling image "{IMAGE}"')


@case({POD: "pod.config-error"})
def secret_of_a_variable_is_missing(rig: Rig) -> None:
    _stays(rig, pod(containers=[waiting("CreateContainerConfigError", 'secret "db" not found')]))


@case({POD: "pod.volume-attach"}, lookalike_of="pod.volume-mount")
def volume_is_held_by_another_node(rig: Rig) -> None:
    message = ('Multi-Attach error for volume "pvc-1" Volume is already exclusively attached to one '
               "node and can't be attached to another")  # fmt: skip
    _stays(rig, pod(containers=[CREATING]), "FailedAttachVolume", message)


@case({POD: "pod.volume-mount"}, lookalike_of="pod.volume-attach")
def configmap_of_a_volume_is_missing(rig: Rig) -> None:
    message = 'MountVolume.SetUp failed for volume "conf" : configmap "conf" not found'
    _stays(rig, pod(containers=[CREATING]), "FailedMount", message)


@case({}, lookalike_of="pod.volume-mount")
def mount_succeeds_at_the_second_try(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "pods", pod(containers=[CREATING]))
    rig.event(2, "FailedMount", 'MountVolume.SetUp failed for volume "token" : failed to sync '
              "configmap cache: timed out waiting for the condition", **ABOUT)  # fmt: skip
    rig.object(5, "pods", pod(phase="Running", ready="True", containers=[running(ready=True)]))
    rig.ticks(10, 120)


BACK_OFF = "back-off 40s restarting failed container=main pod=web-0_shop(uid)"


@case({POD: "pod.crashloop"})
def container_exits_again_and_again(rig: Rig) -> None:
    crash = waiting("CrashLoopBackOff", BACK_OFF, reason="Error", exitCode=1)
    _stays(rig, pod(phase="Running", containers=[crash]), "BackOff",
           "Back-off restarting failed container main in pod web-0_shop(uid)")  # fmt: skip


@case({"deployment/shop/web": "pod.crashloop"}, lookalike_of="node.memory-pressure")
def containers_of_a_deployment_meet_their_limit(rig: Rig) -> None:
    rig.tick(0)
    owner = {"kind": "Deployment", "name": "web", "uid": "d", "controller": True}
    rig.object(0, "replicasets", {"metadata": {"name": "web-1", "namespace": "shop",
                                               "ownerReferences": [owner]}})  # fmt: skip
    oom = waiting("CrashLoopBackOff", BACK_OFF, reason="OOMKilled", exitCode=137)
    for name in ("web-1-a", "web-1-b"):
        rig.object(2, "pods", pod(name, phase="Running", containers=[oom],
                                  owner=("ReplicaSet", "web-1")))  # fmt: skip
    rig.ticks(5, 60)


@case({}, lookalike_of="pod.crashloop")
def container_was_restarted_once(rig: Rig) -> None:
    rig.tick(0)
    once = running(ready=True) | {"restartCount": 1, "lastState": {
        "terminated": {"reason": "Error", "exitCode": 1}}}  # fmt: skip
    rig.object(2, "pods", pod(phase="Running", ready="True", containers=[once]))
    rig.ticks(5, 120)


@case({POD: "pod.probe"}, lookalike_of="pod.crashloop")
def readiness_probe_fails(rig: Rig) -> None:
    _stays(rig, pod(phase="Running", containers=[running(ready=False)]), "Unhealthy",
           "Readiness probe failed: HTTP probe failed with statuscode: 503")  # fmt: skip


@case({}, lookalike_of="pod.probe")
def container_warms_up(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "pods", pod(phase="Running", containers=[running(ready=False)]))
    rig.event(5, "Unhealthy", "Readiness probe failed: connection refused", **ABOUT)
    rig.ticks(5, 40)
    rig.object(41, "pods", pod(phase="Running", ready="True", containers=[running(ready=True)]))
    rig.ticks(45, 160)


@case({POD: "pod.readiness-gate"}, lookalike_of="pod.probe")
def load_balancer_controller_is_down(rig: Rig) -> None:
    gate = [{"type": "PodScheduled", "status": "True"},
            {"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady",
             "message": 'corresponding condition of pod readiness gate "target-health.example/lb" '
             "does not exist."}]  # fmt: skip
    _stays(rig, pod(phase="Running", containers=[running(ready=True)], conditions=gate))


@case({POD: "pod.admission"})
def kubelet_has_no_room(rig: Rig) -> None:
    rig.object(0, "pods", pod())
    _stays(rig, pod(phase="Failed", reason="OutOfcpu", message="Pod was rejected: Node didn't have "
                    "enough resource: cpu"))  # fmt: skip


@case({POD: "pod.evicted"}, lookalike_of="node.disk-pressure")
def pod_wrote_more_than_its_own_limit(rig: Rig) -> None:
    rig.object(0, "pods", pod(phase="Running", ready="True", containers=[running(ready=True)]))
    _stays(rig, pod(phase="Failed", reason="Evicted", message='Pod ephemeral local storage usage '
                    "exceeds the total limit of containers 1Gi. "))  # fmt: skip


@case({"node/node-a": "node.disk-pressure"}, lookalike_of="pod.evicted")
def node_evicts_for_its_disk(rig: Rig) -> None:
    rig.healthy(0, 30)
    rig.object(31, "pods", pod(phase="Running", ready="True", containers=[running(ready=True)]))
    rig.node(32, DiskPressure="True")
    message = (
        "The node was low on resource: ephemeral-storage. Threshold quantity: 1, available: 0. "
    )
    rig.object(33, "pods", pod(phase="Failed", reason="Evicted", message=message))
    rig.event(33, "Evicted", message, **ABOUT)
    rig.alive(35, 60)


@case({POD: "pod.terminating-stuck"})
def shim_does_not_stop_the_container(rig: Rig) -> None:
    rig.healthy(0, 60)
    rig.object(61, "pods", pod(phase="Running", containers=[running(ready=True)],
                               deleted=DELETED_AT))  # fmt: skip
    rig.healthy(65, 180)
    rig.event(182, "FailedKillPod", 'error killing pod: failed to "KillContainer" for "main" with '
              'KillContainerError: "rpc error: code = DeadlineExceeded desc = context deadline '
              'exceeded"', **ABOUT)  # fmt: skip
    rig.alive(185, 200)


@case({}, lookalike_of="pod.terminating-stuck")
def pod_stops_within_its_grace_period(rig: Rig) -> None:
    rig.tick(0)
    dying = pod(phase="Running", containers=[running(ready=True)], deleted="2026-11-23T05:35:20Z")
    rig.object(61, "pods", dying)
    rig.ticks(65, 85)
    rig.object(86, "pods", dying, DELETED)
    rig.ticks(90, 200)


@case({"node/node-a": "pleg.runtime-hang"}, lookalike_of="pod.terminating-stuck")
def pod_is_stuck_because_its_node_is(rig: Rig) -> None:
    from tests.cases.nodes_alive import runtime_is_stopped

    rig.object(0, "pods", pod(phase="Running", ready="True", containers=[running(ready=True)]))
    runtime_is_stopped(rig)
    rig.object(101, "pods", pod(phase="Running", containers=[running(ready=True)],
                                deleted=DELETED_AT))  # fmt: skip
    rig.alive(105, 200)

"""What resembles a cause of pods, namespaces and the mesh, and is none, or another."""

from pipeline.contract.state import DELETED
from tests.cases.case import Cases
from tests.cases.pods import ABOUT, CREATING, IMAGE, POD
from tests.cases.rig import Rig
from tests.cases.shapes import conditioned, pod, running, unscheduled, waiting

case = Cases()

READY = {"phase": "Running", "ready": "True", "containers": [running(ready=True)]}
GATE = [
    {"type": "PodScheduled", "status": "True"},
    {"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady",
     "message": 'the status of pod readiness gate "lb" is not "True", but False'},
]  # fmt: skip


def _soon_ready(rig: Rig, reason: str, message: str = "") -> None:
    """Waits for that, and is corrected within seconds."""
    rig.tick(0)
    rig.object(1, "pods", pod(containers=[waiting(reason, message)]))
    rig.ticks(5, 10)
    rig.object(11, "pods", pod(**READY))
    rig.ticks(15, 120)


@case({POD: "pod.unready"}, lookalike_of="pod.probe")
def no_probe_fails_and_the_pod_is_not_ready(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "pods", pod(phase="Running", containers=[running(ready=False)]))
    rig.ticks(5, 760, 15)


@case({}, lookalike_of="pod.unready")
def startup_probe_takes_five_minutes(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "pods", pod(phase="Running", containers=[running(ready=False)]))
    rig.ticks(5, 300, 15)
    rig.object(301, "pods", pod(**READY))
    rig.ticks(305, 400)


@case({POD: "pod.image-notfound"}, lookalike_of="pod.image-unknown")
def event_comes_after_the_state(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "pods", pod(containers=[waiting("ErrImagePull")]))
    rig.ticks(5, 30)
    rig.event(31, "Failed", f'Failed to pull image "{IMAGE}": {IMAGE}: not found', **ABOUT)
    rig.ticks(35, 60)


@case({}, lookalike_of="pod.image-unknown")
def second_pull_succeeds(rig: Rig) -> None:
    _soon_ready(rig, "ErrImagePull")


@case({POD: "pod.image-notfound"}, lookalike_of="pod.image-name")
def name_is_valid_and_the_tag_is_not_there(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "pods", pod(containers=[waiting("ImagePullBackOff")]))
    rig.event(2, "Failed", f'Failed to pull image "{IMAGE}": manifest unknown', **ABOUT)
    rig.ticks(5, 60)


@case({}, lookalike_of="pod.image-never")
def image_is_loaded_while_the_pod_waits(rig: Rig) -> None:
    _soon_ready(rig, "ErrImageNeverPull")


@case({}, lookalike_of="pod.config-error")
def secret_is_made_seconds_after_the_pod(rig: Rig) -> None:
    _soon_ready(rig, "CreateContainerConfigError", 'secret "db" not found')


@case({}, lookalike_of="pod.create-hang")
def container_is_created_slowly_and_no_call_times_out(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "pods", pod(containers=[CREATING]))
    rig.ticks(5, 180)
    rig.object(181, "pods", pod(**READY))
    rig.ticks(185, 240)


@case({}, lookalike_of="pod.start-slow")
def init_container_migrates_for_five_minutes(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "pods", pod(conditions=[{"type": "Initialized", "status": "False"}]))
    rig.ticks(5, 300, 15)
    rig.object(301, "pods", pod(**READY))
    rig.ticks(305, 360)


@case({}, lookalike_of="pod.readiness-gate")
def load_balancer_registers_the_pod_in_two_minutes(rig: Rig) -> None:
    rig.tick(0)
    gated = pod(phase="Running", containers=[running(ready=True)], conditions=GATE)
    rig.object(1, "pods", gated)
    rig.ticks(5, 115)
    rig.object(118, "pods", pod(**READY))
    rig.ticks(120, 200)


@case({}, lookalike_of="pod.unassigned")
def scheduler_is_busy_for_half_a_minute(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "pods", pod(node="", conditions=[]))
    rig.ticks(5, 35)
    rig.object(36, "pods", pod(**READY))
    rig.ticks(40, 120)


@case({POD: "pod.unschedulable"}, lookalike_of="pod.unassigned")
def scheduler_looked_and_found_nothing(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "pods", pod(node="", conditions=[]))
    rig.object(
        2, "pods", pod(node="", conditions=unscheduled("no nodes available to schedule pods"))
    )
    rig.ticks(5, 120)


@case({}, lookalike_of="ns.terminating.unknown")
def namespace_takes_four_minutes(rig: Rig) -> None:
    rig.tick(0)
    document = conditioned("old")
    document["metadata"]["deletionTimestamp"] = "2026-11-23T05:33:21Z"
    rig.object(2, "namespaces", document)
    rig.ticks(5, 240, 15)
    rig.object(241, "namespaces", document, DELETED)
    rig.ticks(245, 400, 15)


@case({}, lookalike_of="mesh.ca-expiring")
def root_certificate_is_exchanged_in_time(rig: Rig) -> None:
    meta = {"name": "istio-ca-secret", "namespace": "istio-system"}
    rig.object(0, "secrets", {"metadata": meta, "certificates": [
        {"key": "ca-cert.pem", "not_after": "2026-12-23T05:33:20Z"}]})  # fmt: skip
    rig.ticks(5, 40)

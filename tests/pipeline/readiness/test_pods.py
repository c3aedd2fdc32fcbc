"""The pod machine, and what it says of versions as the API server and the watcher give them."""

import json
from typing import Any

import pytest

from collectors.cluster.resources import RESOURCES
from collectors.recording.layout import open_recording
from pipeline.contract.facts import TRANSITION
from pipeline.contract.state import DELETED
from pipeline.readiness.detect.pod_atoms import atoms_of, ended_of, state_of
from tests.cases.rig import Rig
from tests.cases.shapes import pod, running, unscheduled, waiting
from tests.journeys.recordings import EXPECTED, folder

CREATING = waiting("ContainerCreating")
INITIALIZED = [{"type": "Initialized", "status": "True"}]
CPU = "0/1 nodes are available: 1 Insufficient cpu."
KEY, ENTITY = "shop/web-0", "pod/shop/web-0"


def states(rig: Rig) -> list[str]:
    found = [f for f in rig.facts if f.kind == TRANSITION and f.body["machine"] == "pod"]
    return [fact.body["to"] for fact in found]


def held(rig: Rig, entity: str = ENTITY) -> set[str]:
    return {atom.removeprefix("object/pod.") for atom in rig.fold.book.atoms(entity)}


def test_a_pods_life() -> None:
    rig = Rig()
    for s, obj in enumerate([
        pod(node="", conditions=[]),
        pod(node="", conditions=unscheduled(CPU)),
        pod(conditions=[]),
        pod(containers=[CREATING], conditions=INITIALIZED),
        pod(phase="Running", containers=[running(ready=False)]),
        pod(phase="Running", ready="True", containers=[running(ready=True)]),
        pod(phase="Running", ready="True", deleted="2026-11-23T05:34:20Z"),
    ]):  # fmt: skip
        rig.object(s, "pods", obj)
    rig.object(8, "pods", pod(), DELETED)
    assert states(rig) == [
        "Pending", "Unschedulable", "Initializing", "Creating", "NotReady", "Ready", "Terminating",
        "gone",
    ]  # fmt: skip
    assert held(rig) == set()
    assert rig.fold.world.pod("shop", "web-0") is None


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (pod(phase="Succeeded"), "Succeeded"),
        (pod(phase="Failed", deleted="2026-11-23T05:34:20Z"), "Failed"),
        (pod(node="", conditions=[{"type": "PodScheduled", "status": "False",
                                   "reason": "SchedulingGated"}]), "Gated"),
    ],
)  # fmt: skip
def test_states(obj: dict[str, Any], expected: str) -> None:
    assert state_of(obj) == expected


@pytest.mark.parametrize(
    ("reason", "atom"),
    [
        ("CrashLoopBackOff", "crashloop"), ("ErrImagePull", "image-pull"),
        ("ImagePullBackOff", "image-pull"), ("InvalidImageName", "image-name"),
        ("ErrImageNeverPull", "image-never"), ("CreateContainerConfigError", "config-error"),
        ("CreateContainerError", "start-failed"), ("RunContainerError", "start-failed"),
        ("PostStartHookError", "hook-failed"), ("ContainerCreating", "creating"),
    ],
)  # fmt: skip
def test_reasons_for_waiting(reason: str, atom: str) -> None:
    status = waiting(reason, "why", reason="Error", exitCode=1)
    [(found, quote)] = atoms_of(pod(containers=[status]))
    assert found == f"object/pod.{atom}"
    assert quote == f"main: {reason} why (last: Error, exit code 1)"


@pytest.mark.parametrize(
    ("reason", "atom"),
    [
        ("Evicted", "evicted"), ("OutOfcpu", "rejected"), ("OutOfephemeral-storage", "rejected"),
        ("OutOfnvidia.com/gpu", "rejected"), ("UnexpectedAdmissionError", "rejected"),
        ("NodeShutdown", "rejected"), ("TopologyAffinityError", "rejected"),
        ("DeadlineExceeded", ""), ("", ""),
    ],
)  # fmt: skip
def test_who_ended_it(reason: str, atom: str) -> None:
    assert ended_of(pod(phase="Failed", reason=reason))[0] == (f"object/pod.{atom}" if atom else "")
    assert ended_of(pod(phase="Running", reason=reason))[0] == ""


def test_a_kill_is_told_from_an_exit() -> None:
    killed = waiting("CrashLoopBackOff", reason="Error", exitCode=137)
    oom = waiting("CrashLoopBackOff", reason="OOMKilled", exitCode=137)
    assert "object/pod.killed" in dict(atoms_of(pod(containers=[killed])))
    found = dict(atoms_of(pod(containers=[oom])))
    assert "object/pod.oom-killed" in found
    assert "object/pod.killed" not in found


def test_time_is_looked_at_once_and_only_where_it_is_due() -> None:
    rig = Rig()
    rig.tick(0)
    rig.object(1, "pods", pod(phase="Running", containers=[running(ready=False)]))
    rig.ticks(5, 115)
    assert held(rig) == {"not-ready"}
    rig.tick(125)
    assert held(rig) == {"not-ready", "unready-long"}
    [detector] = [d for d in rig.fold._detectors if d.NAME == "pods"]
    assert detector.state.due == {}
    assert detector.state.heap == []
    rig.object(130, "pods", pod(phase="Running", ready="True", containers=[running(ready=True)]))
    assert held(rig) == set()


def test_a_shorter_grace_period_counts() -> None:
    """`kubectl delete --grace-period` after a first deletion moves the time forward."""
    rig = Rig()
    rig.tick(0)
    rig.object(1, "pods", pod(phase="Running", deleted="2026-11-23T06:33:20Z"))
    rig.object(2, "pods", pod(phase="Running", deleted="2026-11-23T05:33:25Z"))
    rig.ticks(5, 50)
    assert "terminating-late" in held(rig)


def test_a_pod_whose_workload_is_seen_later_moves_with_its_evidence() -> None:
    rig = Rig()
    bad = pod(containers=[waiting("InvalidImageName")], owner=("ReplicaSet", "web-1"))
    rig.object(0, "pods", bad)
    assert held(rig, "replicaset/shop/web-1") == {"image-name"}
    owner = {"kind": "Deployment", "name": "web", "uid": "d", "controller": True}
    meta = {"name": "web-1", "namespace": "shop", "ownerReferences": [owner]}
    rig.object(1, "replicasets", {"metadata": meta})
    rig.object(2, "pods", bad)
    assert held(rig, "replicaset/shop/web-1") == set()
    assert held(rig, "deployment/shop/web") == {"image-name"}


@pytest.mark.parametrize("name", EXPECTED)
def test_trimmed_versions_say_what_the_raw_ones_said(name: str) -> None:
    [resource] = [r for r in RESOURCES if r.name == "pods"]
    seen = 0
    for row in open_recording(folder() / name).rows("watch-pods"):
        source = (row.get("event") or {}).get("object") or {}
        if "status" not in source:
            continue
        trimmed = json.loads(json.dumps(resource.trimmed(source)))
        assert list(atoms_of(trimmed)) == list(atoms_of(source))
        assert state_of(trimmed) == state_of(source)
        seen += 1
    assert seen

"""Recordings of a real kubelet, API server and containerd, and what a diagnosis must say of each.

The small copies beside tests/recordings/shrink.py, or the directory that KUBELEDGER_RECORDINGS
names.
"""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from collectors.recording.layout import open_recording
from collectors.recording.play import Play
from pipeline.console.recording import Replayed, events_of, replay_events
from pipeline.contract.state import StateEvent

NODE = "node/node-a"
_CRASHING = ("badcmd", "crashloop", "hook", "initfail", "liveness", "oom", "panic")
_UNMOUNTED = ("hostpathtype", "noconfigmap", "nosecret")
_NOT_READY = ("notready", "notready503", "probetimeout")
_NO_METRICS = ("badcontainer", "external", "good", "multi", "norequest", "podmetric", "sidecar")

EXPECTED: dict[str, dict[str, str]] = {
    "cronjob-scale": {
        "cronjob/el-s/norights": "job.failed",
        "cronjob/el-s/nosuch": "job.failed",
    },
    "disk-eviction": {NODE: "node.disk-pressure"},
    "healthy": {},
    "hpa-and-drain": {"hpa/shop/web": "hpa.no-metrics"},
    "hpa-behavior": {},
    "hpa-missing-request": {
        **{f"hpa/el-c/{name}": "hpa.no-metrics" for name in _NO_METRICS},
        "hpa/el-c/notarget": "hpa.target-lost",
        "hpa/el-c/zero": "hpa.disabled",
        "hpa/el-c/twin-a": "hpa.ambiguous",
        "hpa/el-c/twin-b": "hpa.ambiguous",
    },
    "hpa-scale-up": {},
    "hpa-slow-pods": {},
    "karpenter-reasons": {
        f"deployment/el-r/{name}": "ca.not-triggered"
        for name in ("arm", "notolerate", "toobig", "wrongselector", "wrongzone")
    },
    "karpenter-scale-up": {},
    "kubelet-stopped": {NODE: "node.kubelet-down"},
    "many-nodes-notready": {"cluster/-": "zone.disruption"},
    "namespace-stuck": {
        "namespace/stuck-a": "ns.terminating.finalizer",
        "namespace/stuck-b": "ns.terminating.apiservice",
    },
    "pleg-hang-cri-pods": {NODE: "pleg.stuck-pod"},
    "pleg-hang-one-container": {"pod/shop/stuckshim": "pod.terminating-stuck"},
    "pleg-hang-runtime": {NODE: "pleg.runtime-hang"},
    "pods-gone-wrong": {
        "pod/broken/badimage": "pod.image-net",
        "pod/broken/badname": "pod.image-name",
        "pod/broken/neverpull": "pod.image-never",
        "pod/broken/noenv": "pod.config-error",
        "pod/broken/toobig": "pod.unschedulable",
        "pod/broken/selector": "pod.unschedulable",
        "pod/broken/pvcpod": "pvc.pending",
        "pod/broken/pvcmissing": "pvc.pending",
        "persistentvolumeclaim/broken/badclass": "pvc.pending",
        "job/broken/failing-job": "job.failed",
        "deployment/broken/stuck-rollout": "pod.crashloop",
        **{f"pod/broken/{name}": "pod.crashloop" for name in _CRASHING},
        **{f"pod/broken/{name}": "pod.volume-mount" for name in _UNMOUNTED},
        **{f"pod/broken/{name}": "pod.probe" for name in _NOT_READY},
    },
    "rollout-slow-start": {"deployment/el-i/slow": "workload.create-failed"},
    "runc-hang": {"pod/shop/hangcreate": "pod.create-hang"},
    "scale-blocked": {
        "deployment/el-q/web": "workload.create-failed",
        "deployment/el-q-c/huge": "workload.create-failed",
        "deployment/el-q-b/big": "pod.unschedulable",
    },
}


def folder() -> Path:
    own = Path(__file__).parents[1] / "recordings" / "nodes"
    return Path(os.environ.get("KUBELEDGER_RECORDINGS", own))


@cache
def events(name: str) -> tuple[StateEvent, ...]:
    """State events of a recording, signals among them."""
    return tuple(events_of(Play(open_recording(folder() / name)).happenings()))


@cache
def replayed(name: str) -> Replayed:
    return replay_events(events(name), name=name)


def verdicts(name: str) -> dict[str, str]:
    return {body["entity"]: body["verdict"] for body in replayed(name).incidents}


def recorded_verdicts() -> Iterator[tuple[str, dict[str, str], dict[str, str]]]:
    """(name, expected, given) of every recording."""
    for name, expected in EXPECTED.items():
        yield name, expected, verdicts(name)

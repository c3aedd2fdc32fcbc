"""Signals in what a real kubelet 1.34 and containerd 1.6 wrote while things went wrong. Run with
-s for the table."""

import gzip
from collections import Counter
from pathlib import Path

import pytest

from pipeline.contract.record import Source
from pipeline.contract.state import StateEvent
from pipeline.readiness.finder import SignalFinder
from pipeline.readiness.signals import load_signals
from pipeline.stages.lines import PAD, find_lines
from pipeline.stages.plain import parse_plain

HERE = Path(__file__).resolve().parents[2] / "recordings" / "signals"
READ_NS = 1_795_413_600 * 10**9  # 2026-11-23T06:00Z
FINDER = SignalFinder(load_signals())

# What happened, as signals that must be there, and the pod each must name, if any.
TRUTH = {
    "pleg-hang-runtime": {
        "kubelet.list-sandboxes-timeout": None,
        "kubelet.list-containers-timeout": None,
        "kubelet.pleg-unable-to-retrieve": None,
        "kubelet.runtime-status-timeout": None,
        "kubelet.sanity-check-timeout": None,
        "kubelet.runtime-is-down": None,
        "kubelet.pleg-not-healthy": None,
        "kubelet.node-became-not-ready": None,
        "kubelet.gc-timeout": None,
        "kubelet.housekeeping-slow": None,
    },
    "pleg-hang-cri-pods": {
        "kubelet.pleg-write-status": {"shop/stuckpod1", "shop/stuckpod2"},
        "kubelet.sandbox-status-timeout": {"shop/stuckpod1", "shop/stuckpod2"},
        "kubelet.sync-timeout": {"shop/stuckpod1", "shop/stuckpod2"},
        "kubelet.container-status-timeout": None,
        "kubelet.pleg-not-healthy": None,
        "kubelet.node-became-not-ready": None,
    },
    "pleg-hang-one-container": {
        "kubelet.stop-container-timeout": None,
        "kubelet.kill-container-timeout": {"shop/stuckshim"},
        "kubelet.stats-timeout": None,
        "kubelet.exec-timeout": None,
        "containerd.get-state-timeout": None,
        "containerd.metrics-timeout": None,
        "containerd.stop-container-failed": None,
    },
    "runc-hang": {
        "kubelet.start-container-timeout": None,
        "kubelet.create-hang": {"shop/hangcreate"},
        "containerd.start-container-failed": None,
    },
    "kubelet-stopped": {"kubelet.runtime-is-down": None, "kubelet.node-became-not-ready": None},
    "disk-eviction": {
        "kubelet.eviction-reclaims": None,
        "kubelet.eviction-must-evict": None,
        "kubelet.pod-evicted": {"shop/filler"},
    },
    "pods-gone-wrong": {
        "kubelet.crashloop": {"broken/badcmd", "broken/panic"},
        "kubelet.image-refused": None,
        "kubelet.reference-missing": None,
        "kubelet.volume-mount-failed": None,
        "containerd.create-task-failed": None,
        "kubelet.probe-failed": None,
    },
    "healthy": {},
}
NORMAL = {"containerd.shim-disconnected", "containerd.shim-cleanup"}  # at every exit of a container


def signals(recording: str) -> list[StateEvent]:
    found: list[StateEvent] = []
    for number, program in enumerate(("kubelet", "containerd")):
        raw = gzip.decompress((HERE / f"{recording}.{program}.log.gz").read_bytes())
        text = find_lines(raw + PAD, len(raw))
        starts, ends = text.starts.tolist(), text.ends.tolist()
        found += FINDER.find(
            Source("node-a", "", "", "", program, 0, f"/var/log/{program}.log"),
            number,
            bodies=[raw[start:end] for start, end in zip(starts, ends, strict=True)],
            offsets=starts,
            ts=parse_plain(text, READ_NS).ts.tolist(),
        )
    return sorted(found, key=lambda event: (event.t, event.id))


@pytest.mark.parametrize("recording", TRUTH)
def test_recording(recording: str) -> None:
    found = signals(recording)
    counts = Counter(event.body["pattern"] for event in found)
    print(f"{recording}:", ", ".join(f"{name} {n}" for name, n in counts.most_common()))
    for pattern, pods in TRUTH[recording].items():
        assert counts[pattern], pattern
        if pods is not None:
            named = {f"{e.body['namespace']}/{e.body['pod']}" for e in found
                     if e.body["pattern"] == pattern}  # fmt: skip
            assert pods <= named, pattern
            assert "/" not in named, f"{pattern} names no pod"


def test_a_healthy_node_is_quiet() -> None:
    assert {event.body["pattern"] for event in signals("healthy")} <= NORMAL


def test_one_stuck_container_is_not_a_runtime_that_hangs() -> None:
    for recording in ("pleg-hang-one-container", "runc-hang", "pleg-hang-cri-pods"):
        found = {event.body["pattern"] for event in signals(recording)}
        assert not found & {
            "kubelet.list-sandboxes-timeout", "kubelet.list-containers-timeout",
            "kubelet.pleg-unable-to-retrieve", "kubelet.sanity-check-timeout",
            "kubelet.runtime-is-down", "kubelet.runtime-refused",
        }, recording  # fmt: skip


def test_the_naming_line_comes_minutes_before_the_node_gives_up() -> None:
    found = signals("pleg-hang-cri-pods")
    first = {event.body["pattern"]: event.t for event in reversed(found)}
    lead = first["kubelet.node-became-not-ready"] - first["kubelet.pleg-write-status"]
    assert lead == 188_245  # ms: 05:51:17.076 -> 05:54:25.321


def test_time_is_the_lines() -> None:
    (event,) = [e for e in signals("disk-eviction") if e.body["pattern"] == "kubelet.pod-evicted"]
    assert event.t == 1_795_414_797_813  # I1123 06:19:57.813180
    assert event.body["line"].startswith("I1123 06:19:57.813180   29256 eviction_manager.go:629]")

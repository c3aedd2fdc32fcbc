"""Every pattern of the catalogue on lines as components write them, look-alikes included."""

from pathlib import Path

import pytest
import yaml

from pipeline.contract.record import Source
from pipeline.contract.state import StateEvent
from pipeline.readiness.finder import SignalFinder
from pipeline.readiness.signals import load_signals

CASES = yaml.safe_load(Path(__file__).with_name("signal_lines.yaml").read_text())
FINDER = SignalFinder(load_signals())


def source(name: str) -> Source:
    kind, _, container = name.rpartition(":")
    if kind:
        return Source("node-a", "shop", "web-0", "uid-0", container, 0, "/log/0.log")
    return Source("node-a", "", "", "", container, 0, f"/var/log/{container}")


def find(case: dict) -> list[StateEvent]:
    body = case["line"].encode()
    return FINDER.find(source(case["in"]), 7, bodies=[body], offsets=[40], ts=[10**18])


@pytest.mark.parametrize("case", CASES, ids=[f"{c['in']}:{c['line'][:70]}" for c in CASES])
def test_line(case: dict) -> None:
    found = find(case)
    assert sorted(event.body["pattern"] for event in found) == sorted(case["is"])
    for event in found:
        body = event.body
        assert (body["node"], body["file"], body["off"]) == ("node-a", "0000000000000007", 40)
        assert event.t == 10**12
    if "pod" in case:
        assert {f"{e.body['namespace']}/{e.body['pod']}" for e in found} == {case["pod"]}
    if "fields" in case:
        merged = {k: v for event in found for k, v in event.body["fields"].items()}
        assert merged.items() >= case["fields"].items()


def test_every_pattern_has_a_line() -> None:
    # The rest is in recordings of a real node: test_signal_recordings.py
    shown = {name for case in CASES for name in case["is"]}
    recorded = {
        "kubelet.container-status-timeout", "kubelet.runtime-status-timeout",
        "kubelet.stats-timeout", "kubelet.sanity-check-timeout",
        "kubelet.start-container-timeout", "kubelet.create-hang",
        "kubelet.exec-timeout", "kubelet.housekeeping-slow",
        "kubelet.pod-evicted", "kubelet.image-refused",
        "containerd.shim-disconnected", "containerd.shim-cleanup",
        "containerd.metrics-timeout", "containerd.stop-container-failed",
        "containerd.start-container-failed",
    }  # fmt: skip
    assert FINDER.catalogue.by_id.keys() == shown | recorded

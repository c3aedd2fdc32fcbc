"""Answers of a real kubelet, whole (tests/recordings/kubelet)."""

import gzip
from pathlib import Path

HERE = Path(__file__).parents[2] / "recordings" / "kubelet"


def body(name: str) -> bytes:
    """`metrics`, `metrics-probes-1`, `metrics-resource`, `stats-summary`, `configz`, …"""
    (path,) = HERE.glob(f"{name}.*.gz")
    return gzip.decompress(path.read_bytes())

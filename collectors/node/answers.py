"""`values` of the parts probes, resource, healthz, configz and stats, from the kubelet's answers.

Like metrics_values.py: what is not found is absent. All raise ValueError for what is not what it
should be.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from collectors.node.exposition import BEYOND, families, parse
from pipeline.contract.documents import read_json

Values = dict[str, Any]

_PROBES = b"prober_probe_total"
_FAILED, _SUCCESSFUL = b'result="failed"', b'result="successful"'
_CONTAINERS = b"container_start_time_seconds"
_RESOURCES = {  # family -> key
    b"node_cpu_usage_seconds_total": "cpu_s",
    b"node_memory_working_set_bytes": "memory_bytes",
}
_MOST_FAILING = 200  # named in one sample
_CHECK = re.compile(r"^\[([+-])\](\S+)", re.M)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|µs|ns|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)([kMGT]i?|Ki)?")
_UNITS = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12} | {
    f"{letter}i": 1024.0**power for power, letter in enumerate("KMGT", 1)
}


class Probes:
    """/metrics/probes. Remembers the lines of failed probes, so that only those that failed since
    the last sample are named; before there was one, none is."""

    def __init__(self) -> None:
        self._last: dict[bytes, float] | None = None

    def __call__(self, body: bytes) -> Values:
        lines = families(body, (_PROBES,)).get(_PROBES, [])
        if not lines and b"# TYPE " not in body:
            raise ValueError("no metric is in it")
        pairs = ((series, float(value)) for series, _, value in (x.rpartition(b" ") for x in lines))
        counts = {series: n for series, n in pairs if abs(n) < BEYOND}
        failed = {series: n for series, n in counts.items() if _FAILED in series}
        last, self._last = self._last, failed
        return {
            "total_failed": int(sum(failed.values())),
            "total_successful": int(sum(n for s, n in counts.items() if _SUCCESSFUL in s)),
            "failed": [
                _probe(series, counts)
                for series, n in sorted(failed.items())
                if last is not None and n > _before(last.get(series, 0), n)
            ][:_MOST_FAILING],
        }


def _before(last: float, now: float) -> float:
    """A kubelet that was restarted counts from 0 again."""
    return last if last <= now else 0


def _probe(series: bytes, counts: Mapping[bytes, float]) -> list[Any]:
    (sample,) = parse([b"%s %d" % (series, counts[series])])
    names = [sample.labels.get(n, "") for n in ("namespace", "pod", "container", "probe_type")]
    successful = counts.get(series.replace(_FAILED, _SUCCESSFUL), 0)
    return [*names, int(sample.value), int(successful)]


def resource_values(body: bytes) -> Values:
    """/metrics/resource: STABLE names."""
    found = families(body, (*_RESOURCES, _CONTAINERS))
    values: Values = {}
    for family, key in _RESOURCES.items():
        for sample in parse(found.get(family, [])):
            values[key] = round(sample.value, 3)
    if _CONTAINERS in found:
        values["containers"] = len(found[_CONTAINERS])
    if not values:
        raise ValueError("no metric of a node is in it")
    return values


def healthz_values(body: bytes) -> Values:
    """/healthz?verbose: `[+]ping ok`, `[-]syncloop failed: reason withheld`. Just `ok`, as
    without verbose, has no checks."""
    checks = {name: sign == "+" for sign, name in _CHECK.findall(body.decode("utf-8", "replace"))}
    if not checks and body.strip() != b"ok":
        raise ValueError(f"neither checks nor ok: {body[:60]!r}")
    failed = sorted(name for name, ok in checks.items() if not ok)
    return {"checks": checks, "failed": failed} if checks else {"failed": failed}


def configz_values(body: bytes) -> Values:
    """/configz: the effective KubeletConfiguration (kubelet.config.k8s.io/v1beta1)."""
    document = _object(read_json(body), "kubeletconfig")
    gates = document.get("featureGates")
    values: Values = {
        "runtime_request_timeout_s": _seconds(document.get("runtimeRequestTimeout")),
        "node_status_update_s": _seconds(document.get("nodeStatusUpdateFrequency")),
        "node_lease_s": document.get("nodeLeaseDurationSeconds"),
        "log_max_bytes": _bytes(document.get("containerLogMaxSize")),
        "log_max_files": document.get("containerLogMaxFiles"),
        "log_monitor_s": _seconds(document.get("containerLogMonitorInterval")),
        "evented_pleg": isinstance(gates, dict) and gates.get("EventedPLEG") is True,
        "pod_logs_dir": document.get("podLogsDir"),
        "cgroup_driver": document.get("cgroupDriver"),
        "cri_endpoint": document.get("containerRuntimeEndpoint"),
        "eviction_hard": document.get("evictionHard"),
    }
    return {key: value for key, value in values.items() if value is not None}


def stats_values(body: bytes) -> Values:
    """/stats/summary. Of its object `node` only: the pods, which are most of it, are counted by
    their references and not read, so that 250 pods do not make a heap of objects a minute."""
    text = body.decode("utf-8")
    at = text.find('"node"')
    if at < 0:
        raise ValueError("no `node` is in it")
    try:
        node, _ = json.JSONDecoder().raw_decode(text, text.index("{", at))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    memory, rlimit = _object(node, "memory"), _object(node, "rlimit")
    values = {
        "fs": _fs(_object(node, "fs")),
        "image_fs": _fs(_object(_object(node, "runtime"), "imageFs")),
        "memory": _some(memory, available="availableBytes", working_set="workingSetBytes"),
        "pids": _some(rlimit, max="maxpid", running="curproc"),
    }
    return {key: value for key, value in values.items() if value} | {"pods": text.count('"podRef"')}


def _fs(of: Mapping[str, Any]) -> Values:
    return _some(
        of, size="capacityBytes", free="availableBytes", inodes="inodes", inodes_free="inodesFree"
    )


def _some(of: Mapping[str, Any], **names: str) -> Values:
    return {key: of[name] for key, name in names.items() if isinstance(of.get(name), int)}


def _object(of: Any, key: str) -> dict[str, Any]:
    value = of.get(key) if isinstance(of, dict) else None
    return value if isinstance(value, dict) else {}


def _seconds(text: Any) -> float | None:
    """A Go duration: `2m0s`, `1.5h`, `100ms`."""
    parts = _DURATION.findall(text) if isinstance(text, str) else []
    seconds = sum(float(n) * _SECONDS[unit] for n, unit in parts)
    return seconds if parts and math.isfinite(seconds) else None


def _bytes(text: Any) -> int | None:
    """A Kubernetes quantity: `10Mi`, `64Ki`, `1000000`."""
    found = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    size = float(found[1]) * _UNITS.get(found[2] or "", 1) if found else math.inf
    return round(size) if math.isfinite(size) else None

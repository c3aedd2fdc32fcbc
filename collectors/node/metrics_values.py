"""`values` of part metrics, from the text of the kubelet's /metrics.

Names: k8s.io/kubernetes pkg/kubelet/metrics/metrics.go, older ones beside the newer. All are ALPHA
there, so each is looked for and none is missed: what is not found is absent, never 0.
"""

from collections.abc import Iterable
from typing import Any

from collectors.node.exposition import Sample, bucket, families, parse

Values = dict[str, Any]

_RELIST = "kubelet_pleg_relist_duration_seconds"
_OPS = "kubelet_runtime_operations_duration_seconds"
_OP_ERRORS = "kubelet_runtime_operations_errors_total"
_LONG_RELIST_S, _LONG_OP_S = 10, 100

_SINGLE = {  # family -> key: one number
    "process_start_time_seconds": "process_start",
    "kubelet_pleg_last_seen_seconds": "pleg_last_seen",
    "kubelet_pleg_discard_events": "pleg_discarded",
    "kubelet_running_pods": "running_pods",
    "kubelet_running_pod_count": "running_pods",  # up to 1.18
    "kubelet_certificate_manager_client_ttl_seconds": "client_cert_ttl",
    "kubelet_certificate_manager_server_ttl_seconds": "server_cert_ttl",
    "kubelet_certificate_manager_client_expiration_renew_errors": "client_cert_renew_errors",
    "kubelet_server_expiration_renew_errors": "server_cert_renew_errors",
    "kubelet_started_pods_errors_total": "started_pods_errors",
    "kubelet_graceful_shutdown_start_time_seconds": "shutdown_start",
    "kubelet_evented_pleg_connection_error_count": "evented_pleg_errors",
}
_SUMMED = {  # family -> key: all series added up
    "kubelet_desired_pods": "desired_pods",
    "kubelet_run_podsandbox_errors_total": "sandbox_errors",
    "kubelet_started_containers_errors_total": "started_containers_errors",
}
_BY_LABEL = {  # family -> (key, label): added up per value of the label
    "kubelet_running_containers": ("running_containers", "container_state"),
    "kubelet_running_container_count": ("running_containers", "container_state"),  # up to 1.18
    "kubelet_working_pods": ("working_pods", "lifecycle"),
    "kubelet_evictions": ("evictions", "eviction_signal"),
    "kubelet_admission_rejections_total": ("admission_rejections", "reason"),
    "rest_client_requests_total": ("rest", "code"),
}
_STARTUP = {
    f"kubelet_node_startup_{phase}duration_seconds": phase.rstrip("_") or "total"
    for phase in ("pre_kubelet_", "pre_registration_", "registration_", "post_registration_", "")
}
_HISTOGRAMS = {  # family -> the bound that matters, None: only sum and count
    _RELIST: _LONG_RELIST_S,
    _OPS: _LONG_OP_S,
    "kubelet_pleg_relist_interval_seconds": None,
    "kubelet_image_pull_duration_seconds": None,
}
_ABSENT_AT_0 = frozenset(("pleg_last_seen", "shutdown_start"))  # gauges of a time, 0 until set
_WANTED = frozenset(
    name.encode()
    for names in (_SINGLE, _SUMMED, _BY_LABEL, _STARTUP, _HISTOGRAMS)
    for name in names
) | {b"kubernetes_build_info", _OP_ERRORS.encode()}


def metrics_values(body: bytes) -> Values:
    """Raises ValueError when the body holds no metric of a kubelet."""
    values: Values = {}
    ops: dict[str, list[float]] = {}
    for sample in parse(_lines(body)):
        if sample.name.startswith("kubelet_runtime_operations_"):
            _operation(ops, sample)
        else:
            _take(values, sample)
    _conclude(values, ops)
    if not values:
        raise ValueError("no metric of a kubelet is in it")
    return values


def _lines(body: bytes) -> Iterable[bytes]:
    for name, lines in families(body, _WANTED).items():
        family = name.decode()
        if family not in _HISTOGRAMS:
            yield from lines
            continue
        bound = _HISTOGRAMS[family]
        if bound is None:
            yield from (line for line in lines if b"_bucket{" not in line)
        else:
            yield from bucket(lines, bound)


def _operation(ops: dict[str, list[float]], sample: Sample) -> None:
    """[count, errors, seconds, bucket of the long bound] of one operation_type."""
    operation = ops.setdefault(sample.labels.get("operation_type", ""), [0, 0, 0, -1])
    for end, place in (("_count", 0), ("errors_total", 1), ("_sum", 2), ("_bucket", 3)):
        if sample.name.endswith(end):
            operation[place] = sample.value


def _take(values: Values, sample: Sample) -> None:
    name, value = sample.name, _number(sample.value)
    if name in _SINGLE:
        values[_SINGLE[name]] = value
    elif name in _SUMMED:
        _add(values, _SUMMED[name], value)
    elif name in _BY_LABEL:
        key, label = _BY_LABEL[name]
        _add(values.setdefault(key, {}), sample.labels.get(label, ""), value)
    elif name in _STARTUP:
        values.setdefault("node_startup", {})[_STARTUP[name]] = value
    elif name == "kubernetes_build_info":
        values["version"] = _version(sample.labels)
    elif name in _OF_HISTOGRAM:
        _add(values, _OF_HISTOGRAM[name], value)


_OF_HISTOGRAM = {
    f"{_RELIST}_count": "relist_count",
    f"{_RELIST}_sum": "relist_sum",
    f"{_RELIST}_bucket": "relist_over_10s",  # until _conclude
    "kubelet_pleg_relist_interval_seconds_count": "relist_starts",
    "kubelet_image_pull_duration_seconds_count": "pull_count",
    "kubelet_image_pull_duration_seconds_sum": "pull_sum",
}


def _conclude(values: Values, ops: dict[str, list[float]]) -> None:
    """Buckets count what was quick; the rest took long."""
    for key in _ABSENT_AT_0:
        if values.get(key) == 0:
            del values[key]
    if "relist_over_10s" in values:
        values["relist_over_10s"] = values.get("relist_count", 0) - values["relist_over_10s"]
    if ops:
        values["ops"] = {
            name: [
                _number(count),
                _number(errors),
                round(seconds, 3),
                _number(count - quick) if quick >= 0 else None,
            ]
            for name, (count, errors, seconds, quick) in sorted(ops.items())
        }


def _version(labels: dict[str, str]) -> str:
    return labels.get("git_version") or labels.get("gitVersion", "")  # the latter up to 1.18


def _add(to: Values, key: str, value: float) -> None:
    to[key] = to.get(key, 0) + value


def _number(value: float) -> float:
    """Counters are whole numbers; shorter so."""
    return int(value) if value == int(value) else round(value, 6)

"""A real kubelet's answers become values; what is not there is absent, and nonsense is refused."""

import re

import pytest

from collectors.node.answers import (
    Probes,
    configz_values,
    healthz_values,
    resource_values,
    stats_values,
)
from collectors.node.exposition import bucket, families, parse
from collectors.node.metrics_values import metrics_values
from tests.collectors.node.bodies import body


def test_metrics_of_a_real_kubelet() -> None:
    values = metrics_values(body("metrics"))
    assert values["process_start"] == 1795411869.82
    assert values["version"] == "v1.34.4"
    assert values["pleg_last_seen"] == 1795412199
    assert (values["relist_count"], values["relist_starts"]) == (327, 326)
    assert values["relist_over_10s"] == 0
    assert values["ops"]["list_podsandbox"] == [646, 5, 1.815, 0]
    assert values["ops"]["version"] == [40, 0, 0.064, 0]
    assert values["desired_pods"] == values["running_pods"] == 13
    assert values["running_containers"] == {"created": 3, "exited": 1, "running": 14}
    assert values["working_pods"] == {"sync": 13, "terminated": 0, "terminating": 0}
    assert values["rest"] == {"200": 542, "201": 175, "403": 16, "404": 11}
    assert (values["sandbox_errors"], values["started_pods_errors"]) == (47, 47)
    assert values["node_startup"]["registration"] == 0.10946
    assert {"shutdown_start", "pull_count", "client_cert_ttl", "evictions"}.isdisjoint(values)


def test_metrics_filtered_are_metrics_parsed_whole() -> None:
    """The filter loses no wanted sample: every line that it keeps, and only those, is what the
    parser finds of these families in the whole text."""
    text = body("metrics")
    bare = [line for line in text.splitlines() if not line.startswith(b"#")]
    whole = {(s.name, *sorted(s.labels.items())): s.value for s in parse(bare)}
    wanted = (b"kubelet_running_containers", b"rest_client_requests_total", b"kubelet_pleg_")
    names = [n for n in re.findall(rb"# TYPE (\S+)", text) if n.startswith(wanted)]
    assert len(names) >= 6
    found = families(text, set(names))
    kept = {
        (s.name, *sorted(s.labels.items())): s.value
        for lines in found.values()
        for s in parse(lines)
    }
    prefixes = tuple(name.decode() for name in names)
    assert kept == {k: v for k, v in whole.items() if str(k[0]).startswith(prefixes)}


def test_long_calls_are_counted_by_whatever_buckets_there_are() -> None:
    op = b'kubelet_runtime_operations_duration_seconds_%s{operation_type="status"%s} %d\n'
    text = b"# TYPE kubelet_runtime_operations_duration_seconds histogram\n"
    for bound, count in ((b"47.6", 5), (b"119.2", 6), (b"298.0", 8), (b"+Inf", 8)):
        text += op % (b"bucket", b',le="' + bound + b'"', count)
    text += op % (b"sum", b"", 240) + op % (b"count", b"", 8)
    text += b"# TYPE kubelet_pleg_relist_duration_seconds histogram\n"
    text += b'kubelet_pleg_relist_duration_seconds_bucket{le="10"} 90\n'
    text += b'kubelet_pleg_relist_duration_seconds_bucket{le="+Inf"} 93\n'
    text += b"kubelet_pleg_relist_duration_seconds_count 93\n"
    values = metrics_values(text)
    assert values == {"ops": {"status": [8, 0, 240, 2]}, "relist_count": 93, "relist_over_10s": 3}
    without = text.replace(b'le="119.2"', b'le="99"').replace(b'le="298.0"', b'le="+Inf"')
    assert metrics_values(without)["ops"] == {"status": [8, 0, 240, None]}
    assert bucket([], 10) == []


def test_names_of_older_kubelets_and_numbers_that_are_none() -> None:
    text = b"""# TYPE kubelet_running_pod_count gauge
kubelet_running_pod_count 4
# TYPE kubelet_certificate_manager_client_ttl_seconds gauge
kubelet_certificate_manager_client_ttl_seconds +Inf
# TYPE kubernetes_build_info gauge
kubernetes_build_info{gitVersion="v1.18.0"} 1
# TYPE kubelet_pleg_last_seen_seconds gauge
kubelet_pleg_last_seen_seconds 0
"""
    assert metrics_values(text) == {"running_pods": 4, "version": "v1.18.0"}


@pytest.mark.parametrize("text", [b"", b"<html>", b"# TYPE up gauge\nup 1\n"])
def test_what_is_no_kubelet_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="no metric"):
        metrics_values(text)
    with pytest.raises(ValueError, match="no metric"):
        resource_values(text)


def test_a_damaged_line_is_refused() -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the parser's own words
        metrics_values(b"# TYPE kubelet_running_pods gauge\nkubelet_running_pods x\n")


def test_probes_name_what_failed_since_the_last_sample() -> None:
    probes = Probes()
    first = probes(body("metrics-probes-1"))
    assert first["failed"] == []
    assert (first["total_failed"], first["total_successful"]) == (11, 405)
    second = probes(body("metrics-probes-2"))
    assert (second["total_failed"], second["total_successful"]) == (23, 410)
    assert ["broken", "liveness", "main", "Liveness", 4, 0] in second["failed"]
    assert [row[1] for row in second["failed"]] == [
        "liveness", "notready", "notready503", "probetimeout",
    ]  # fmt: skip
    assert probes(body("metrics-probes-2"))["failed"] == []
    restarted = probes(body("metrics-probes-1"))  # the counters went back
    assert len(restarted["failed"]) == 4
    with pytest.raises(ValueError, match="no metric"):
        probes(b"<html>")


def test_a_failed_probe_comes_with_its_successes() -> None:
    line = b'prober_probe_total{container="c",namespace="n",pod="p",probe_type="Readiness",result='
    head = b"# TYPE prober_probe_total counter\n"
    probes = Probes()
    probes(head + line + b'"successful"} 7\n')
    found = probes(head + line + b'"failed"} 1\n' + line + b'"successful"} 8\n')
    assert found["failed"] == [["n", "p", "c", "Readiness", 1, 8]]


def test_resource_stats_configz_of_a_real_kubelet() -> None:
    assert resource_values(body("metrics-resource")) == {
        "cpu_s": 2457.756,
        "memory_bytes": 2790166528,
        "containers": 10,
    }
    stats = stats_values(body("stats-summary"))
    disk = {"size": 270553174016, "free": 71144267776, "inodes": 16777216, "inodes_free": 16116903}
    assert stats == {
        "fs": disk,
        "image_fs": disk,
        "memory": {"available": 22486335488, "working_set": 2790166528},
        "pids": {"max": 32768, "running": 456},
        "pods": 9,
    }
    config = configz_values(body("configz"))
    assert config["runtime_request_timeout_s"] == 120
    assert config["node_status_update_s"] == 10
    assert config["log_max_bytes"] == 65536
    assert (config["log_max_files"], config["log_monitor_s"]) == (3, 3)
    assert config["evented_pleg"] is False
    assert (config["pod_logs_dir"], config["cgroup_driver"]) == ("/var/log/pods", "cgroupfs")
    assert config["eviction_hard"]["memory.available"] == "100Mi"


def test_units_of_configz() -> None:
    config = configz_values(
        b'{"kubeletconfig": {"runtimeRequestTimeout": "1h1m1.5s", "containerLogMaxSize": "1.5Gi",'
        b'"containerLogMonitorInterval": "100ms", "featureGates": {"EventedPLEG": true}}}'
    )
    assert config == {
        "runtime_request_timeout_s": 3661.5,
        "log_max_bytes": 1610612736,
        "log_monitor_s": 0.1,
        "evented_pleg": True,
    }


def test_stats_that_lack_what_others_have() -> None:
    assert stats_values(b'{"node": {"fs": {"availableBytes": 7}}, "pods": []}') == {
        "fs": {"free": 7},
        "pods": 0,
    }


@pytest.mark.parametrize("text", [b"{}", b'{"node": {', b'{"node"', b"\xff"])
def test_stats_that_are_none_are_refused(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - JSON's or Unicode's own words
        stats_values(text)


def test_healthz_with_checks_and_without() -> None:
    text = b"[+]ping ok\n[+]log ok\n[-]syncloop failed: reason withheld\nhealthz check failed\n"
    assert healthz_values(text) == {
        "checks": {"ping": True, "log": True, "syncloop": False},
        "failed": ["syncloop"],
    }
    assert healthz_values(b"ok") == {"failed": []}
    with pytest.raises(ValueError, match="neither"):
        healthz_values(b"<html>")

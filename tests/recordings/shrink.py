"""Makes the small recordings beside this file: `python tests/recordings/shrink.py FROM [NAME…]`.

FROM holds recordings of real nodes (directories in the layout of collectors/recording/layout.py).
What the collectors do not read is left out: metric families that are not wanted, managedFields
and last-applied annotations, pods' own statistics, logs of containers, other daemons' logs. A
recording made small must replay to the same incidents; tests/journeys/test_recordings.py can be
pointed at the large ones to see it (KUBELEDGER_RECORDINGS=FROM).
"""

import gzip
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "nodes"
PLAIN = ("index.json", "timeline.json")
LOGS = ("kubelet", "containerd")
_WANTED = (
    "kubelet_pleg_", "kubelet_evented_pleg_", "kubelet_runtime_operations_", "kubelet_running_",
    "kubelet_desired_pods", "kubelet_working_pods", "kubelet_certificate_manager_",
    "kubelet_server_expiration_", "rest_client_requests_total", "process_start_time_seconds",
    "kubernetes_build_info", "kubelet_evictions", "kubelet_admission_rejections_total",
    "kubelet_run_podsandbox_errors_total", "kubelet_started_", "kubelet_node_startup_",
    "kubelet_image_pull_duration_seconds", "kubelet_graceful_shutdown_", "kubelet_node_name",
)  # fmt: skip


def main() -> int:
    source = Path(sys.argv[1])
    names = sys.argv[2:] or sorted(p.name for p in source.iterdir() if (p / "index.json").exists())
    for name in names:
        shrink(source / name, HERE / name)
    size = sum(p.stat().st_size for p in HERE.rglob("*") if p.is_file())
    print(f"{len(names)} recordings, {size / 1e6:.1f} MB")
    return 0


def shrink(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in PLAIN:
        if (source / name).exists():
            shutil.copy(source / name, target / name)
    for program in LOGS:
        if (source / f"{program}.log.gz").exists():
            shutil.copy(source / f"{program}.log.gz", target)
    for file in sorted(source.glob("*.jsonl.gz")):
        change = _change(file.name.removesuffix(".jsonl.gz"))
        if change is not None:
            _rewrite(file, target / file.name, change)


def _change(name: str) -> Callable[[dict[str, Any]], dict[str, Any]] | None:
    if name.startswith("watch-"):
        return _object
    if name in ("kubelet-metrics", "kubelet-metrics-patient"):
        return _metrics
    if name == "kubelet-stats-summary":
        return _stats
    if name in ("kubelet-healthz", "kubelet-configz", "kubelet-metrics-probes",
                "kubelet-metrics-resource", "processes", "pod-log-files"):  # fmt: skip
        return lambda row: row
    return None


def _object(row: dict[str, Any]) -> dict[str, Any]:
    meta = row.get("event", {}).get("object", {}).get("metadata", {})
    meta.pop("managedFields", None)
    meta.get("annotations", {}).pop("kubectl.kubernetes.io/last-applied-configuration", None)
    row.get("event", {}).get("object", {}).get("status", {}).pop("images", None)
    return row


def _metrics(row: dict[str, Any]) -> dict[str, Any]:
    if "body" in row:
        lines = row["body"].splitlines(keepends=True)
        row["body"] = "".join(
            line
            for line in lines
            if line.removeprefix("# HELP ").removeprefix("# TYPE ").startswith(_WANTED)
        )
    return row


def _stats(row: dict[str, Any]) -> dict[str, Any]:
    if row.get("status") == 200:
        body = json.loads(row["body"])
        body["pods"] = [{"podRef": pod["podRef"]} for pod in body.get("pods", [])]
        body["node"].pop("systemContainers", None)
        row["body"] = json.dumps(body)
    return row


def _rewrite(
    source: Path, target: Path, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    with gzip.open(source, "rt") as lines, gzip.GzipFile(target, "wb", mtime=0) as out:
        for line in lines:
            out.write(json.dumps(change(json.loads(line)), separators=(",", ":")).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())

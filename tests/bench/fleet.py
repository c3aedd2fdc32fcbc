"""The event log of a fleet that is well: samples of every node each 5 s, pods whose status
changes, leases, now and then an Event and a log signal. Deterministic."""

import itertools
import random
from collections.abc import Iterator

from pipeline.contract.state import (
    ADDED,
    EVENT,
    MODIFIED,
    OBJECT,
    SAMPLE,
    SIGNAL,
    TICK,
    StateEvent,
)

START_MS = 1_795_435_200_000
ROUND_MS = 5_000
_OPS = ("list_podsandbox", "list_containers", "podsandbox_status", "container_status", "version",
        "status", "image_fs_info", "list_images", "create_container", "start_container",
        "remove_container", "run_podsandbox", "stop_podsandbox", "pull_image")  # fmt: skip
_CHECKS = ("ping", "log", "syncloop")


class Fleet:
    def __init__(self, nodes: int, pods_per_node: int, *, seed: int = 1) -> None:
        self._nodes = [f"node-{number:05d}" for number in range(nodes)]
        self._pods = pods_per_node
        self._random = random.Random(seed)
        self._numbers = itertools.count(1)
        self._versions = itertools.count(1000)

    def beginning(self) -> Iterator[StateEvent]:
        """All nodes and pods, as a watcher lists them."""
        for node in self._nodes:
            yield self._object("nodes", ADDED, _node(node), START_MS)
            for pod in range(self._pods):
                yield self._object("pods", ADDED, _pod(node, pod, self._version()), START_MS)

    def rounds(self, count: int) -> Iterator[StateEvent]:
        """That many times 5 s."""
        for number in range(count):
            t = START_MS + 1000 + number * ROUND_MS
            yield StateEvent(TICK, t, "process-state", f"tick/{t}", {})
            for at, node in enumerate(self._nodes):
                yield from self._round(node, t + at * 4000 // len(self._nodes), number)

    def _round(self, node: str, t: int, number: int) -> Iterator[StateEvent]:
        for part, values in self._values(t, number).items():
            body = {"node": node, "part": part, "asked_ms": t, "ms": 12, "outcome": "ok",
                    "status": 200, "values": values}  # fmt: skip
            yield StateEvent(SAMPLE, t, node, f"sample/{node}/{part}/{t}", body)
        roll = self._random.random()
        if roll < 0.5:
            pod = _pod(node, self._random.randrange(self._pods), self._version())
            yield self._object("pods", MODIFIED, pod, t)
        if roll < 0.05:
            yield self._event(node, t)
        if roll > 0.98:
            yield self._signal(node, t)

    def _values(self, t: int, number: int) -> dict[str, dict]:
        ops = {name: [100 + number, 0, 1.5 + number / 100, 0] for name in _OPS}
        metrics = {
            "process_start": START_MS / 1000 - 86_400.5, "version": "v1.34.4",
            "pleg_last_seen": t / 1000 - 0.7, "relist_count": 9_000 + number * 5,
            "relist_sum": 812.25 + number / 10, "relist_over_10s": 0, "relist_starts": number,
            "pleg_discarded": 0, "ops": ops, "running_pods": self._pods,
            "desired_pods": self._pods, "running_containers": {"running": self._pods, "exited": 3},
            "working_pods": {"sync": self._pods}, "client_cert_ttl": 2.5e6,
            "rest": {"200": 90_000 + number, "201": 44, "409": 2}, "evictions": {},
            "sandbox_errors": 0, "started_pods_errors": 0, "pull_count": 12, "pull_sum": 33.5,
        }  # fmt: skip
        host = {
            "psi": {key: {"some_avg10": 0.5, "full_avg10": 0.1} for key in
                    ("cpu", "memory", "io")},
            "load": [1.5, 1.2, 1.0], "dstate": [], "dstate_count": 0,
            "fs": {"/var/lib/kubelet": {"size": 10**11, "free": 6 * 10**10, "inodes": 6 * 10**6,
                                        "inodes_free": 5 * 10**6}},
            "memory": {"total": 64 << 30, "available": 30 << 30},
            "conntrack": {"count": 4000, "max": 262_144}, "pids": {"max": 32_768, "running": 900},
            "clock": {"offset_s": 0.001, "synchronised": True},
            "boot_id": "4f1c2f0e-0000-4000-8000-000000000000", "uptime_s": 90_000 + number * 5,
            "systemd": {"outcome": "ok", "ms": 2},
            "units": {unit: {"active": "active", "sub": "running", "main_pid": 700, "restarts": 0,
                             "since_ms": START_MS} for unit in ("kubelet", "containerd")},
            "daemons": {name: {"pid": 700, "state": "S", "started": START_MS} for name in
                        ("kubelet", "containerd")},
        }  # fmt: skip
        return {
            "metrics": metrics,
            "host": host,
            "healthz": {"checks": dict.fromkeys(_CHECKS, True), "failed": []},
            "probes": {"failed": [], "total_failed": 0, "total_successful": 900},
            "growth": {"newest_ms": t - 200, "active": self._pods},
        }

    def _object(self, resource: str, kind: str, document: dict, t: int) -> StateEvent:
        meta = document["metadata"]
        name = f"object/{meta['uid']}/{meta['resourceVersion']}"
        body = {"resource": resource, "type": kind, "object": document}
        return StateEvent(OBJECT, t, "watch", name, body)

    def _event(self, node: str, t: int) -> StateEvent:
        number = next(self._numbers)
        about = {"kind": "Pod", "namespace": "shop", "name": f"{node}-1", "uid": f"u-{node}-1"}
        body = {"uid": f"ev-{number}", "version": "1", "type": "Normal", "reason": "Pulled",
                "message": "Container image already present on machine", "object": about,
                "component": "kubelet", "host": node, "first_ms": t, "last_ms": t,
                "count": 1}  # fmt: skip
        return StateEvent(EVENT, t, "watch", f"event/ev-{number}/1", body)

    def _signal(self, node: str, t: int) -> StateEvent:
        number = next(self._numbers)
        body = {"pattern": "kubelet.sync-error", "node": node, "program": "kubelet", "fields": {},
                "line": "E1123 05:35:03.123456 700 pod_workers.go:1301] Error syncing pod",
                "file": f"{number:016x}", "off": number}  # fmt: skip
        return StateEvent(SIGNAL, t, "process-logs", f"signal/{number}", body)

    def _version(self) -> str:
        return str(next(self._versions))


def _node(name: str) -> dict:
    conditions = [{"type": kind, "status": "True" if kind == "Ready" else "False",
                   "lastHeartbeatTime": "2026-11-23T12:00:00Z",
                   "lastTransitionTime": "2026-11-22T12:00:00Z", "reason": "KubeletReady",
                   "message": "kubelet is posting ready status"}
                  for kind in ("Ready", "MemoryPressure", "PIDPressure")]  # fmt: skip
    return {
        "metadata": {"name": name, "uid": f"u-{name}", "resourceVersion": "1",
                     "labels": {"topology.kubernetes.io/zone": f"zone-{int(name[-5:]) % 3}"}},
        "spec": {"podCIDR": "10.0.0.0/24"},
        "status": {"conditions": conditions, "nodeInfo": {"kubeletVersion": "v1.34.4"}},
    }  # fmt: skip


def _pod(node: str, number: int, version: str) -> dict:
    name = f"{node}-{number}"
    return {
        "metadata": {"namespace": "shop", "name": name, "uid": f"u-{name}",
                     "resourceVersion": version, "labels": {"app": f"app-{number}"},
                     "creationTimestamp": "2026-11-22T12:00:00Z",
                     "ownerReferences": [{"kind": "ReplicaSet", "name": f"app-{number}-7f9c",
                                          "uid": f"rs-{number}", "controller": True}]},
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": "shop/app:1"}]},
        "status": {"phase": "Running", "podIP": "10.0.0.7", "startTime": "2026-11-22T12:00:00Z",
                   "conditions": [{"type": kind, "status": "True",
                                   "lastTransitionTime": "2026-11-22T12:00:05Z"}
                                  for kind in ("Initialized", "Ready", "ContainersReady",
                                               "PodScheduled")],
                   "containerStatuses": [{"name": "main", "ready": True, "restartCount": 0,
                                          "state": {"running": {"startedAt":
                                                                "2026-11-22T12:00:04Z"}}}]},
    }  # fmt: skip

"""A cluster of any size as state events: what the collectors of its nodes and its watcher write.

Objects look as the watcher trims them; samples as a kubelet that is well answers. Deterministic.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from collectors.cluster.said import UIDS_A_RECORD
from pipeline.contract.state import (
    EVENT,
    GROWTH,
    HEALTHZ,
    HOST,
    METRICS,
    MODIFIED,
    OBJECT,
    OK,
    PROBES,
    RESOURCE,
    SAMPLE,
    SYNCED,
    TICK,
    StateEvent,
)

START_MS = 1_795_412_000_000
CREATED = "2026-11-23T05:37:40Z"
NODE = "node-{:04d}"


@dataclass(slots=True)
class Cluster:
    """`events` may be taken in parts: time and resource versions go on."""

    nodes: int
    pods_per_node: int
    seed: int = 1
    now: int = START_MS
    version: int = 1000

    def objects(self) -> Iterator[StateEvent]:
        """Everything that exists, as a first list brings it: versions, since nobody knows whether
        they are new, and then what there is."""
        uids: dict[str, list[str]] = {"nodes": [], "leases": [], "pods": []}
        for number in range(self.nodes):
            pods = (self.pod(number, pod) for pod in range(self.pods_per_node))
            for event in (self.node(number), self.lease(number), *pods):
                yield event
                uids[event.body["resource"]].append(event.body["object"]["metadata"]["uid"])
        for resource, names in uids.items():
            yield from self._synced(resource, sorted(names))

    def _synced(self, resource: str, uids: list[str]) -> Iterator[StateEvent]:
        """In ranges, as the watcher writes it (collectors/cluster/said.py)."""
        after = ""
        for at in range(0, len(uids), UIDS_A_RECORD):
            chunk = uids[at : at + UIDS_A_RECORD]
            upto = chunk[-1] if at + UIDS_A_RECORD < len(uids) else ""
            body = {"resource": resource, "version": str(self.version), "count": len(uids),
                    "outcome": OK, "uids": chunk, "after": after, "upto": upto}  # fmt: skip
            name = f"synced:{resource}:{self.version}:{self.now}:{at}"
            yield StateEvent(SYNCED, self.now, "watch", name, body)
            after = upto

    def steady(
        self, seconds: int, *, silent: frozenset[int] = frozenset(), calm: int = 500
    ) -> Iterator[StateEvent]:
        """Ordinary life: samples every 5 or 15 s, leases every 20 s, one pod in `calm` changes a
        second. `silent` nodes say nothing any more."""
        chance = random.Random(self.seed)
        for _ in range(seconds):
            self.now += 1000
            second = self.now // 1000
            for number in range(self.nodes):
                if number in silent:
                    continue
                if (second + number) % 5 == 0:
                    yield from self.samples(number)
                if (second + number) % 15 == 0:
                    yield from self.slow_samples(number)
                if (second + number) % 20 == 0:
                    yield self.lease(number)
            for _ in range(max(1, self.nodes * self.pods_per_node // calm)):
                number = chance.randrange(self.nodes)
                if number not in silent:
                    pod = chance.randrange(self.pods_per_node)
                    yield self.pod(number, pod, ready=chance.random() < 0.9)
                    yield self.event(number, pod)
            if second % 5 == 0:
                yield StateEvent(TICK, self.now, "process-state", f"tick:{self.now}", {})

    # One event each

    def node(self, number: int, ready: str = "True") -> StateEvent:
        name = NODE.format(number)
        reason = {"True": "KubeletReady", "Unknown": "NodeStatusUnknown"}[ready]
        conditions = [
            {"type": kind, "status": "False", "reason": f"KubeletHasNo{kind}", "message": "no"}
            for kind in ("MemoryPressure", "DiskPressure", "PIDPressure")
        ]
        conditions.append(
            {"type": "Ready", "status": ready, "reason": reason, "message": "posting"}
        )
        labels = {"topology.kubernetes.io/zone": f"zone-{number % 3}"}
        allocatable = {"cpu": "15890m", "memory": "61847Mi", "pods": "110"}
        status = {"conditions": conditions, "allocatable": allocatable}
        return self._object("nodes", "", name, {"spec": {}, "status": status}, labels=labels)

    def lease(self, number: int) -> StateEvent:
        spec = {"renewTime": f"t{self.now}", "leaseDurationSeconds": 40}
        return self._object("leases", "kube-node-lease", NODE.format(number), {"spec": spec})

    def pod(self, number: int, pod: int, *, ready: bool = True) -> StateEvent:
        status = "True" if ready else "False"
        name = f"web-5d4f8c7b9d-{number:04d}{pod:03d}"
        owner = {"kind": "ReplicaSet", "name": "web-5d4f8c7b9d", "uid": "r", "controller": True}
        kinds = ("PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready",
                 "PodScheduled")  # fmt: skip
        conditions = [
            {"type": kind, "status": status if kind.endswith("Ready") else "True",
             "lastTransitionTime": CREATED}
            for kind in kinds
        ]  # fmt: skip
        container = {
            "name": "http", "ready": ready, "started": True, "restartCount": 0,
            "image": "registry.example/web:1", "state": {"running": {"startedAt": CREATED}},
        }  # fmt: skip
        return self._object(
            "pods",
            f"shop-{number % 50}",
            name,
            {
                "spec": {
                    "nodeName": NODE.format(number),
                    "containers": [
                        {
                            "name": "http",
                            "image": "registry.example/web:1",
                            "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}},
                        }
                    ],
                    "restartPolicy": "Always",
                    "terminationGracePeriodSeconds": 30,
                },
                "status": {
                    "phase": "Running",
                    "conditions": conditions,
                    "containerStatuses": [container],
                },
            },
            labels={"app": "web", "pod-template-hash": "5d4f8c7b9d"},
            owners=[owner],
        )

    def event(self, number: int, pod: int) -> StateEvent:
        self.version += 1
        name = f"web-5d4f8c7b9d-{number:04d}{pod:03d}"
        body = {
            "uid": f"e{self.version}", "version": str(self.version), "type": "Normal",
            "reason": "Pulled", "message": "Container image already present on machine",
            "object": {"kind": "Pod", "namespace": f"shop-{number % 50}", "name": name,
                       "uid": name, "field": "spec.containers{http}"},
            "component": "kubelet", "host": NODE.format(number),
            "first_ms": self.now, "last_ms": self.now, "count": 1,
        }  # fmt: skip
        return StateEvent(EVENT, self.now, "watch", f"e{self.version}", body)

    def samples(self, number: int) -> Iterator[StateEvent]:
        node, second = NODE.format(number), self.now / 1000
        count = second - START_MS / 1000
        ops = {name: [count, 0, count / 100, 0] for name in ("podsandbox_status", "list_podsandbox",
               "container_status", "list_containers", "version", "status")}  # fmt: skip
        yield self._sample(node, METRICS, {
            "process_start": START_MS / 1000 - 86_400, "pleg_last_seen": second - 0.8,
            "relist_count": count, "relist_sum": count / 50, "relist_over_10s": 0, "ops": ops,
            "running_pods": self.pods_per_node, "desired_pods": self.pods_per_node,
            "rest": {"200": count}, "client_cert_ttl": 8e6,
        })  # fmt: skip
        yield self._sample(node, HEALTHZ, {"checks": {"ping": True}, "failed": []})
        yield self._sample(node, HOST, {
            "psi": {"cpu": {"some_avg10": 3.0, "full_avg10": 0.0}}, "load": [1.0, 1.0, 1.0],
            "dstate": [], "boot_id": node, "systemd": {"outcome": OK, "ms": 3},
            "daemons": {"kubelet": {"pid": 10, "state": "S", "started": 1},
                        "containerd": {"pid": 11, "state": "S", "started": 1}},
            "fs": {"/": {"size": 100, "free": 50, "inodes": 100, "inodes_free": 60}},
        })  # fmt: skip

    def slow_samples(self, number: int) -> Iterator[StateEvent]:
        node = NODE.format(number)
        yield self._sample(node, PROBES, {"failed": [], "total_failed": 0, "total_successful": 9})
        yield self._sample(node, RESOURCE, {"cpu_s": 9.0, "memory_bytes": 1e9, "containers": 60})
        yield self._sample(node, GROWTH, {"active": 40, "newest_ms": self.now - 100})

    def _sample(self, node: str, part: str, values: dict[str, Any]) -> StateEvent:
        body = {"node": node, "part": part, "asked_ms": self.now, "ms": 12, "outcome": OK,
                "status": 200, "values": values}  # fmt: skip
        return StateEvent(SAMPLE, self.now, node, f"{node}:{part}:{self.now}", body)

    def _object(
        self,
        resource: str,
        namespace: str,
        name: str,
        document: dict[str, Any],
        *,
        labels: dict[str, str] | None = None,
        owners: list[dict[str, Any]] | None = None,
    ) -> StateEvent:
        self.version += 1
        meta: dict[str, Any] = {"name": name, "uid": f"{resource}-{namespace}-{name}",
                                "resourceVersion": str(self.version)}  # fmt: skip
        if namespace:
            meta["namespace"] = namespace
        if labels:
            meta["labels"] = labels
        if owners:
            meta["ownerReferences"] = owners
        body = {
            "resource": resource,
            "type": MODIFIED,
            "object": {"metadata": meta, **document},
        }
        return StateEvent(OBJECT, self.now, "watch", f"{meta['uid']}:{self.version}", body)

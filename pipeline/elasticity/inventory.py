"""Nodes and their pods, as far as capacity goes. Sums follow each change; nothing loops over all
pods.

A pod counts while it is bound to a node and has not ended, as the scheduler sees it. One without a
node is pending in the pool that its node selector names.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.elasticity.demand import seconds
from pipeline.elasticity.pod_requests import pod_requests
from pipeline.elasticity.quantity import milli, whole
from pipeline.readiness.detect.nodes import TAKERS
from pipeline.readiness.world import controller

# Labels that name a node's pool: Karpenter, ACK, GKE, EKS, AKS, Azure, DOKS, OpenShift-style.
POOL_LABELS = (
    "karpenter.sh/nodepool",
    "alibabacloud.com/nodepool-id",
    "cloud.google.com/gke-nodepool",
    "eks.amazonaws.com/nodegroup",
    "alpha.eksctl.io/nodegroup-name",
    "kubernetes.azure.com/agentpool",
    "agentpool",
    "doks.digitalocean.com/node-pool",
    "node.kubernetes.io/nodepool",
)
NO_POOL, VIRTUAL = "-", "virtual-kubelet"  # nodes without such a label; nodes without a kubelet

CORDON = "cordon"  # a person, or a program that cordons
_UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_CRITICAL = 2_000_000_000  # priority of the system-* classes
DAEMON, CRITICAL, KEPT = "daemon", "critical", "do-not-disrupt"  # PodThere.kind
# Labels of one pod alone; no disruption budget selects by them, and they would not be shared.
_OWN_LABELS = frozenset(
    (
        "controller-uid", "batch.kubernetes.io/controller-uid", "job-name",
        "batch.kubernetes.io/job-name", "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index", "pod-template-hash", "controller-revision-hash",
        "batch.kubernetes.io/job-completion-index",
    )
)  # fmt: skip

Object = Mapping[str, Any]


@dataclass(slots=True)
class NodeThere:
    uid: str
    pool: str
    cpu_m: int  # allocatable, millicores
    memory: int  # allocatable, bytes
    ready: bool
    cordoned: str = ""  # by whom: a value of TAKERS, or CORDON
    cordoned_ms: int = 0  # when, if its taint says so
    created_ms: int = 0


@dataclass(slots=True)
class PodThere:
    """`node` is "" while it is pending; then `pool` is where it wants to go."""

    name: str  # namespace/name
    node: str
    cpu_m: int
    memory: int
    labels: str  # lines key=value, sorted
    kind: str = ""
    pool: str = ""
    leaving: bool = False


@dataclass(slots=True)
class Load:
    """What is on a node, whether or not the node itself was seen."""

    cpu_m: int = 0
    memory: int = 0
    pods: dict[str, None] = field(default_factory=dict)  # uids


@dataclass(slots=True)
class InventoryState:
    nodes: dict[str, NodeThere] = field(default_factory=dict)
    pods: dict[str, PodThere] = field(default_factory=dict)  # by uid
    loads: dict[str, Load] = field(default_factory=dict)  # by node
    pending: dict[str, int] = field(default_factory=dict)  # by pool


class Inventory:
    def __init__(self, state: InventoryState) -> None:
        self.state = state
        for pod in state.pods.values():  # shared again after a restart
            pod.labels, pod.kind = sys.intern(pod.labels), sys.intern(pod.kind)

    def node(self, deleted: bool, obj: Object) -> tuple[NodeThere | None, NodeThere | None]:
        """(before, after) of a node version. A late deletion of another with its name changes
        nothing."""
        meta = obj["metadata"]
        name, before = meta["name"], self.state.nodes.get(meta["name"])
        if not deleted:
            self.state.nodes[name] = _node(obj)
            return before, self.state.nodes[name]
        if before is not None and before.uid == meta["uid"]:
            del self.state.nodes[name]
            return before, None
        return before, before

    def pod(self, deleted: bool, obj: Object) -> PodThere | None:
        """What a pod version came to; None: it takes no room any more."""
        uid, status = obj["metadata"]["uid"], obj.get("status") or {}
        before = self.state.pods.get(uid)
        if deleted or status.get("phase") in ("Succeeded", "Failed"):
            if before is not None:
                self._count(uid, before, -1)
                del self.state.pods[uid]
            return None
        after = _pod(obj)
        if after == before:
            return before
        if before is not None:
            self._count(uid, before, -1)
        self._count(uid, after, 1)
        self.state.pods[uid] = after
        return after

    def pods_on(self, node: str) -> Iterator[PodThere]:
        load = self.state.loads.get(node)
        return (self.state.pods[uid] for uid in load.pods) if load else iter(())

    def _count(self, uid: str, pod: PodThere, sign: int) -> None:
        if not pod.node:
            pending = self.state.pending
            pending[pod.pool] = pending.get(pod.pool, 0) + sign
            if not pending[pod.pool]:
                del pending[pod.pool]
            return
        load = self.state.loads.setdefault(pod.node, Load())
        load.cpu_m += sign * pod.cpu_m
        load.memory += sign * pod.memory
        if sign > 0:
            load.pods[uid] = None
        else:
            load.pods.pop(uid, None)
            if not load.pods:
                del self.state.loads[pod.node]


def pool_of(labels: Object) -> str:
    """The node pool that labels (or a node selector) name."""
    if labels.get("type") == VIRTUAL:
        return VIRTUAL
    return next((str(labels[name]) for name in POOL_LABELS if labels.get(name)), NO_POOL)


def _node(obj: Object) -> NodeThere:
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    allocatable = status.get("allocatable") or {}
    conditions = status.get("conditions") or ()
    ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
    by, since = _cordoned(spec)
    return NodeThere(
        str(meta.get("uid", "")),
        pool_of(meta.get("labels") or {}),
        milli(allocatable.get("cpu", 0)),
        whole(allocatable.get("memory", 0)),
        ready,
        by,
        since,
        int(seconds(meta.get("creationTimestamp")) * 1000),
    )


def _cordoned(spec: Object) -> tuple[str, int]:
    taints = {str(taint.get("key")): taint for taint in spec.get("taints") or ()}
    by = next((taker for key, taker in TAKERS.items() if key in taints), "")
    added = taints.get(_UNSCHEDULABLE, {}).get("timeAdded")
    if not by and spec.get("unschedulable"):
        by = CORDON
    return by, int(seconds(added) * 1000) if by else 0


def _pod(obj: Object) -> PodThere:
    meta, spec = obj["metadata"], obj.get("spec") or {}
    cpu, memory = pod_requests(spec)
    node = spec.get("nodeName") or ""
    return PodThere(
        f"{meta['namespace']}/{meta['name']}",
        node,
        cpu,
        memory,
        _lines(meta.get("labels") or {}),
        _kind(meta, spec),
        "" if node else pool_of(spec.get("nodeSelector") or {}),
        bool(meta.get("deletionTimestamp")),
    )


def _lines(labels: Object) -> str:
    """One text for all pods that have the same."""
    lines = [f"{key}={value}" for key, value in labels.items() if key not in _OWN_LABELS]
    return sys.intern("\n".join(sorted(lines)))


def _kind(meta: Object, spec: Object) -> str:
    """What a drain does with it."""
    owner = controller(meta)
    if owner is not None and owner["kind"] in ("DaemonSet", "Node"):
        return DAEMON
    if (meta.get("annotations") or {}).get("karpenter.sh/do-not-disrupt") == "true":
        return KEPT
    return CRITICAL if (spec.get("priority") or 0) >= _CRITICAL else ""

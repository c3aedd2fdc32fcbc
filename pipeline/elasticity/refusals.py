"""Why an autoscaler does not make a node for a pod: its words -> reasons. Pure functions.

cluster-autoscaler (core/scaleup/orchestrator) writes one Event for each pod that it does not help:
`pod didn't trigger scale-up: <n> <reason>, <n> <reason>`, n counting node groups. Karpenter
(kubernetes-sigs/karpenter pkg/controllers/provisioning) writes `Failed to schedule pod, <why>` once
and is silent from then on; its requirements end with `resources={…}`. In a pool with limits it may
say "exceed limits" of a pod that no pool would take whatever its limits (measured): `truly`
compares the pod with the pools.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.elasticity import provision
from pipeline.elasticity.pod_requests import pod_requests
from pipeline.elasticity.quantity import quantity
from pipeline.readiness.detect.fit_error import family

# In the order in which they stand nearest to a node: the first of those found is the one to mend.
REASONS: Mapping[str, str] = {
    "out-of-stock": "the cloud has no machine of that kind left",
    "provision-failed": "the cloud did not give the machine that was asked for",
    "backoff": "a node group is left alone for a while after a scale-up of it failed",
    "max-size": "a node group has as many nodes as it may have",
    "limits": "the limits of the cluster or of the node pool are reached",
    "not-ready": "a node group is not ready for a scale-up",
    "node-class": "the node pool's class of machines is not ready",
    "size": "no machine is large enough for the pod",
    "zone": "the zone, or the volume's zone, is not offered",
    "architecture": "no machine of that architecture or operating system is offered",
    "ports": "the host port that the pod asks for is taken",
    "spread": "topology spread forbids it",
    "pod-affinity": "rules about other pods forbid it",
    "selector": "no node group has the labels that the pod asks for",
    "taint": "the pod does not tolerate the taint of the node group",
    "unknown": "the autoscaler refuses, in words that are not known here",
}

# Of cluster-autoscaler, before the scheduler's own words.
_SKIPPED = (
    ("backoff", re.compile(r"in backoff after failed scale-up")),
    ("max-size", re.compile(r"max node group size reached")),
    ("limits", re.compile(r"exceeded quota|max total nodes|max cluster .* limit reached|limit")),
    ("not-ready", re.compile(r"not ready for scale-up")),
    ("size", re.compile(r"^Insufficient |Too many pods")),
    ("zone", re.compile(r"volume|zone")),
)
_FAMILIES = {
    "taint": "taint",
    "affinity": "selector",
    "ports": "ports",
    "capacity": "size",
    "volume": "zone",
    "spread": "spread",
    "pod-affinity": "pod-affinity",
    "cordoned": "taint",
}
_NOT_TRIGGERED = re.compile(r"^pod didn't trigger scale-up(?: \(.*?\))?: (.*)$", re.DOTALL)
_COUNTED = re.compile(r"(\d+) (.+)$", re.DOTALL)

_KARPENTER = re.compile(r"Failed to schedule pod|incompatible with|no instance type")
_ARCHITECTURE = ("kubernetes.io/arch", "kubernetes.io/os")
_ZONE = "topology.kubernetes.io/zone"
_LABELS = re.compile(r"([\w./-]+) (?:In|NotIn|Exists|DoesNotExist|Gt|Lt)\b")
# Labels that Karpenter knows of each machine; a pool does not have to name them.
_WELL_KNOWN = ("kubernetes.io/", "node.kubernetes.io/", "topology.kubernetes.io/", "karpenter.")

Object = Mapping[str, Any]


def not_triggered(message: str) -> list[str]:
    """Reasons of a NotTriggerScaleUp, each once, nearest to a node first."""
    found = _NOT_TRIGGERED.match(message)
    if found is None:
        return []
    reasons = set()
    for part in re.split(r", (?=\d+ )", found.group(1).strip().rstrip(".")):
        counted = _COUNTED.match(part.strip())
        reasons.add(_group_reason(counted.group(2) if counted else part))
    return _ordered(reasons)


def _group_reason(text: str) -> str:
    skipped = next((name for name, pattern in _SKIPPED if pattern.search(text)), "")
    return skipped or _FAMILIES.get(family(text), "unknown")


def provision_failed(message: str) -> list[str]:
    """Reasons of a ProvisionNodeFailed."""
    sold_out = provision.reason_of(message) == "out-of-stock"
    return ["out-of-stock" if sold_out else "provision-failed"]


def karpenter(message: str) -> list[str]:
    """Reasons of a FailedScheduling of Karpenter; one or more, as it tells of each pool."""
    if not _KARPENTER.search(message):
        return []
    head, _, rest = message.partition("requirements=")
    reasons = set()
    if "did not tolerate" in head:
        reasons.add("taint")
    if "exceed limits" in head:
        reasons.add("limits")
    if "incompatible requirements" in head or "does not have known values" in head:
        reasons.add(_of_labels(re.findall(r'"([\w./-]+)"|key ([\w./-]+)', head)))
    if "enough resources" in head:
        reasons.add("size")
    elif "no instance type" in head:
        reasons.add(_of_offering(head, _LABELS.findall(rest)))
    if "anti-affinity" in head or "pod affinity" in head or "inter-pod" in head:
        reasons.add("pod-affinity")
    if "topology" in head and "spread" in head:
        reasons.add("spread")
    return _ordered(reasons or {"unknown"})


def _of_labels(found: Iterable[tuple[str, str]]) -> str:
    names = [first or second for first, second in found]
    if _ZONE in names:
        return "zone"
    return "architecture" if any(name in _ARCHITECTURE for name in names) else "selector"


def _of_offering(head: str, labels: list[str]) -> str:
    """No machine fits: an offering is a machine in a zone."""
    if _ZONE in labels and "offering" in head:
        return "zone"
    if any(name in labels for name in _ARCHITECTURE):
        return "architecture"
    return "zone" if _ZONE in labels else "selector"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a pending pod asks of a node."""

    selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Object, ...] = ()
    requests: Mapping[str, str] = field(default_factory=dict)


def wish_of(pod: Object) -> Wish:
    """Cpu and memory as the scheduler counts them; of other resources the sum of its containers."""
    spec = pod.get("spec") or {}
    total: dict[str, float] = {}
    for container in spec.get("containers") or ():
        for name, text in ((container.get("resources") or {}).get("requests") or {}).items():
            total[name] = total.get(name, 0) + (quantity(text) or 0)
    cpu, memory = pod_requests(spec)
    total |= {"cpu": cpu / 1000, "memory": float(memory)}
    requests = {name: repr(value) for name, value in sorted(total.items())}
    return Wish(spec.get("nodeSelector") or {}, tuple(spec.get("tolerations") or ()), requests)


def truly(wish: Wish, pools: Iterable[Object]) -> list[str]:
    """Why each of these NodePools' specs does not take the pod; empty if one would."""
    reasons = set()
    for spec in pools:
        reason = _refused_by(wish, spec)
        if not reason:
            return []
        reasons.add(reason)
    return _ordered(reasons)


def _refused_by(wish: Wish, pool: Object) -> str:
    template = pool.get("template") or {}
    spec = template.get("spec") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    if any(not _tolerated(taint, wish.tolerations) for taint in spec.get("taints") or ()):
        return "taint"
    needed = {r["key"]: r for r in spec.get("requirements") or () if r.get("key")}
    for key, value in wish.selector.items():
        if not _offers(key, value, labels, needed.get(key)):
            return _of_labels([(key, "")])
    for name, limit in (pool.get("limits") or {}).items():
        asked = quantity(wish.requests.get(name, "0")) or 0
        if asked > (quantity(limit) or 0):
            return "size"
    return ""


def _offers(key: str, value: str, labels: Mapping[str, str], needed: Object | None) -> bool:
    if key in labels:
        return labels[key] == value
    if needed is not None:
        values = needed.get("values") or ()
        return {"In": value in values, "NotIn": value not in values}.get(
            needed.get("operator", ""), True
        )
    return key.startswith(_WELL_KNOWN)


def _tolerated(taint: Object, tolerations: Iterable[Object]) -> bool:
    if taint.get("effect") == "PreferNoSchedule":
        return True
    for toleration in tolerations:
        if toleration.get("effect") not in (None, "", taint.get("effect")):
            continue
        key, operator = toleration.get("key") or "", toleration.get("operator") or "Equal"
        if not key and operator == "Exists":
            return True
        if key == taint.get("key") and (
            operator == "Exists" or (toleration.get("value") or "") == (taint.get("value") or "")
        ):
            return True
    return False


def _ordered(reasons: Iterable[str]) -> list[str]:
    found = set(reasons)
    return [name for name in REASONS if name in found]

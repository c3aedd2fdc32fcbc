"""How many pods of a workload the ResourceQuotas of its namespace have let be, over time. Pure.

A quota counts when a pod is made (kubernetes, pkg/quota/v1/evaluator/core/pods.go). What others use
is what its status says less the workload's own pods of that moment. A quota with scopes counts some
pods only, and is left out; so is a resource that is none of `_NEEDS`.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.elasticity.pod_requests import pod_requests
from pipeline.elasticity.quantity import quantity

QUOTAS = "resourcequotas"
Object = Mapping[str, Any]
Need = Mapping[str, float]

_NEEDS = {
    "pods": "pods",
    "count/pods": "pods",
    "cpu": "requests.cpu",
    "memory": "requests.memory",
    "requests.cpu": "requests.cpu",
    "requests.memory": "requests.memory",
    "limits.cpu": "limits.cpu",
    "limits.memory": "limits.memory",
}


@dataclass(slots=True)
class Quotas:
    """Versions of each quota, oldest first: (Unix seconds, the object, None once it is gone)."""

    versions: dict[str, list[tuple[float, Object | None]]] = field(default_factory=dict)

    def see(self, t: float, deleted: bool, quota: Object) -> None:
        name = quota["metadata"]["name"]
        self.versions.setdefault(name, []).append((t, None if deleted else quota))

    def names(self, *, scoped: bool) -> list[str]:
        """Of those that have ever been there."""
        return [
            name
            for name, versions in sorted(self.versions.items())
            if any(quota and _scoped(quota) is scoped for _, quota in versions)
        ]

    def room(self, t: float, need: Need) -> int | None:
        """For how many more of such pods there was room; None if nothing stood in the way."""
        found = [
            room
            for versions in self.versions.values()
            if (quota := _at(versions, t)) is not None and not _scoped(quota)
            for room in _rooms(quota, need)
        ]
        return min(found, default=None)


def need_of(pod: Object) -> Need:
    """What a quota counts of a pod."""
    spec = pod.get("spec") or {}
    cpu, memory = pod_requests(spec)
    limits = [(c.get("resources") or {}).get("limits") or {} for c in spec.get("containers") or ()]
    return {
        "pods": 1,
        "requests.cpu": cpu / 1000,
        "requests.memory": memory,
        "limits.cpu": _sum(limits, "cpu"),
        "limits.memory": _sum(limits, "memory"),
    }


def _rooms(quota: Object, need: Need) -> Iterable[int]:
    status = quota.get("status") or {}
    used = status.get("used") or {}
    for name, text in (status.get("hard") or {}).items():
        each, hard, taken = need.get(_NEEDS.get(name, ""), 0), quantity(text), used.get(name)
        if each and hard is not None and taken is not None:
            # 1 - 0.9 is less than 0.1 in binary
            yield max(0, int((hard - (quantity(taken) or 0)) / each + 1e-9))


def _at(versions: Sequence[tuple[float, Object | None]], t: float) -> Object | None:
    number = bisect_right(versions, t, key=lambda version: version[0])
    return versions[number - 1][1] if number else None


def _scoped(quota: Object) -> bool:
    spec = quota.get("spec") or {}
    return bool(spec.get("scopes") or spec.get("scopeSelector"))


def _sum(limits: Iterable[Mapping[str, Any]], name: str) -> float:
    return sum(quantity(one.get(name, 0)) or 0 for one in limits)

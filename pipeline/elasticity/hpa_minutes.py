"""HPAs minute by minute: current, desired, ready, limits, time at the maximum, flapping."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.elasticity.behavior import TOO_MANY
from pipeline.readiness.world import object_entity

HOUR_MS = 3_600_000
KINDS = {"deployments": "Deployment", "statefulsets": "StatefulSet"}  # whose ready pods are known

Object = Mapping[str, Any]


@dataclass(slots=True)
class HpaThere:
    """As its last version says. `maxed_since`: at the maximum, and held there; Unix ms."""

    namespace: str
    name: str
    target: str  # entity of the workload
    low: int
    high: int
    current: int = 0
    desired: int = 0
    reason: str = ""  # of ScalingLimited=True
    maxed_since: int | None = None
    maxed_ms: int = 0  # of this minute, until maxed_since
    direction: int = 0  # of the last change of desired
    turned: list[int] = field(default_factory=list)  # when the direction changed, last hour


@dataclass(slots=True)
class HpaMinutesState:
    hpas: dict[str, HpaThere] = field(default_factory=dict)  # by uid
    ready: dict[str, int] = field(default_factory=dict)  # workload entity -> ready replicas


class HpaMinutes:
    def __init__(self, state: HpaMinutesState) -> None:
        self.state = state

    def workload(self, resource: str, deleted: bool, obj: Object) -> None:
        meta = obj["metadata"]
        entity = object_entity(KINDS[resource], meta["namespace"], meta["name"])
        if deleted:
            self.state.ready.pop(entity, None)
        else:
            self.state.ready[entity] = int((obj.get("status") or {}).get("readyReplicas") or 0)

    def hpa(self, deleted: bool, obj: Object, t: int) -> None:
        uid, before = obj["metadata"]["uid"], self.state.hpas.get(obj["metadata"]["uid"])
        if deleted:
            self.state.hpas.pop(uid, None)
            return
        after = self.state.hpas[uid] = _hpa(obj)
        if before is not None:
            _carry(before, after, t)
        maxed = after.reason == TOO_MANY and after.current >= after.high
        if maxed and after.maxed_since is None:
            after.maxed_since = t
        elif not maxed and after.maxed_since is not None:
            after.maxed_ms += t - after.maxed_since
            after.maxed_since = None

    def minute(self, t: int) -> Iterator[tuple[HpaThere, dict[str, Any]]]:
        """The figures of each HPA for the minute that ends; a figure that is unknown is None."""
        for hpa in self.state.hpas.values():
            if hpa.maxed_since is not None and hpa.maxed_since < t:
                hpa.maxed_ms, hpa.maxed_since = hpa.maxed_ms + t - hpa.maxed_since, t
            hpa.turned = [when for when in hpa.turned if when > t - HOUR_MS]
            maxed_s, hpa.maxed_ms = hpa.maxed_ms / 1000, 0
            yield (
                hpa,
                {
                    "namespace": hpa.namespace,
                    "name": hpa.name,
                    "target": hpa.target,
                    "min": hpa.low,
                    "max": hpa.high,
                    "current": hpa.current,
                    "desired": hpa.desired,
                    "ready": self.state.ready.get(hpa.target),
                    "limited": int(bool(hpa.reason)),
                    "limited_reason": hpa.reason,
                    "maxed_s": min(maxed_s, 60.0),
                    "reversals": len(hpa.turned),
                },
            )


def _hpa(obj: Object) -> HpaThere:
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    reference = spec.get("scaleTargetRef") or {}
    low = spec.get("minReplicas")
    limited: Object = next(
        (c for c in status.get("conditions") or () if c.get("type") == "ScalingLimited"), {}
    )
    return HpaThere(
        meta["namespace"],
        meta["name"],
        object_entity(str(reference.get("kind")), meta["namespace"], str(reference.get("name"))),
        1 if low is None else int(low),
        int(spec.get("maxReplicas") or 0),
        int(status.get("currentReplicas") or 0),
        int(status.get("desiredReplicas") or 0),
        str(limited.get("reason", "")) if limited.get("status") == "True" else "",
    )


def _carry(before: HpaThere, after: HpaThere, t: int) -> None:
    """What one version does not say by itself."""
    after.maxed_since, after.maxed_ms = before.maxed_since, before.maxed_ms
    after.direction, after.turned = before.direction, before.turned
    if before.desired and after.desired and after.desired != before.desired:
        direction = 1 if after.desired > before.desired else -1
        if after.direction == -direction:
            after.turned.append(t)
        after.direction = direction

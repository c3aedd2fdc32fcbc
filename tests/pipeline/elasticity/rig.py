"""A fold of capacity, fed by hand. Times are seconds after T0, which is a whole hour."""

from typing import Any

from pipeline.base.fold import Folds
from pipeline.base.seen import Seen
from pipeline.contract.facts import Fact
from pipeline.contract.state import (
    ADDED,
    DELETED,
    EVENT,
    MODIFIED,
    OBJECT,
    SYNCED,
    TICK,
    StateEvent,
)
from pipeline.elasticity.capacity import Capacity

T0 = 1_795_410_000_000
assert T0 % 3_600_000 == 0

Object = dict[str, Any]


def fresh(fold: Capacity | None = None) -> Folds:
    """With what ends repeats before it."""
    return Folds({"capacity": fold or Capacity()}, seen=Seen())


class Rig:
    def __init__(self) -> None:
        self.capacity = Capacity()
        self.fold = fresh(self.capacity)
        self.facts: list[Fact] = []
        self.events: list[StateEvent] = []
        self.version = 100

    def feed(self, event: StateEvent) -> list[Fact]:
        self.events.append(event)
        facts = self.fold.apply(event, len(self.events) - 1)
        self.facts += facts
        return facts

    def ticks(self, start: float, stop: float, step: float = 5) -> list[Fact]:
        facts = []
        while start <= stop:
            facts += self.tick(start)
            start += step
        return facts

    def tick(self, s: float) -> list[Fact]:
        return self.feed(StateEvent(TICK, ms(s), "test", f"tick:{ms(s)}", {}))

    def object(self, s: float, resource: str, obj: Object, *, deleted: bool = False) -> list[Fact]:
        self.version += 1
        meta = obj["metadata"]
        meta.setdefault("uid", f"{resource}-{meta.get('namespace', '')}-{meta['name']}")
        meta["resourceVersion"] = str(self.version)
        kind = DELETED if deleted else MODIFIED if s else ADDED
        body = {"resource": resource, "type": kind, "object": obj}
        return self.feed(StateEvent(OBJECT, ms(s), "watch", f"o{self.version}", body))

    def node(
        self, s: float, name: str = "n1", *, ready: str = "True", cordoned: bool = False,
        cpu: str = "4", memory: str = "8Gi", labels: Object | None = None, taint: str = "",
        created: str = "2026-11-20T00:00:00Z", deleted: bool = False,
    ) -> list[Fact]:  # fmt: skip
        spec: Object = {"unschedulable": True} if cordoned else {}
        if taint:
            spec["taints"] = [{"key": taint, "effect": "NoSchedule"}]
        status = {
            "allocatable": {"cpu": cpu, "memory": memory},
            "conditions": [{"type": "Ready", "status": ready}],
        }
        meta = {"name": name, "labels": labels or {}, "creationTimestamp": created}
        found = {"metadata": meta, "spec": spec, "status": status}
        return self.object(s, "nodes", found, deleted=deleted)

    def pod(
        self, s: float, name: str, node: str = "n1", *, cpu: str = "500m", memory: str = "1Gi",
        phase: str = "Running", owner: str = "ReplicaSet", app: str = "web", evicted: bool = False,
        leaving: bool = False, deleted: bool = False, **spec: Any,
    ) -> list[Fact]:  # fmt: skip
        requests = {"cpu": cpu, "memory": memory}
        meta: Object = {
            "namespace": "shop",
            "name": name,
            "labels": {"app": app},
            "ownerReferences": [{"kind": owner, "name": "o", "controller": True}],
        }
        if leaving:
            meta["deletionTimestamp"] = "2026-11-23T00:00:00Z"
        if spec.pop("kept", False):
            meta["annotations"] = {"karpenter.sh/do-not-disrupt": "true"}
        conditions = [{"type": "DisruptionTarget", "status": "True",
                       "reason": "EvictionByEvictionAPI"}] if evicted else []  # fmt: skip
        found = {
            "metadata": meta,
            "spec": {"containers": [{"name": "c", "resources": {"requests": requests}}]} | spec,
            "status": {"phase": phase, "conditions": conditions},
        }
        if node:
            found["spec"]["nodeName"] = node
        return self.object(s, "pods", found, deleted=deleted)

    def budget(self, s: float, name: str, allowed: int, **selector: Any) -> list[Fact]:
        found = {
            "metadata": {"namespace": "shop", "name": name},
            "spec": {"selector": selector},
            "status": {"disruptionsAllowed": allowed},
        }
        return self.object(s, "poddisruptionbudgets", found)

    def hpa(
        self, s: float, current: int, desired: int, *, high: int = 6, limited: str = ""
    ) -> list[Fact]:
        status = "True" if limited else "False"
        condition = {"type": "ScalingLimited", "status": status, "reason": limited or "Within"}
        found = {
            "metadata": {"namespace": "shop", "name": "web"},
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": high},
            "status": {"currentReplicas": current, "desiredReplicas": desired,
                       "conditions": [condition]},
        }  # fmt: skip
        return self.object(s, "horizontalpodautoscalers", found)

    def deployment(self, s: float, ready: int) -> list[Fact]:
        found = {
            "metadata": {"namespace": "shop", "name": "web"},
            "status": {"readyReplicas": ready},
        }
        return self.object(s, "deployments", found)

    def synced(self, s: float, resource: str, **body: Any) -> list[Fact]:
        found = {"resource": resource, "outcome": "ok", "version": "9999", "count": 0} | body
        return self.feed(StateEvent(SYNCED, ms(s), "watch", f"synced:{resource}:{s}", found))

    def event(self, s: float, reason: str, message: str, node: str = "n1") -> list[Fact]:
        body = {"uid": f"e{s}", "version": "1", "reason": reason, "message": message,
                "object": {"kind": "Node", "name": node}}  # fmt: skip
        return self.feed(StateEvent(EVENT, ms(s), "watch", f"e{s}", body))

    def last(self, kind: str, entity: str) -> Any:
        found = [fact.body for fact in self.facts if (fact.kind, fact.entity) == (kind, entity)]
        return found[-1]

    def drain(self, node: str = "n1") -> Any:
        return self.last("drain", f"node/{node}")

    def statuses(self) -> list[str]:
        return [fact.body["status"] for fact in self.facts if fact.kind == "drain"]


def ms(s: float) -> int:
    return T0 + round(s * 1000)

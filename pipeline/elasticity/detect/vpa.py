"""Vertical pod autoscalers that evict without end, or that move what an HPA goes by. What their
conditions say is data.

A change of the recommendation evicts each pod once. Evictions that go on while the recommendation
stands still are a loop: the pods come back as they were, because the admission webhook does not
change them, or a quota or LimitRange puts the old numbers in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.contract.state import DELETED, EVENT, OBJECT, TICK, StateEvent
from pipeline.elasticity.quantity import quantity
from pipeline.readiness.detector import Scene
from pipeline.readiness.world import object_entity

HOUR_MS = 3_600_000
SAME = 0.1  # recommendations move a little each minute
LEAST = 3  # evictions; and more than two for each pod
_LOOP = "object/vpa.eviction-loop"
_SAME = "object/hpa.vpa-same-resource"
_IDLE = ("Off", "Initial")  # modes in which running pods keep their requests


@dataclass(slots=True)
class Vpa:
    target: str  # entity
    acts: bool = True  # it changes the requests of running pods
    recommended: dict[str, float] = field(default_factory=dict)  # container/resource -> number
    evictions: list[int] = field(default_factory=list)  # since it was recommended, Unix ms


@dataclass(slots=True)
class VpasState:
    vpas: dict[str, Vpa] = field(default_factory=dict)  # by entity
    evicting: dict[str, None] = field(default_factory=dict)  # those with evictions
    pods: dict[str, int] = field(default_factory=dict)  # workload entity -> pods it wants
    acting: dict[str, str] = field(default_factory=dict)  # target -> VPA that changes requests
    hpas: dict[str, list[str]] = field(default_factory=dict)  # HPA -> its target and resources


class Vpas:
    NAME = "vpas"
    ATOMS: Mapping[str, str] = {
        _LOOP: "pods are evicted again and again for one and the same recommendation",
        _SAME: "a VPA changes the requests of which the HPA takes the utilisation",
    }
    READS = (
        (OBJECT, "verticalpodautoscalers"),
        (OBJECT, "horizontalpodautoscalers"),
        (OBJECT, "deployments"),
        (OBJECT, "statefulsets"),
        (EVENT, "EvictedByVPA"),
        (TICK, ""),
    )

    def __init__(self) -> None:
        self.state = VpasState()

    def see(self, event: StateEvent, scene: Scene) -> None:
        if event.kind == TICK:
            for entity in list(self.state.evicting):
                self._judge(entity, scene)
        elif event.kind == EVENT:
            self._evicted(event, scene)
        elif event.body["resource"] == "verticalpodautoscalers":
            self._vpa(event.body["object"], event.body["type"] == DELETED, scene)
        elif event.body["resource"] == "horizontalpodautoscalers":
            self._hpa(event.body["object"], event.body["type"] == DELETED, scene)
        else:
            obj = event.body["object"]
            kind = event.body["resource"][:-1]
            entity = object_entity(kind, obj["metadata"]["namespace"], obj["metadata"]["name"])
            if event.body["type"] == DELETED:
                self.state.pods.pop(entity, None)
            else:
                self.state.pods[entity] = int((obj.get("spec") or {}).get("replicas") or 1)

    def _vpa(self, obj: Mapping[str, Any], gone: bool, scene: Scene) -> None:
        meta, spec = obj["metadata"], obj.get("spec") or {}
        entity = object_entity("VerticalPodAutoscaler", meta["namespace"], meta["name"])
        if gone:
            self.state.vpas.pop(entity, None)
            self.state.evicting.pop(entity, None)
            scene.book.forget(entity)
            self._vpas_changed(scene)
            return
        target = _named(meta, spec.get("targetRef") or {})
        acts = (spec.get("updatePolicy") or {}).get("updateMode") not in _IDLE
        vpa = self.state.vpas.setdefault(entity, Vpa(""))
        if (vpa.target, vpa.acts) != (target, acts):
            vpa.target, vpa.acts = target, acts
            self._vpas_changed(scene)
        recommended = _recommended(obj.get("status") or {})
        if _differs(vpa.recommended, recommended):
            vpa.recommended, vpa.evictions = recommended, []
            self._judge(entity, scene)

    def _hpa(self, obj: Mapping[str, Any], gone: bool, scene: Scene) -> None:
        meta, spec = obj["metadata"], obj.get("spec") or {}
        entity = object_entity("HorizontalPodAutoscaler", meta["namespace"], meta["name"])
        new = [_named(meta, spec.get("scaleTargetRef") or {}), *_utilised(spec)]
        if gone:
            self.state.hpas.pop(entity, None)
        elif self.state.hpas.get(entity) != new:
            self.state.hpas[entity] = new
            self._meet(entity, scene)

    def _vpas_changed(self, scene: Scene) -> None:
        vpas = self.state.vpas.items()
        self.state.acting = {vpa.target: entity for entity, vpa in vpas if vpa.acts}
        for hpa in self.state.hpas:
            self._meet(hpa, scene)

    def _meet(self, hpa: str, scene: Scene) -> None:
        target, *resources = self.state.hpas[hpa]
        vpa = self.state.acting.get(target, "")
        quote = f"{vpa} changes the requests for {', '.join(resources)} of {target}"
        scene.set(hpa, _SAME, bool(vpa and resources), quote)

    def _evicted(self, event: StateEvent, scene: Scene) -> None:
        about, when = event.body["object"], event.body.get("last_ms") or event.t
        if about.get("kind") != "Pod" or when < scene.started:
            return
        workload = scene.world.workload_of(about.get("namespace", ""), about.get("name", ""))
        for entity, vpa in self.state.vpas.items():
            if vpa.target == workload:
                vpa.evictions.append(when)
                self.state.evicting[entity] = None
                self._judge(entity, scene)

    def _judge(self, entity: str, scene: Scene) -> None:
        vpa = self.state.vpas[entity]
        vpa.evictions = [t for t in vpa.evictions if scene.now - t < HOUR_MS]
        if not vpa.evictions:
            self.state.evicting.pop(entity, None)
        pods, many = self.state.pods.get(vpa.target, 1), len(vpa.evictions)
        loops = many >= LEAST and many > 2 * pods
        quote = f"{many} evictions within an hour of {pods} pods, for one recommendation"
        if loops or scene.book.has(entity, _LOOP):
            scene.set(entity, _LOOP, loops, quote)


def _named(meta: Mapping[str, Any], reference: Mapping[str, Any]) -> str:
    return object_entity(reference.get("kind", ""), meta["namespace"], reference.get("name", ""))


def _utilised(spec: Mapping[str, Any]) -> list[str]:
    """Resources of which the HPA takes the share of the request."""
    found = []
    for metric in spec.get("metrics") or ():
        resource = metric.get("resource") or metric.get("containerResource") or {}
        if (resource.get("target") or {}).get("type") == "Utilization":
            found.append(resource.get("name", ""))
    return found


def _recommended(status: Mapping[str, Any]) -> dict[str, float]:
    containers = (status.get("recommendation") or {}).get("containerRecommendations") or ()
    return {
        f"{container.get('containerName', '')}/{resource}": quantity(text) or 0.0
        for container in containers
        for resource, text in (container.get("target") or {}).items()
    }


def _differs(old: Mapping[str, float], new: Mapping[str, float]) -> bool:
    if old.keys() != new.keys():
        return True
    return any(abs(new[name] - value) > SAME * max(value, new[name]) for name, value in old.items())

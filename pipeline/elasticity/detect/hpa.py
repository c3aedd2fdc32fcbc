"""Horizontal pod autoscalers, where one condition does not say it all: metrics that fail while
others work, a number that goes up and down, limits that leave no choice.

What the conditions say by themselves is data: catalogue/conditions.yaml. With some metrics
invalid, ScalingActive stays True and the HPA still scales up; only its Events tell (k/k
pkg/controller/podautoscaler/horizontal.go). They come at once while a metric is being lost, too,
just before the condition; so two of them SEEN_TWICE_MS apart, under a condition that stands, count.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.contract.state import DELETED, EVENT, OBJECT, TICK, StateEvent
from pipeline.readiness.detect.conditions import conditions_of
from pipeline.readiness.detector import Scene
from pipeline.readiness.world import object_entity

KIND = "HorizontalPodAutoscaler"
HOUR_MS = 3_600_000
SEEN_TWICE_MS = 20_000  # the HPA looks each 15 s
PARTIAL_TTL_MS = 600_000  # of many Events of one object, client-go lets one pass in 5 minutes
REVERSALS = 3  # changes of direction within an hour

_PARTIAL = "object/hpa.partial"
_FLAPPING = "object/hpa.flapping"
_FIXED = "object/hpa.fixed"
METRIC_EVENTS = (
    "FailedGetResourceMetric",
    "FailedGetContainerResourceMetric",
    "FailedGetPodsMetric",
    "FailedGetObjectMetric",
    "FailedGetExternalMetric",
    "FailedComputeMetricsReplicas",
)


@dataclass(slots=True)
class Hpa:
    active_since: int = 0  # ScalingActive is True since, Unix ms; 0: it is not
    failed_first: int = 0  # a metric failed in that time, first
    desired: int = 0
    direction: int = 0  # of the last change
    reversals: list[int] = field(default_factory=list)  # Unix ms


@dataclass(slots=True)
class HpasState:
    hpas: dict[str, Hpa] = field(default_factory=dict)  # by entity
    swinging: dict[str, None] = field(default_factory=dict)  # those with reversals


class Hpas:
    NAME = "hpas"
    ATOMS: Mapping[str, str] = {
        _PARTIAL: "one metric cannot be had while others can: the HPA will not scale down",
        _FLAPPING: f"the wanted number of pods changed direction {REVERSALS} times in an hour",
        _FIXED: "minReplicas and maxReplicas are the same",
    }
    READS = (
        (OBJECT, "horizontalpodautoscalers"),
        (TICK, ""),
        *((EVENT, reason) for reason in METRIC_EVENTS),
    )

    def __init__(self) -> None:
        self.state = HpasState()

    def see(self, event: StateEvent, scene: Scene) -> None:
        if event.kind == TICK:
            for entity in list(self.state.swinging):
                self._swings(entity, self.state.hpas[entity], scene)
        elif event.kind == EVENT:
            self._failed(event, scene)
        else:
            self._hpa(event.body["object"], event.body["type"] == DELETED, scene)

    def _hpa(self, obj: Mapping[str, Any], gone: bool, scene: Scene) -> None:
        meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
        entity = object_entity(KIND, meta["namespace"], meta["name"])
        if gone:
            self.state.hpas.pop(entity, None)
            self.state.swinging.pop(entity, None)
            scene.book.forget(entity)
            return
        hpa = self.state.hpas.setdefault(entity, Hpa())
        if is_active(status):
            hpa.active_since = hpa.active_since or scene.now
        else:
            hpa.active_since = hpa.failed_first = 0
            scene.clear(entity, _PARTIAL)
        low, high = spec.get("minReplicas", 1), spec.get("maxReplicas")
        scene.set(entity, _FIXED, low == high, f"minReplicas and maxReplicas are {high}")
        self._moved(entity, hpa, int(status.get("desiredReplicas") or 0), scene)

    # A number that goes up and down

    def _moved(self, entity: str, hpa: Hpa, desired: int, scene: Scene) -> None:
        old, hpa.desired = hpa.desired, desired
        if not old or not desired or old == desired:
            return  # 0 is what an HPA wants that has not yet calculated
        direction = 1 if desired > old else -1
        if hpa.direction and direction != hpa.direction:
            hpa.reversals.append(scene.now)
            self.state.swinging[entity] = None
        hpa.direction = direction
        self._swings(entity, hpa, scene)

    def _swings(self, entity: str, hpa: Hpa, scene: Scene) -> None:
        hpa.reversals = [t for t in hpa.reversals if scene.now - t < HOUR_MS]
        if not hpa.reversals:
            self.state.swinging.pop(entity, None)
        often = len(hpa.reversals) >= REVERSALS
        quote = f"{len(hpa.reversals)} changes of direction within an hour, now {hpa.desired}"
        if often != scene.book.has(entity, _FLAPPING) or often:
            scene.set(entity, _FLAPPING, often, quote)

    # One metric of several

    def _failed(self, event: StateEvent, scene: Scene) -> None:
        body, about = event.body, event.body["object"]
        if about.get("kind") != KIND:
            return
        entity = object_entity(KIND, about.get("namespace", ""), about.get("name", ""))
        hpa, when = self.state.hpas.get(entity), body.get("last_ms") or event.t
        if hpa is None or not hpa.active_since or when < hpa.active_since - 1000:
            return  # Events have the second in which they were written
        hpa.failed_first = hpa.failed_first or when
        if when - hpa.failed_first >= SEEN_TWICE_MS:
            quote = f"{body['reason']}: {body.get('message', '')}"
            for t in (hpa.failed_first, when):
                scene.point(entity, _PARTIAL, quote, t=t, ttl_ms=PARTIAL_TTL_MS)


def is_active(status: Mapping[str, Any]) -> bool:
    """Does it calculate, as its condition says?"""
    return bool((conditions_of(status).get("ScalingActive") or {}).get("status") == "True")

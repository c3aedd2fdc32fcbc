"""A HorizontalPodAutoscaler: its settings, and its decision at one sync. Pure functions.

The order (kubernetes 1.34, pkg/controller/podautoscaler/horizontal.go): zero replicas switch it
off, unless min is 0; outside of [min, max] it goes to the edge at once; else each metric proposes
(replicas.py), the largest counts, and behaviour and limits apply (behavior.py). If a metric is
invalid, the others may scale up, but never down; if all are, nothing happens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.elasticity.behavior import (
    DOWN,
    MAX,
    UP,
    Behavior,
    Decision,
    History,
    Policy,
    Rules,
    normalized,
)
from pipeline.elasticity.quantity import quantity
from pipeline.elasticity.replicas import (
    PodNow,
    Tolerance,
    average_replicas,
    per_pod_replicas,
    utilisation_replicas,
    value_replicas,
)

UTILIZATION, AVERAGE, VALUE = "Utilization", "AverageValue", "Value"
_OF_PODS = ("Resource", "ContainerResource", "Pods")
SYNC_S = 15.0  # --horizontal-pod-autoscaler-sync-period

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """One metric of spec.metrics. `value` is percent (Utilization), or in the metric's unit."""

    source: str  # Resource, ContainerResource, Pods, Object, External
    name: str
    type: str  # UTILIZATION, AVERAGE, VALUE
    value: float
    container: str = ""

    @property
    def cpu(self) -> bool:
        return self.name == "cpu" and self.source in ("Resource", "ContainerResource")

    @property
    def of_pods(self) -> bool:
        """Measured pod by pod; the others have one value for all."""
        return self.source in _OF_PODS

    def replicas(
        self, reading: float, pods: Sequence[PodNow], current: int, tolerance: Tolerance, now: float
    ) -> int:
        """What this metric proposes. `reading` is the whole value of an Object or External metric;
        of pods each has its own. Raises InvalidMetric."""
        if self.of_pods:
            propose = utilisation_replicas if self.type == UTILIZATION else average_replicas
            return propose(pods, self.value, current, tolerance=tolerance, now=now, cpu=self.cpu)
        if self.type == AVERAGE:
            return per_pod_replicas(reading, self.value, current, tolerance=tolerance)
        ready = sum(pod.phase == "Running" and bool(pod.ready) for pod in pods)
        return value_replicas(reading, self.value, current, ready=ready, tolerance=tolerance)


@dataclass(frozen=True, slots=True)
class Settings:
    """What of spec decides. `behavior` None: it was not given, which is not the same as its
    defaults (behavior.py)."""

    low: int
    high: int
    targets: tuple[Target, ...]
    behavior: Behavior | None = None
    controller: Tolerance = field(default_factory=Tolerance)

    @property
    def tolerance(self) -> Tolerance:
        return self.behavior.tolerance(self.controller) if self.behavior else self.controller


def combined(proposals: Sequence[int | None], current: int) -> int | None:
    """The largest; None for an invalid metric. None: the controller does nothing."""
    valid = [found for found in proposals if found is not None]
    if not valid or (len(valid) < len(proposals) and max(valid) < current):
        return None
    return max(valid)


def decide(
    settings: Settings,
    proposals: Sequence[int | None],
    current: int,
    *,
    history: History,
    now: float,
) -> Decision:
    """One sync. `proposals` are of the targets, None where the metric is invalid; `current` is
    spec.replicas of the workload. Call behavior.changed when the answer was carried out."""
    if current == 0 and settings.low != 0:
        return Decision(0)
    if current > settings.high:
        return Decision(settings.high)
    if current < settings.low:
        return Decision(settings.low)
    proposed = combined(proposals, current)
    if proposed is None:
        return Decision(current)
    return normalized(
        proposed,
        current,
        low=settings.low,
        high=settings.high,
        behavior=settings.behavior,
        history=history,
        now=now,
    )


def settings_of(spec: Object) -> Settings:
    """From `spec` of autoscaling/v2. Targets that cannot be read are left out."""
    low = spec.get("minReplicas")
    behavior = spec.get("behavior")
    targets = [target_of(metric) for metric in spec.get("metrics") or ()]
    return Settings(
        1 if low is None else int(low),
        int(spec.get("maxReplicas") or 1),
        tuple(target for target in targets if target is not None),
        _behavior(behavior) if behavior else None,
    )


def target_of(metric: Object) -> Target | None:
    source = str(metric.get("type", ""))
    found = metric.get(source[:1].lower() + source[1:])
    if not isinstance(found, dict):
        return None
    target = found.get("target") or {}
    kinds = ((UTILIZATION, "averageUtilization"), (AVERAGE, "averageValue"), (VALUE, "value"))
    for kind, key in kinds:
        value = quantity(target[key]) if target.get(key) is not None else None
        if value:
            name = found.get("name") or (found.get("metric") or {}).get("name") or ""
            return Target(source, str(name), kind, value, str(found.get("container") or ""))
    return None


def reading_of(target: Target, status: Object) -> float | None:
    """What status.currentMetrics says of it, in its own kind; None if it was not to be had."""
    for metric in status.get("currentMetrics") or ():
        found = metric.get(target.source[:1].lower() + target.source[1:])
        if metric.get("type") != target.source or not isinstance(found, dict):
            continue
        name = found.get("name") or (found.get("metric") or {}).get("name") or ""
        if (str(name), str(found.get("container") or "")) != (target.name, target.container):
            continue
        key = {UTILIZATION: "averageUtilization", AVERAGE: "averageValue"}.get(target.type, "value")
        value = (found.get("current") or {}).get(key)
        return quantity(value) if value is not None else None
    return None


def _behavior(found: Object) -> Behavior:
    return Behavior(_rules(found.get("scaleUp"), UP), _rules(found.get("scaleDown"), DOWN))


def _rules(found: Object | None, otherwise: Rules) -> Rules:
    if not found:
        return otherwise
    window, tolerance = found.get("stabilizationWindowSeconds"), found.get("tolerance")
    policies = tuple(
        Policy(str(p["type"]), int(p["value"]), float(p["periodSeconds"]))
        for p in found.get("policies") or ()
    )
    return Rules(
        policies or otherwise.policies,
        otherwise.window_s if window is None else float(window),
        str(found.get("selectPolicy") or MAX),
        None if tolerance is None else quantity(tolerance),
    )

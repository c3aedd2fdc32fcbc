"""How many replicas one metric asks for: the rules of the HPA's replica calculator. Pure functions.

Sources: kubernetes.io, Horizontal Pod Autoscaling, "Algorithm details"; behaviour of kubernetes
1.34, pkg/controller/podautoscaler/replica_calculator.go. The rules:

  ratio       usage / target. Of a utilisation: percent of the requests, cut to a whole number
  tolerance   no change while the ratio is within [1 - down, 1 + up]
  unready     a pod that does not count yet: Pending, or (cpu alone) not ready, or not measured for
              a whole window since it became ready, while in its initialisation period; afterwards
              only if it was never ready. Counted as using nothing, and only when scaling up
  missing     a pod without a sample: nothing when scaling up; when scaling down its request, or
              the target if that is above 100 % (utilisation), the target (average value)
  ignored     deleted and failed pods
  turning     what these assumptions turn into the other direction is no change
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

CPU_INITIALIZATION_S = 300.0  # --horizontal-pod-autoscaler-cpu-initialization-period
INITIAL_READINESS_S = 30.0  # --horizontal-pod-autoscaler-initial-readiness-delay
TOLERANCE = 0.1  # --horizontal-pod-autoscaler-tolerance


class InvalidMetric(Exception):
    """The metric says nothing; the text is the controller's."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """By direction since 1.33 (behavior.scaleUp.tolerance)."""

    up: float = TOLERANCE
    down: float = TOLERANCE

    def holds(self, ratio: float) -> bool:
        return 1.0 - self.down <= ratio <= 1.0 + self.up


@dataclass(frozen=True, slots=True)
class PodNow:
    """A pod that the selector finds. Times are seconds of one clock; usage and request have the
    unit of the metric."""

    usage: float | None  # None: there is no sample
    request: float = 0.0
    phase: str = "Running"
    ready: bool | None = True  # None: there is no Ready condition
    ready_changed: float = 0.0
    started: float | None = 0.0  # status.startTime
    sampled: float = 0.0  # end of the sample's window
    window: float = 0.0  # length of the sample's window
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Groups:
    ready: tuple[PodNow, ...]  # these are measured, and count
    unready: tuple[PodNow, ...]
    missing: tuple[PodNow, ...]


def group(pods: Sequence[PodNow], *, now: float, cpu: bool) -> Groups:
    """`cpu`: the metric is the resource cpu, which has rules for pods that begin."""
    if not pods:
        raise InvalidMetric("no pods returned by selector while calculating replica count")
    ready: list[PodNow] = []
    unready: list[PodNow] = []
    missing: list[PodNow] = []
    for pod in pods:
        if pod.deleted or pod.phase == "Failed":
            continue
        if pod.phase == "Pending":
            unready.append(pod)
        elif pod.usage is None:
            missing.append(pod)
        elif cpu and _begins(pod, now):
            unready.append(pod)
        else:
            ready.append(pod)
    if not ready:
        raise InvalidMetric("did not receive metrics for targeted pods (pods might be unready)")
    return Groups(tuple(ready), tuple(unready), tuple(missing))


def _begins(pod: PodNow, now: float) -> bool:
    if pod.ready is None or pod.started is None:
        return True
    if now < pod.started + CPU_INITIALIZATION_S:
        return not pod.ready or pod.sampled < pod.ready_changed + pod.window
    return not pod.ready and pod.ready_changed < pod.started + INITIAL_READINESS_S


def utilisation_replicas(
    pods: Sequence[PodNow],
    target: float,
    current: int,
    *,
    tolerance: Tolerance,
    now: float,
    cpu: bool,
) -> int:
    """Target type Utilization: percent of what the pods request. Raises InvalidMetric."""
    groups = group(pods, now=now, cpu=cpu)

    def ratio(counted: Sequence[tuple[float, float]]) -> float:
        requests = sum(request for _, request in counted)
        if not requests:
            raise InvalidMetric("no metrics returned matched known pods")
        return int(sum(usage for usage, _ in counted) * 100 / requests + 1e-9) / target

    return _proposed(
        groups,
        ratio,
        lambda pod: pod.request * max(100.0, target) / 100,
        current,
        tolerance,
    )


def average_replicas(
    pods: Sequence[PodNow],
    target: float,
    current: int,
    *,
    tolerance: Tolerance,
    now: float,
    cpu: bool = False,
) -> int:
    """Target type AverageValue of a resource or of metrics of pods. Raises InvalidMetric."""
    groups = group(pods, now=now, cpu=cpu)

    def ratio(counted: Sequence[tuple[float, float]]) -> float:
        return sum(usage for usage, _ in counted) / len(counted) / target

    return _proposed(groups, ratio, lambda _: target, current, tolerance)


def value_replicas(
    value: float, target: float, current: int, *, ready: int, tolerance: Tolerance
) -> int:
    """Target type Value of an object or an external metric; `ready` pods are running and Ready.
    From zero replicas it is the ratio itself."""
    ratio = value / target
    if current == 0:
        return _ceil(ratio)
    return current if tolerance.holds(ratio) else _ceil(ratio * ready)


def per_pod_replicas(value: float, target: float, replicas: int, *, tolerance: Tolerance) -> int:
    """Target type AverageValue of an object or an external metric, divided by the replicas that
    the status of the workload says."""
    if replicas and tolerance.holds(value / (target * replicas)):
        return replicas
    return _ceil(value / target)


def _proposed(
    groups: Groups,
    ratio: Callable[[Sequence[tuple[float, float]]], float],
    assumed: Callable[[PodNow], float],
    current: int,
    tolerance: Tolerance,
) -> int:
    """`assumed` is the usage of a pod without a sample when it would go down."""
    counted = [(pod.usage or 0.0, pod.request) for pod in groups.ready]
    first = ratio(counted)
    up_with_unready = bool(groups.unready) and first > 1.0
    if not up_with_unready and not groups.missing:
        return current if tolerance.holds(first) else _ceil(first * len(groups.ready))
    if first != 1.0:
        down = first < 1.0
        counted += [(assumed(pod) if down else 0.0, pod.request) for pod in groups.missing]
    if up_with_unready:
        counted += [(0.0, pod.request) for pod in groups.unready]
    second = ratio(counted)
    if tolerance.holds(second) or (first < 1.0 < second) or (second < 1.0 < first):
        return current
    proposed = _ceil(second * len(counted))
    if (second < 1.0 and proposed > current) or (second > 1.0 and proposed < current):
        return current
    return proposed


def _ceil(value: float) -> int:
    return ceil(value - 1e-9)  # 3.0000000000000004 replicas are 3

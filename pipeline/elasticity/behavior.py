"""From what the metrics ask for to what the HPA does: stabilisation, policies, limits. Pure: time
is an argument, what is remembered is in `History`.

Sources: kubernetes.io, Horizontal Pod Autoscaling, "Configurable scaling behavior"; behaviour of
kubernetes 1.34, pkg/controller/podautoscaler/horizontal.go. The rules:

  window      up: not above the lowest, down: not below the highest of the recommendations of the
              last `window` seconds
  policies    each allows so many pods (or percent, rounded up when going up, and down when going
              down) away from what there was at the beginning of its period; selectPolicy takes the
              largest change (Max), the smallest (Min), or none (Disabled)
  limits      then min and max
  defaults    what a given `behavior` leaves out: up 100 % or 4 pods each 15 s, no window; down
              100 % each 15 s, a window of 300 s
  none        without any `behavior`: a window of 300 s down, and up at most twice what there is,
              or 4 (nothing is remembered of earlier changes)
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import ceil

from pipeline.elasticity.replicas import Tolerance

DOWNSCALE_STABILISATION_S = 300.0  # --horizontal-pod-autoscaler-downscale-stabilization
MAX, MIN, DISABLED = "Max", "Min", "Disabled"
PODS, PERCENT = "Pods", "Percent"

# Conditions: why the answer is not what the metrics ask for.
UP_STABILIZED, DOWN_STABILIZED = "ScaleUpStabilized", "ScaleDownStabilized"
UP_LIMIT, DOWN_LIMIT = "ScaleUpLimit", "ScaleDownLimit"
TOO_MANY, TOO_FEW = "TooManyReplicas", "TooFewReplicas"


@dataclass(frozen=True, slots=True)
class Policy:
    type: str  # PODS or PERCENT
    value: int
    period_s: float


@dataclass(frozen=True, slots=True)
class Rules:
    """One direction of `behavior`. `tolerance` None: the controller's own."""

    policies: tuple[Policy, ...]
    window_s: float
    select: str = MAX
    tolerance: float | None = None


UP = Rules((Policy(PERCENT, 100, 15.0), Policy(PODS, 4, 15.0)), 0.0)
DOWN = Rules((Policy(PERCENT, 100, 15.0),), DOWNSCALE_STABILISATION_S)


@dataclass(frozen=True, slots=True)
class Behavior:
    up: Rules = UP
    down: Rules = DOWN

    def tolerance(self, otherwise: Tolerance) -> Tolerance:
        up, down = self.up.tolerance, self.down.tolerance
        return replace(
            otherwise,
            up=otherwise.up if up is None else up,
            down=otherwise.down if down is None else down,
        )


@dataclass(slots=True)
class History:
    """What the controller remembers of one HPA. A restart of it forgets all."""

    recommendations: list[tuple[float, int]] = field(default_factory=list)
    changes: list[tuple[float, int]] = field(default_factory=list)  # (when, replicas more or less)


@dataclass(frozen=True, slots=True)
class Decision:
    replicas: int
    limited: str = ""  # reason of ScalingLimited=True
    stabilized: str = ""  # reason of AbleToScale while a window holds it back


def normalized(
    proposed: int,
    current: int,
    *,
    low: int,
    high: int,
    behavior: Behavior | None,
    history: History,
    now: float,
) -> Decision:
    """What the workload is set to. `proposed` is remembered; call `changed` when it was set."""
    if not history.recommendations:
        history.recommendations.append((now, current))
    rules = behavior or Behavior(down=DOWN)
    stable = _stabilized(proposed, current, rules, history, now, both=behavior is not None)
    history.recommendations.append((now, proposed))
    _forget(history, rules, now)
    held = ""
    if stable != proposed:
        held = UP_STABILIZED if proposed >= current else DOWN_STABILIZED
    if behavior is None:
        replicas, limited = _limited(stable, current, low, high)
    else:
        replicas, limited = _rated(stable, current, low, high, behavior, history, now)
    return Decision(replicas, limited, held)


def changed(history: History, now: float, before: int, after: int) -> None:
    """The workload was set to `after`."""
    history.changes.append((now, after - before))


def _stabilized(
    proposed: int, current: int, rules: Behavior, history: History, now: float, *, both: bool
) -> int:
    lowest = highest = proposed
    for when, recommended in history.recommendations:
        if when > now - rules.up.window_s:
            lowest = min(lowest, recommended)
        if when > now - rules.down.window_s:
            highest = max(highest, recommended)
    if not both:
        return highest
    return min(max(current, lowest), highest)


def _limited(stable: int, current: int, low: int, high: int) -> tuple[int, str]:
    """Without `behavior`."""
    most = max(2 * current, 4)
    if stable < low:
        return low, TOO_FEW
    if stable > min(high, most):
        return (most, UP_LIMIT) if high > most else (high, TOO_MANY)
    return stable, ""


def _rated(
    stable: int,
    current: int,
    low: int,
    high: int,
    behavior: Behavior,
    history: History,
    now: float,
) -> tuple[int, str]:
    if stable > current:
        most = max(_up_to(current, behavior.up, history, now), current)
        edge, why = (most, UP_LIMIT) if high > most else (high, TOO_MANY)
        return (edge, why) if stable > edge else (stable, "")
    if stable < current:
        least = min(_down_to(current, behavior.down, history, now), current)
        edge, why = (least, DOWN_LIMIT) if low < least else (low, TOO_FEW)
        return (edge, why) if stable < edge else (stable, "")
    return stable, ""


def _up_to(current: int, rules: Rules, history: History, now: float) -> int:
    if rules.select == DISABLED:
        return current
    found = []
    for policy in rules.policies:
        start = current - _moved(history.changes, now - policy.period_s)
        if policy.type == PODS:
            found.append(start + policy.value)
        else:
            found.append(ceil(start * (100 + policy.value) / 100 - 1e-9))
    return _chosen(found, smallest=rules.select == MIN, otherwise=current)


def _down_to(current: int, rules: Rules, history: History, now: float) -> int:
    if rules.select == DISABLED:
        return current
    found = []
    for policy in rules.policies:
        start = current - _moved(history.changes, now - policy.period_s)
        if policy.type == PODS:
            found.append(start - policy.value)
        else:
            found.append(int(start * (100 - policy.value) / 100 + 1e-9))
    return _chosen(found, smallest=rules.select != MIN, otherwise=current)


def _chosen(found: list[int], *, smallest: bool, otherwise: int) -> int:
    if not found:
        return otherwise
    return min(found) if smallest else max(found)


def _moved(changes: Iterable[tuple[float, int]], since: float) -> int:
    """Replicas added, less those taken away, since then."""
    return sum(by for when, by in changes if when > since)


def _forget(history: History, rules: Behavior, now: float) -> None:
    """What no rule looks at any more."""
    window = max(rules.up.window_s, rules.down.window_s)
    periods = [p.period_s for r in (rules.up, rules.down) for p in r.policies]
    history.recommendations[:] = [r for r in history.recommendations if r[0] > now - window - 1]
    history.changes[:] = [c for c in history.changes if c[0] > now - max(periods, default=0.0)]

"""Decisions of the HPA, each computed by hand from the documented algorithm; `rule` cites it.

Sources: kubernetes.io "Horizontal Pod Autoscaling" (Algorithm details, Configurable scaling
behavior), and pkg/controller/podautoscaler of kubernetes 1.34 by function name.
"""

from dataclasses import dataclass, replace

import pytest

from pipeline.elasticity.behavior import (
    DISABLED,
    DOWN,
    MIN,
    PERCENT,
    PODS,
    UP,
    Behavior,
    Decision,
    History,
    Policy,
    Rules,
    changed,
)
from pipeline.elasticity.hpa import (
    AVERAGE,
    UTILIZATION,
    VALUE,
    Settings,
    Target,
    decide,
    reading_of,
    settings_of,
)
from pipeline.elasticity.replicas import InvalidMetric, PodNow, Tolerance, group

NOW = 10_000.0
CPU = Target("Resource", "cpu", UTILIZATION, 60)
RPS = Target("Pods", "rps", AVERAGE, 10)
QUEUE = Target("External", "queue", VALUE, 30)
QUEUE_EACH = Target("External", "queue", AVERAGE, 30)
PLAIN = Settings(1, 20, (CPU,), Behavior())


def pod(usage: float | None, **values: object) -> PodNow:
    """Request 100: the usage is percent. Ready for long."""
    return replace(PodNow(usage, 100.0, sampled=NOW), **values)  # type: ignore[arg-type]


def starting(usage: float | None = 0) -> PodNow:
    """Not ready, within its initialisation period."""
    return pod(usage, ready=False, ready_changed=NOW - 20, started=NOW - 20)


@dataclass(frozen=True)
class Case:
    """`pods` serve the first target; `readings` are of the others."""

    name: str
    rule: str
    want: int
    pods: tuple[PodNow, ...]
    settings: Settings = PLAIN
    current: int | None = None  # as many as there are pods
    readings: tuple[float | None, ...] = (0,)
    recommended: tuple[tuple[float, int], ...] = ()  # (seconds ago, how many)
    moved: tuple[tuple[float, int], ...] = ()  # (seconds ago, by how many)
    limited: str = ""
    stabilized: str = ""


def behavior(up: Rules = UP, down: Rules = DOWN) -> Settings:
    return replace(PLAIN, behavior=Behavior(up, down))


ONE_EACH_30 = Rules((Policy(PODS, 1, 30),), 0)
NO_WAIT = replace(DOWN, window_s=0)
CASES = (
    Case(
        "above target", "ceil(current * usage / target): ceil(2 * 90 / 60)", 3, (pod(90), pod(90))
    ),
    Case("below target", "ceil(4 * 30 / 60)", 2, (pod(30),) * 4, behavior(down=NO_WAIT)),
    Case(
        "edge of the tolerance",
        "no change while |ratio - 1| <= 0.1: 66 / 60 is 1.1",
        2,
        (pod(66), pod(66)),
    ),
    Case("beyond the tolerance", "67 / 60 is 1.117: ceil(2 * 1.117)", 3, (pod(67), pod(67))),
    Case(
        "percent is a whole number",
        "GetResourceUtilizationRatio cuts: 133.9 * 100 / 200 is 66, which is within the tolerance",
        2,
        (pod(66.9), pod(67.0)),
    ),
    Case(
        "tolerance by direction",
        "behavior.scaleUp.tolerance (1.33): 66 / 60 is beyond 0.05; down keeps 0.1",
        3,
        (pod(66), pod(66)),
        behavior(up=replace(UP, tolerance=0.05)),
    ),
    Case(
        "tolerance of the other direction",
        "scaleUp.tolerance says nothing of scaling down: 55 / 60 is 0.917, within 0.1",
        2,
        (pod(55), pod(55)),
        behavior(up=replace(UP, tolerance=0.05), down=NO_WAIT),
    ),
    Case(
        "missing metric, up",
        "counts as 0 %: (180 + 180 + 0) / 3 is 120 %, ratio 2, ceil(2 * 3)",
        6,
        (pod(180), pod(180), pod(None)),
    ),
    Case(
        "missing metric, down",
        "counts as 100 %: (20 + 20 + 100) / 3 is 46 %, ratio 0.767, ceil(0.767 * 3)",
        3,
        (pod(20), pod(20), pod(None)),
        behavior(down=NO_WAIT),
    ),
    Case(
        "missing metric, down, target above 100 %",
        "counts as the target: (20 + 20 + 150) / 3 is 63 %, / 150 is 0.42, ceil(0.42 * 3)",
        2,
        (pod(20), pod(20), pod(None)),
        replace(behavior(down=NO_WAIT), targets=(replace(CPU, value=150),)),
    ),
    Case(
        "missing metrics turn the direction",
        "usageRatio > 1 and newUsageRatio < 1: no change. 90 / 60, then (90 + 0) / 2 is 45 %",
        2,
        (pod(90), pod(None)),
    ),
    Case(
        "unready pods, up",
        "count as 0 %: 1 pod of 250, 4 unready: 250 / 5 is 50 %, below 1: no change",
        5,
        (pod(250), *[starting()] * 4),
    ),
    Case(
        "unready pods damp",
        "(400 + 0) / 2 is 200 %, ratio 3.33, ceil(6.67)",
        7,
        (pod(400), starting()),
        behavior(up=Rules((Policy(PODS, 10, 15),), 0)),
    ),
    Case(
        "unready pods, down",
        "are not counted at all: ceil(0.5 * 2 ready)",
        1,
        (pod(30), pod(30), starting(), starting()),
        behavior(down=NO_WAIT),
    ),
    Case(
        "unready, but past its initialisation",
        "cpu-initialization-period 5 m: it was ready once, so its 120 % count: ceil(2 * 2)",
        4,
        (pod(120), pod(120, ready=False, ready_changed=NOW - 10, started=NOW - 400)),
    ),
    Case(
        "never ready",
        "initial-readiness-delay 30 s: unready since 10 s after its start, so it counts as 0 %:"
        " (120 + 0) / 2 is 60 %: no change",
        2,
        (pod(120), pod(120, ready=False, ready_changed=NOW - 390, started=NOW - 400)),
    ),
    Case(
        "ready, but not for a whole window",
        "metric.Timestamp before Ready + window: unready. (120 + 0) / 2 is 60 %: no change",
        2,
        (pod(120), pod(120, ready_changed=NOW - 10, started=NOW - 60, window=15)),
    ),
    Case(
        "pending pods of another metric",
        "phase Pending is unready whatever the metric: (40 + 0) / 2 is 20, ratio 2, ceil(2 * 2)",
        4,
        (pod(40), pod(None, phase="Pending")),
        replace(PLAIN, targets=(RPS,)),
    ),
    Case(
        "deleted and failed pods",
        "are set aside: ceil(1.5 * 2)",
        3,
        (pod(90), pod(90), pod(0, deleted=True), pod(0, phase="Failed")),
        current=2,
    ),
    Case(
        "average value, missing, down",
        "counts as the target: (2 + 2 + 10) / 3 is 4.67, ratio 0.467, ceil(0.467 * 3)",
        2,
        (pod(2), pod(2), pod(None)),
        replace(behavior(down=NO_WAIT), targets=(RPS,)),
    ),
    Case(
        "external value",
        "ceil(ready pods * 75 / 30), ready are 2 of 3",
        5,
        (pod(0), pod(0), starting()),
        replace(PLAIN, targets=(QUEUE,)),
        readings=(75,),
    ),
    Case(
        "external average value",
        "ceil(100 / 30), whatever is ready",
        4,
        (pod(0), starting()),
        replace(PLAIN, targets=(QUEUE_EACH,)),
        readings=(100,),
    ),
    Case(
        "external average value within the tolerance",
        "98 / (30 * 3) is 1.089",
        3,
        (pod(0),) * 3,
        replace(PLAIN, targets=(QUEUE_EACH,)),
        readings=(98,),
    ),
    Case(
        "several metrics",
        "the largest proposal: cpu 1, queue ceil(90 / 30)",
        3,
        (pod(30), pod(30)),
        replace(behavior(down=NO_WAIT), targets=(CPU, QUEUE_EACH)),
        readings=(0, 90),
    ),
    Case(
        "one of several invalid, up",
        "the valid ones may scale up: ceil(2 * 1.5)",
        3,
        (pod(90), pod(90)),
        replace(PLAIN, targets=(CPU, QUEUE)),
        readings=(0, None),
    ),
    Case(
        "one of several invalid, down",
        "never down while one is invalid (computeReplicasForMetrics)",
        2,
        (pod(20), pod(20)),
        replace(behavior(down=NO_WAIT), targets=(CPU, QUEUE)),
        readings=(0, None),
    ),
    Case("all invalid", "nothing is done", 2, (pod(None), pod(None))),
    Case(
        "window down",
        "the highest recommendation of 300 s: 4, 200 s ago; the 8 is older",
        4,
        (pod(12),) * 5,
        recommended=((310, 8), (200, 4), (15, 1)),
        stabilized="ScaleDownStabilized",
    ),
    Case(
        "window up",
        "the lowest recommendation of 60 s: 3, although 6 is asked for",
        3,
        (pod(180),) * 2,
        behavior(up=replace(UP, window_s=60)),
        recommended=((70, 1), (45, 5), (30, 3)),
        stabilized="ScaleUpStabilized",
    ),
    Case(
        "window up holds all",
        "one recommendation of what there is keeps it",
        2,
        (pod(180),) * 2,
        behavior(up=replace(UP, window_s=60)),
        recommended=((30, 2),),
        stabilized="ScaleUpStabilized",
    ),
    Case(
        "default policies up",
        "the larger of 4 pods and 100 % in 15 s: 1 + 4",
        5,
        (pod(600),),
        limited="ScaleUpLimit",
    ),
    Case(
        "default policies up, many",
        "the larger of 4 pods and 100 %: 6 + 6",
        12,
        (pod(300),) * 6,
        replace(PLAIN, high=100),
        limited="ScaleUpLimit",
    ),
    Case(
        "selectPolicy Min",
        "the smaller of 4 pods and 100 %: 1 + 1",
        2,
        (pod(600),),
        behavior(up=replace(UP, select=MIN)),
        limited="ScaleUpLimit",
    ),
    Case(
        "selectPolicy Disabled, up",
        "scaling up is off",
        1,
        (pod(600),),
        behavior(up=replace(UP, select=DISABLED)),
        limited="ScaleUpLimit",
    ),
    Case(
        "selectPolicy Disabled, down",
        "scaling down is off",
        3,
        (pod(2),) * 3,
        behavior(down=replace(NO_WAIT, select=DISABLED)),
        limited="ScaleDownLimit",
    ),
    Case(
        "a period counts from its beginning",
        "1 pod in 30 s, 1 was added 15 s ago: none is left",
        2,
        (pod(220),) * 2,
        behavior(up=ONE_EACH_30),
        moved=((15, 1),),
        limited="ScaleUpLimit",
    ),
    Case(
        "a period that is over",
        "1 pod in 30 s, 1 was added 30 s ago",
        3,
        (pod(220),) * 2,
        behavior(up=ONE_EACH_30),
        moved=((30, 1),),
        limited="ScaleUpLimit",
    ),
    Case(
        "what went down in the period may come back",
        "periodStartReplicas adds what was deleted: 2 + 2 deleted, + 1",
        5,
        (pod(220),) * 2,
        behavior(up=ONE_EACH_30),
        moved=((15, -2),),
        limited="ScaleUpLimit",
    ),
    Case(
        "percent up is rounded up",
        "ceil(3 * 1.1)",
        4,
        (pod(180),) * 3,
        behavior(up=Rules((Policy(PERCENT, 10, 60),), 0)),
        limited="ScaleUpLimit",
    ),
    Case(
        "percent down is rounded down",
        "int(7 * 0.7) is 4",
        4,
        (pod(2),) * 7,
        behavior(down=Rules((Policy(PERCENT, 30, 60),), 0)),
        limited="ScaleDownLimit",
    ),
    Case(
        "selectPolicy Min, down",
        "the smaller change: 10 - 1 pod rather than 10 - 50 %",
        9,
        (pod(2),) * 10,
        behavior(down=Rules((Policy(PODS, 1, 60), Policy(PERCENT, 50, 60)), 0, MIN)),
        limited="ScaleDownLimit",
    ),
    Case(
        "max",
        "TooManyReplicas",
        3,
        (pod(180),) * 2,
        replace(PLAIN, high=3),
        limited="TooManyReplicas",
    ),
    Case(
        "min",
        "TooFewReplicas",
        2,
        (pod(2),) * 3,
        replace(behavior(down=NO_WAIT), low=2),
        limited="TooFewReplicas",
    ),
    Case(
        "above max",
        "to max at once, whatever the metrics say",
        2,
        (pod(60),) * 5,
        replace(PLAIN, high=2),
    ),
    Case("below min", "to min at once", 4, (pod(60),) * 2, replace(PLAIN, low=4)),
    Case("zero replicas", "switched off", 0, (), current=0),
    Case(
        "from zero",
        "min 0 keeps it on: ceil(75 / 30), no tolerance",
        3,
        (),
        replace(PLAIN, low=0, targets=(QUEUE,)),
        current=0,
        readings=(75,),
    ),
    Case(
        "without behavior, up",
        "at most max(2 * current, 4) (calculateScaleUpLimit)",
        4,
        (pod(600),),
        replace(PLAIN, behavior=None),
        limited="ScaleUpLimit",
    ),
    Case(
        "without behavior, down",
        "the highest recommendation of 300 s (downscale-stabilization)",
        3,
        (pod(2),) * 4,
        replace(PLAIN, behavior=None),
        recommended=((250, 3),),
        stabilized="ScaleDownStabilized",
    ),
)


def proposal(case: Case, target: Target, reading: float | None, current: int) -> int | None:
    if reading is None:
        return None
    try:
        return target.replicas(reading, case.pods, current, case.settings.tolerance, NOW)
    except InvalidMetric:
        return None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_decision(case: Case) -> None:
    current = len(case.pods) if case.current is None else case.current
    history = History([(NOW - ago, count) for ago, count in case.recommended])
    for ago, by in case.moved:
        changed(history, NOW - ago, 0, by)
    if not history.recommendations:  # nothing of old, not even the first look
        history.recommendations.append((NOW - 10_000, 0))
    proposals = [
        proposal(case, target, reading, current)
        for target, reading in zip(case.settings.targets, case.readings, strict=True)
    ]
    got = decide(case.settings, proposals, current, history=history, now=NOW)
    assert got == Decision(case.want, case.limited, case.stabilized), case.rule


def test_first_look_remembers_what_there_is() -> None:
    """recordInitialRecommendation: a controller that has just begun does not scale down."""
    history = History()
    assert decide(PLAIN, [1], 5, history=history, now=NOW).replicas == 5
    assert decide(PLAIN, [1], 5, history=history, now=NOW + 299).replicas == 5
    assert decide(PLAIN, [1], 5, history=history, now=NOW + 300).replicas == 1


def test_no_pod_and_no_metric_are_said() -> None:
    with pytest.raises(InvalidMetric, match="no pods returned by selector"):
        group([], now=NOW, cpu=True)
    with pytest.raises(InvalidMetric, match="did not receive metrics for targeted pods"):
        group([starting()], now=NOW, cpu=True)


def test_settings_come_from_the_object() -> None:
    gibi, queued = {"averageValue": "1Gi"}, {"value": "1500m"}
    spec = {
        "maxReplicas": 6,
        "metrics": [
            {"type": "Resource", "resource": {"name": "memory", "target": gibi}},
            {"type": "External", "external": {"metric": {"name": "q"}, "target": queued}},
            {"type": ""},
        ],
        "behavior": {"scaleUp": {"tolerance": "50m", "policies": [
            {"type": "Pods", "value": 2, "periodSeconds": 30}]}},
    }  # fmt: skip
    settings = settings_of(spec)
    assert (settings.low, settings.high) == (1, 6)
    assert [(t.name, t.type, t.value) for t in settings.targets] == [
        ("memory", AVERAGE, 2**30),
        ("q", VALUE, 1.5),
    ]
    assert settings.behavior == Behavior(Rules((Policy(PODS, 2, 30),), 0, tolerance=0.05), DOWN)
    assert settings.tolerance == Tolerance(0.05, 0.1)
    assert settings_of({"maxReplicas": 2, "behavior": None}).behavior is None
    current = {"value": "2k"}
    status = {"currentMetrics": [{"type": ""}, {"type": "External", "external": {
        "metric": {"name": "q"}, "current": current}}]}  # fmt: skip
    assert reading_of(settings.targets[1], status) == 2000
    assert reading_of(settings.targets[0], status) is None

"""Recorded demand through the HPA's rules again, with the same or with other settings. Pure.

Assumed, and said to whoever asks (`ASSUMPTIONS`): see there. The yardstick of both runs is the
recorded target: a moment is under-provisioned when the pods that serve have to carry more than
that, beyond the tolerance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipeline.elasticity.behavior import History, changed
from pipeline.elasticity.demand import (
    METRICS_LAG_S,
    PodLife,
    Present,
    Recorded,
    Rescale,
    Sync,
    serving,
)
from pipeline.elasticity.hpa import AVERAGE, UTILIZATION, Settings, Target, decide
from pipeline.elasticity.replicas import InvalidMetric, PodNow

WINDOW_S = 15.0
MATCH_S = 60.0  # a rescale further away is another one

ASSUMPTIONS = (
    "demand is the total load, average times the pods that were measured, and other replicas"
    " share it evenly; of memory, and of what grows with the replicas, that is not so",
    "load that the recorded pods turned away, or that slowed down, was not measured and is missing",
    "the controller looks when it looked (each 15 s); its memory begins with the recording",
    f"a pod counts {METRICS_LAG_S:.0f} s after it became Ready (a window of the metrics API and its"
    " age); until then the demand is a lower bound, for such pods serve already",
    "what is scaled away stops at once, the newest first",
    "nodes have room for every pod",
)


@dataclass(slots=True)
class Outcome:
    """Of one run. Seconds, and hours of pods."""

    rescales: list[Rescale] = field(default_factory=list)
    replicas: list[tuple[float, int]] = field(default_factory=list)  # from when, how many
    under_s: float = 0.0
    worst: float = 0.0  # load of a serving pod as a share of the recorded target
    maxed_s: float = 0.0  # at max, and the metrics ask for more
    refused_s: float = 0.0  # fewer pods than the HPA asked for, because of a quota
    pod_hours: float = 0.0
    peak: int = 0


def simulate(
    recorded: Recorded, settings: Callable[[Settings], Settings], startup: float
) -> Outcome:
    """What would have happened. `settings` changes what was recorded; `startup` is the seconds
    from a pod's creation to Ready."""
    run, history, pods = Outcome(), History(), _first(recorded)
    lives, current = list(pods), recorded.syncs[0].current
    for sync, until in _spans(recorded):
        now, chosen = sync.t, settings(sync.settings)
        proposals = [
            _proposal(target, load, pods, current, chosen, now)
            for target, load in zip(chosen.targets, sync.load, strict=True)
        ]
        decision = decide(chosen, proposals, current, history=history, now=sync.clock)
        if decision.replicas != current:
            changed(history, sync.clock, current, decision.replicas)
            run.rescales.append(Rescale(now, current, decision.replicas))
            current = decision.replicas
        _resize(pods, lives, _allowed(recorded, now, current, len(pods)), now, startup)
        if len(pods) < current:
            run.refused_s += until - now
        if not run.replicas or run.replicas[-1][1] != len(pods):
            run.replicas.append((now, len(pods)))
        wanted = max((p for p in proposals if p is not None), default=0)
        if current >= chosen.high and wanted > chosen.high:
            run.maxed_s += until - now
    _account(run, recorded, lives)
    return run


def _allowed(recorded: Recorded, t: float, wanted: int, present: int) -> int:
    """A quota does not take away pods that are there."""
    allowed = recorded.allowed(t)
    return wanted if allowed is None else min(wanted, max(allowed, present))


def quota_assumption(recorded: Recorded) -> str:
    """What is taken for granted of the namespace's quotas."""
    names, scoped = recorded.quotas.names(scoped=False), recorded.quotas.names(scoped=True)
    left_out = f"; not {', '.join(scoped)}, which has scopes" if scoped else ""
    if not names:
        return f"no ResourceQuota stands in the way: none is recorded{left_out}"
    which = f"ResourceQuota {', '.join(names)}"
    if recorded.need is None:
        return f"{which} is not in the way: what a pod needs is not recorded{left_out}"
    return (
        f"{which} stands as recorded{left_out}: others use what they used, a new pod needs what the"
        " youngest recorded one asked for (defaults of a LimitRange among it), and pods that were"
        " refused come at the first look at which there is room"
    )


def as_recorded(recorded: Recorded) -> Outcome:
    """What was, in the same measures."""
    run = Outcome(rescales=list(recorded.rescales))
    for sync, until in _spans(recorded):
        if not run.replicas or run.replicas[-1][1] != sync.current:
            run.replicas.append((sync.t, sync.current))
        needed, most = _needed(sync), sync.settings.high
        if sync.current >= most and (needed or 0) > most * (1 + sync.settings.tolerance.up):
            run.maxed_s += until - sync.t
        if _allowed(recorded, sync.t, sync.current, 0) < sync.current:
            run.refused_s += until - sync.t
    _account(run, recorded, recorded.pods or _steps(recorded))
    return run


def reproduced(recorded: Recorded, run: Outcome) -> tuple[int, float]:
    """(How many of the recorded rescales the run has, by how many seconds at most they differ)."""
    left, found, apart = list(run.rescales), 0, 0.0
    for was in recorded.rescales:
        same = [r for r in left if (r.before, r.after) == (was.before, was.after)]
        near = min(same, key=lambda r: abs(r.t - was.t), default=None)
        if near is not None and abs(near.t - was.t) <= MATCH_S:
            left.remove(near)
            found, apart = found + 1, max(apart, abs(near.t - was.t))
    return found, apart


def _spans(recorded: Recorded) -> list[tuple[Sync, float]]:
    ends = [*(sync.t for sync in recorded.syncs[1:]), recorded.end]
    return list(zip(recorded.syncs, ends, strict=True))


def _first(recorded: Recorded) -> list[PodLife]:
    """The pods that were there when the recording of the HPA began."""
    start = recorded.syncs[0].t
    there = [p for p in recorded.pods if p.created <= start and (p.gone is None or p.gone > start)]
    count = recorded.syncs[0].current
    pods = [PodLife(p.created, p.ready) for p in there[:count]]
    return pods + [PodLife(0.0, 0.0) for _ in range(count - len(pods))]


def _steps(recorded: Recorded) -> list[PodLife]:
    """Pods as the status counts them, where no pods were recorded."""
    pods: list[PodLife] = []
    lives: list[PodLife] = []
    for sync in recorded.syncs:
        _resize(pods, lives, sync.current, sync.t, 0.0)
    return lives


def _resize(
    pods: list[PodLife], lives: list[PodLife], count: int, now: float, startup: float
) -> None:
    """Scaling down takes the newest, which are the ones that are not ready yet."""
    while len(pods) > count:
        pods.pop().gone = now
    fresh = [PodLife(now, now + startup) for _ in range(count - len(pods))]
    pods += fresh
    lives += fresh


def _proposal(
    target: Target,
    load: float | None,
    pods: Sequence[PodLife],
    current: int,
    settings: Settings,
    now: float,
) -> int | None:
    """None: invalid, as it was when it was recorded."""
    if load is None:
        return None
    counting = sum(pod.counts(now) for pod in pods)
    usage = load / counting if counting else 0.0
    seen = [_pod(pod, target, usage, now) for pod in pods]
    reading = load
    if not target.of_pods and target.type != AVERAGE:
        reading = load / (serving(pods, now) or 1)
    try:
        return target.replicas(reading, seen, current, settings.tolerance, now)
    except InvalidMetric:
        return None


def _pod(pod: PodLife, target: Target, usage: float, now: float) -> PodNow:
    ready = pod.serves(now)
    since = (pod.ready or 0.0) if ready else pod.created
    return PodNow(
        usage if pod.counts(now) else 0.0,
        100.0 if target.type == UTILIZATION else 0.0,
        phase="Running" if ready and (target.cpu or pod.counts(now)) else "Pending",
        ready=ready,
        ready_changed=since,
        started=pod.created,
        sampled=now - METRICS_LAG_S + WINDOW_S,
        window=WINDOW_S,
    )


def _needed(sync: Sync) -> float | None:
    """Pods that would carry the demand at the recorded targets; None if it is unknown."""
    loads = [
        load / target.value
        for target, load in zip(sync.settings.targets, sync.load, strict=True)
        if load is not None
    ]
    return max(loads, default=None)


def _account(run: Outcome, recorded: Recorded, lives: Sequence[PodLife]) -> None:
    present = Present(lives)
    for sync, until in _spans(recorded):
        needed = _needed(sync)
        pods = present.within(sync.t, until)
        edges = {sync.t, until}
        for pod in pods:
            edges |= {e for e in (pod.created, pod.ready, pod.gone) if e and sync.t < e < until}
        for start, end in zip(sorted(edges), sorted(edges)[1:], strict=False):
            there = sum(p.created <= start and (p.gone is None or p.gone > start) for p in pods)
            run.pod_hours += there * (end - start) / 3600
            run.peak = max(run.peak, there)
            if needed is None:
                continue
            ready = serving(pods, start)
            share = needed / ready if ready else float("inf") if needed else 0.0
            if share > 1.0 + sync.settings.tolerance.up:
                run.under_s += end - start
            if ready:
                run.worst = max(run.worst, share)

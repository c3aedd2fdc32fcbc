"""A decision as a whole: of each segment the median over its pods, and the segment on which these
together spent most of their time.

What was computed of a pod is kept until the pod moves: a burst has thousands, and each version of
the decision speaks of all of them. It is no state: it can be computed anew at any time.
"""

from collections import Counter
from dataclasses import dataclass, field
from statistics import median_high
from typing import Any

from pipeline.contract.tables import SCALE_SEGMENTS as SEGMENTS
from pipeline.elasticity.scaling.decisions import DONE, Decision
from pipeline.elasticity.scaling.moment import Moment, not_after
from pipeline.elasticity.scaling.timeline import READY, Measured, Timeline, longest


@dataclass(slots=True)
class _Rolled:
    decided: tuple[int, int] | None  # of the decision, when these were computed
    pods: dict[str, Measured] = field(default_factory=dict)


class Rollups:
    def __init__(self) -> None:
        self._rolled: dict[str, _Rolled] = {}

    def moved(self, decision: str, uid: str) -> None:
        rolled = self._rolled.get(decision)
        if rolled is not None:
            rolled.pods.pop(uid, None)

    def forget(self, decision: str) -> None:
        self._rolled.pop(decision, None)

    def head(self, decision: Decision, pods: list[Timeline]) -> dict[str, Any]:
        """All of a version but its number and the pods that it names."""
        found = self.measured(decision, pods)
        spent: dict[str, int] = {}
        for measured in found:
            for name, ms in measured.parts.items():
                spent[name] = spent.get(name, 0) + ms
        created = [m.steps["created"] for m in found if "created" in m.steps]
        decided = _decided(decision, created)
        at = decided.t if decided else decision.at
        ready = [pod.steps["ready"].t for pod in pods if pod.status == READY]
        whole = decision.status == DONE and bool(ready) and decided is not None
        return {
            "id": decision.id,
            "workload": decision.workload,
            "by": decision.by,
            "who": decision.who,
            "why": decision.why,
            "from": decision.low,
            "to": decision.high,
            "decided_at": at,
            "decided": decided.document() if decided else None,
            "status": decision.status,
            "segments": {name: _median(found, name) for name in SEGMENTS},
            "longest": longest({name: spent[name] for name in SEGMENTS if name in spent}),
            "waits_in": _waits_in(decision, pods),
            "total_ms": max(0, max(ready) - at) if whole else None,
            "count": len(decision.pods),
            "ready": len(ready),
            "due": decision.due,
        }

    def measured(self, decision: Decision, pods: list[Timeline]) -> list[Measured]:
        """What the times of each come to, computed where it is not known."""
        taken = decision.decided
        key = (taken.t, taken.uncertainty_ms) if taken else None
        rolled = self._rolled.get(decision.id)
        if rolled is None or rolled.decided != key:
            rolled = self._rolled[decision.id] = _Rolled(key)
        known = rolled.pods
        for pod in pods:
            if pod.uid not in known:
                known[pod.uid] = pod.measured(taken)
        return [known[pod.uid] for pod in pods]


def _waits_in(decision: Decision, pods: list[Timeline]) -> str | None:
    """Where most of what is not there yet is stuck, the earlier segment if two have as many."""
    if decision.status == DONE:
        return None
    waiting = Counter(name for pod in pods if (name := pod.waits_in) is not None)
    waiting["decision"] += decision.due
    name = max(SEGMENTS, key=lambda segment: waiting[segment])
    return name if waiting[name] else None


def _decided(decision: Decision, created: list[Moment]) -> Moment | None:
    """Not later than its first pod."""
    if decision.decided is None or not created:
        return decision.decided
    return not_after(decision.decided, min(created, key=lambda moment: moment.t))


def _median(found: list[Measured], name: str) -> int | None:
    known = [ms for measured in found if (ms := measured.segments[name]) is not None]
    return median_high(known) if known else None

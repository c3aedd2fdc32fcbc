"""One pod from the decision that it be there until it is ready: times, segments, the longest.

  T0 decided  T1 created  T2 unschedulable  T3 autoscaler reacted  T4 node created  T5 node Ready
  T6 scheduled  T7 sandbox and network  T8 init containers done  pulled  T9 started  T10 ready

Missing is unknown (None), never 0. T2 to T5 are of pods that had to wait for a node.

Segments follow one another from T0 to T10: decision (T0-T1), queue (T1-T6), sandbox (T6-T7), init
(T7-T8), pull (T8-T9: images pulled, containers created and started), ready (T9-T10). Within the
queue: provision (T3-T4), bringup (T4-T5), scheduling (T5-T6). A pod may be bound to a node that is
not Ready yet, or that was on its way before: then these overlap, and the difference is negative and
stays so. Steps: design of the timeline, k/k pod conditions (pkg/apis/core/types.go).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.contract.tables import SCALE_SEGMENTS as SEGMENTS
from pipeline.contract.tables import SCALE_TIMES as STEPS
from pipeline.elasticity.scaling.moment import SECOND_MS, Moment, not_after

PENDING, STARTING, READY, FINISHED, FAILED, DELETED = (
    "pending",  # no node yet
    "starting",
    "ready",
    "finished",  # a job's pod that ended well, before or without being ready
    "failed",
    "deleted",  # before it was ready
)
NOT_CAUSED = "not-caused"  # in facts: no decision caused it
FINAL = (READY, FINISHED, FAILED, DELETED)

_ENDS = {
    "decision": ("decided", "created"),
    "queue": ("created", "scheduled"),
    "provision": ("autoscaler", "node_created"),
    "bringup": ("node_created", "node_ready"),
    "scheduling": ("node_ready", "scheduled"),
    "sandbox": ("scheduled", "sandbox"),
    "init": ("sandbox", "initialized"),
    "pull": ("initialized", "started"),
    "ready": ("started", "ready"),
}
_QUEUED = (("node_ready", "scheduling"), ("node_created", "bringup"), ("autoscaler", "provision"))
# What cannot be later than what; `work`: see Timeline. In an order in which bounds are passed on.
_FOLLOWED_BY = (
    ("initialized", "started"),
    ("sandbox", "started"),
    ("sandbox", "work"),
    ("created", "unschedulable"),
    ("created", "scheduled"),
    ("decided", "created"),
)

_UNKNOWN: dict[str, Any] = dict.fromkeys(STEPS)

Steps = Mapping[str, Moment]


@dataclass(slots=True)
class Timeline:
    """A pod. `inits` is False when it has no init containers, None when that is unknown. `work`:
    the first sign that the kubelet is busy with its containers, so has a sandbox for them: the
    condition that says so comes with a later version of the status."""

    uid: str
    namespace: str
    name: str
    first: int  # when it was first seen, Unix ms
    version: int = 0  # its resourceVersion then, 0 if that is no number
    steps: dict[str, Moment] = field(default_factory=dict)
    node: str = ""
    pool: str = ""
    inits: bool | None = None
    work: Moment | None = None
    status: str = PENDING

    def told(self, decided: Moment | None) -> dict[str, Moment]:
        """The steps with the decision in front, none later than what must have followed it."""
        steps = dict(self.steps)
        if decided is not None:
            steps["decided"] = decided
        if self.work is not None:
            steps["work"] = self.work
        for step, effect in _FOLLOWED_BY:
            if step in steps and effect in steps:
                steps[step] = not_after(steps[step], steps[effect])
        steps.pop("work", None)
        return steps

    @property
    def waits_in(self) -> str | None:
        """The segment that it is in; None once it is at its end. A step that nobody told of lies
        behind it when a later one was told."""
        steps = self.steps
        if self.status in FINAL:
            return None
        if "started" in steps:
            return "ready"
        if "scheduled" not in steps and not self.node:
            return next((name for step, name in _QUEUED if step in steps), "queue")
        if "sandbox" in steps:
            return "pull" if self.inits is False or "initialized" in steps else "init"
        return "pull" if self.inits and "initialized" in steps else "sandbox"

    def measured(self, decided: Moment | None) -> "Measured":
        steps = self.told(decided)
        segments = segments_of(steps, self.inits)
        return Measured(steps, segments, parts_of(steps, segments))

    def document(self, measured: "Measured") -> dict[str, Any]:
        """As facts have it. `measured` is of its present steps."""
        steps = measured.steps
        created, start, ready = (steps.get(name) for name in ("created", "decided", "ready"))
        return {
            "uid": self.uid,
            "namespace": self.namespace,
            "name": self.name,
            "node": self.node,
            "node_pool": self.pool,
            "created_at": created.t if created else None,
            "times": {**_UNKNOWN, **{name: moment.document() for name, moment in steps.items()}},
            "segments": measured.segments,
            "longest": longest(measured.parts),
            "waits_in": self.waits_in,
            "total_ms": ready.t - start.t if ready and start else None,
            "ready_at": ready.t if ready else None,
            "status": self.status,
        }


@dataclass(slots=True)
class Measured:
    """What a pod's times come to."""

    steps: Steps
    segments: dict[str, int | None]
    parts: dict[str, int]


def segments_of(steps: Steps, inits: bool | None) -> dict[str, int | None]:
    """Milliseconds of each segment, None where one of its ends is unknown."""
    found = {name: _between(steps.get(a), steps.get(b)) for name, (a, b) in _ENDS.items()}
    if inits is False:  # the kubelet says Initialized at once then, before there is a sandbox
        found["init"] = 0
        found["pull"] = _between(steps.get("sandbox"), steps.get("started"))
    return found


def parts_of(steps: Steps, found: Mapping[str, int | None]) -> dict[str, int]:
    """Where the pod's own time went: its known segments, as found, without overlap. Of a pod that
    waited for a node the queue is only what came before the autoscaler reacted (before the node,
    if nothing is known of an autoscaler)."""
    parts = {name: max(0, ms) for name, ms in found.items() if ms is not None}
    for name in ("provision", "bringup", "scheduling"):
        parts.pop(name, None)
    created, scheduled, node = (steps.get(s) for s in ("created", "scheduled", "node_created"))
    if not (created and scheduled and node) or scheduled.t < created.t:
        return parts
    marks = [("queue", created.t)]
    if "autoscaler" in steps:
        marks.append(("provision", steps["autoscaler"].t))
    marks.append(("bringup", node.t))
    if "node_ready" in steps:
        marks.append(("scheduling", steps["node_ready"].t))
    ends = [at for _, at in marks[1:]] + [scheduled.t]
    low = created.t
    for (name, _), end in zip(marks, ends, strict=True):
        high = min(max(low, end), scheduled.t)
        parts[name], low = high - low, high
    return {name: parts[name] for name in SEGMENTS if name in parts}


def longest(parts: Mapping[str, int]) -> str | None:
    """The part that took longest; None if nothing took any time, or nothing is known."""
    name = max(parts, key=lambda part: parts[part], default=None)
    return name if name is not None and parts[name] > 0 else None


def _between(start: Moment | None, end: Moment | None) -> int | None:
    """Negative only when that is certain: stamps are of whole seconds, and watches lag a little."""
    if start is None or end is None:
        return None
    ms = end.t - start.t
    blur = min(start.uncertainty_ms, SECOND_MS) + min(end.uncertainty_ms, SECOND_MS)
    return 0 if -blur <= ms < 0 else ms

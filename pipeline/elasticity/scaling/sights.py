"""What a version of a pod, and an Event about it, show of its timeline.

The first version that shows a condition counts: later flaps overwrite lastTransitionTime, so a step
that was seen once is not read again. Conditions: k/k pkg/apis/core/types.go; PodHasNetwork is what
PodReadyToStartContainers was called before 1.28. Reasons of Events: scheduler, kubelet, cluster-
autoscaler (TriggeredScaleUp), Karpenter (Nominated).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.base.times import unix_ms
from pipeline.contract.state import Body
from pipeline.elasticity.scaling.moment import API, NODE, Moment, observed, reported, tightened
from pipeline.elasticity.scaling.timeline import (
    DELETED,
    FAILED,
    FINAL,
    FINISHED,
    READY,
    STARTING,
    Steps,
    Timeline,
)

# Condition -> step, and whose clock it is by.
_CONDITIONS = {
    "PodScheduled": ("scheduled", API),
    "PodReadyToStartContainers": ("sandbox", NODE),
    "PodHasNetwork": ("sandbox", NODE),
    "Initialized": ("initialized", NODE),
    "Ready": ("ready", NODE),
}
_EVENTS = {
    "FailedScheduling": "unschedulable",
    "Scheduled": "scheduled",
    "TriggeredScaleUp": "autoscaler",
    "Nominated": "autoscaler",
    "Pulled": "pulled",
}
_WORK = frozenset({"Pulling", "Pulled"})  # the kubelet does so once the sandbox is there
REASONS = frozenset(_EVENTS) | _WORK  # of Events about pods that are read

Object = Mapping[str, Any]


def see_birth(timeline: Timeline, pod: Object, received: int, offset: int) -> None:
    """Enter when it was created, and its node."""
    created = unix_ms(pod["metadata"].get("creationTimestamp", ""))
    what = "metadata.creationTimestamp"
    timeline.steps["created"] = observed(created, received, offset, what)
    timeline.node = (pod.get("spec") or {}).get("nodeName") or ""


def see_pod(timeline: Timeline, pod: Object, received: int, offset: int) -> bool:
    """Enter what this version shows first; its birth is known. True if something was new."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    before = (len(timeline.steps), timeline.status, timeline.node)
    if timeline.inits is None and spec.get("containers"):
        timeline.inits = bool(spec.get("initContainers"))
    timeline.node = timeline.node or spec.get("nodeName") or ""
    for step, moment in _shown(timeline.steps, status, received, offset):
        timeline.steps[step] = tightened(timeline.steps.get(step), moment)
    if timeline.node and "scheduled" not in timeline.steps:
        timeline.steps["scheduled"] = observed(0, received, offset, "spec.nodeName")
    busy = 0 if "ready" in timeline.steps else min(_starts(status), default=0)
    if busy:
        _work(timeline, observed(busy, received, offset, "a container's startedAt", NODE))
    timeline.status = _status(timeline, pod["metadata"], status)
    return before != (len(timeline.steps), timeline.status, timeline.node)


def see_event(timeline: Timeline, body: Body, received: int, offset: int) -> bool:
    """An Event about the pod; REASONS says which are of use."""
    reason = body["reason"]
    step = _EVENTS.get(reason)
    stamp = body.get("first_ms") or body.get("last_ms") or 0
    clock = NODE if reason in _WORK else API
    moment = observed(stamp, received, offset, f"Event {reason}", clock)
    if reason in _WORK:
        _work(timeline, moment)
    if step is None or (step == "pulled" and not _of_a_container(body)):
        return False
    old = timeline.steps.get(step)
    if step == "pulled" and old is not None and "started" not in timeline.steps:
        timeline.steps[step] = max(old, moment, key=lambda m: m.t)  # the last image counts
    else:
        timeline.steps[step] = tightened(old, moment)
    return timeline.steps[step] != old


def ended(pod: Object) -> str:
    """Why the pod does not count for its controller any more; "" while it does. The words are
    Kubernetes' own where it gives any."""
    meta, status = pod["metadata"], pod.get("status") or {}
    why = status.get("reason") or ""
    for condition in _conditions(status):
        if condition.get("type") == "DisruptionTarget":
            why = condition.get("reason") or why
    phase = status.get("phase")
    if meta.get("deletionTimestamp"):
        return f"deleted, {why}" if why else "deleted"
    if phase == "Failed":
        return f"failed, {why}" if why else "failed"
    return "finished" if phase == "Succeeded" else ""


def _shown(
    known: Steps, status: Object, received: int, offset: int
) -> Iterator[tuple[str, Moment]]:
    """What is not known yet, or not by a stamp."""
    for condition in _conditions(status):
        kind = condition.get("type", "")
        if kind not in _CONDITIONS:
            continue
        step, clock = _CONDITIONS[kind]
        there = condition.get("status") == "True"
        if kind == "PodScheduled" and condition.get("reason") == "Unschedulable":
            step, there = "unschedulable", True
        if not there or (step in known and (step != "scheduled" or known[step].stamped)):
            continue
        stamp = unix_ms(condition.get("lastTransitionTime", ""))
        seen = observed if clock == API else reported
        yield step, seen(stamp, received, offset, f"condition {kind}", clock)
    if "started" not in known:
        started = _started(status)
        if started:
            yield "started", observed(started, received, offset, "containers' startedAt", NODE)


def _started(status: Object) -> int:
    """When the last of the containers started first; 0 until all have."""
    containers = status.get("containerStatuses") or ()
    times = [_start(container) for container in containers]
    return max(times, default=0) if all(times) else 0


def _starts(status: Object) -> Iterator[int]:
    """When each container, also each init container, that has started did so."""
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or ():
            at = _start(container)
            if at:
                yield at


def _start(container: Object) -> int:
    state = container.get("state") or {}
    ran = state.get("running") or state.get("terminated") or {}
    return unix_ms(ran.get("startedAt") or "")


def _work(timeline: Timeline, moment: Moment) -> None:
    if timeline.work is None or moment.t < timeline.work.t:
        timeline.work = moment


def _status(timeline: Timeline, meta: Object, status: Object) -> str:
    """A pod that was ready stays so: the timeline ends there."""
    if timeline.status in FINAL:
        return timeline.status
    phase = status.get("phase")
    if "ready" in timeline.steps:
        return READY
    if phase == "Failed":
        return FAILED
    if phase == "Succeeded":
        return FINISHED
    if meta.get("deletionTimestamp"):
        return DELETED
    return STARTING if timeline.node else timeline.status


def _conditions(status: Object) -> Any:
    return status.get("conditions") or ()


def _of_a_container(body: Body) -> bool:
    return str(body["object"].get("field", "")).startswith("spec.containers{")

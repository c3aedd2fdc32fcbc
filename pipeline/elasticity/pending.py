"""Why a pod waits for a node, hop by hop: what the scheduler said, what the autoscaler said, what
limits stand, which incidents are behind it. Pure: recorded facts in, lines out.

Each hop names its source, or says that nothing is recorded: missing is unknown, never "no".
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.elasticity.ca_status import Group
from pipeline.elasticity.quantity import quantity
from pipeline.elasticity.refusals import (
    karpenter,
    not_triggered,
    provision_failed,
    truly,
    wish_of,
)
from pipeline.elasticity.stock import SUFFIX, Stock
from pipeline.readiness.detect.fit_error import family, fit_reasons

SCHEDULER, AUTOSCALER, PROVIDER, LIMITS, INCIDENTS = (
    "scheduler",
    "autoscaler",
    "provider",
    "limits",
    "incidents",
)
_NOT_READY = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_LIMIT_RANGER = "kubernetes.io/limit-ranger"
_HELPS = ("TriggeredScaleUp", "Nominated", "ProvisionNode")

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PodEvent:
    """The latest version of a Kubernetes Event about the pod, or about a node pool."""

    t: int  # Unix ms, when it was last seen
    reason: str
    message: str
    component: str
    count: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """Of one pod and of what may stand between it and a node; latest versions."""

    pod: Object
    events: Sequence[PodEvent] = ()  # oldest first
    pools: Sequence[Object] = ()  # NodePools
    claims: Sequence[Object] = ()  # NodeClaims
    groups: Sequence[Group] = ()  # of cluster-autoscaler, the cluster first
    restocked: Sequence[PodEvent] = ()  # of kinds of machines, ACK's instant scaling; oldest first
    stocks: Sequence[Stock] = ()  # of node pools, as it says now
    quotas: Sequence[Object] = ()  # ResourceQuotas of its namespace
    ranges: Sequence[Object] = ()  # LimitRanges of its namespace
    incidents: Sequence[Object] = field(default=())  # open episodes


@dataclass(frozen=True, slots=True)
class Hop:
    """`t`: when its source was last seen, Unix ms; 0: the objects as they are now."""

    step: str
    says: str
    kind: str = ""  # family or reason, in one word
    source: str = ""
    t: int = 0


def is_pending(pod: Object) -> bool:
    """No node yet, and not at its end."""
    status = pod.get("status") or {}
    ended = status.get("phase") in ("Succeeded", "Failed")
    return not (pod.get("spec") or {}).get("nodeName") and not ended


def chain(recorded: Recorded) -> list[Hop]:
    """In the order in which a pod gets a node."""
    return [
        *_scheduler(recorded),
        *_autoscaler(recorded),
        *_provider(recorded),
        *_limits(recorded),
        *_incidents(recorded),
    ]


def _scheduler(recorded: Recorded) -> Iterator[Hop]:
    status = recorded.pod.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    scheduled = conditions.get("PodScheduled") or {}
    if scheduled.get("reason") == "SchedulingGated":
        yield Hop(SCHEDULER, "held back by scheduling gates", "gated", "PodScheduled")
        return
    last = next((e for e in reversed(recorded.events) if _is_fit_error(e)), None)
    message = scheduled.get("message") or (last.message if last else "")
    source = "PodScheduled" if scheduled.get("message") else "FailedScheduling"
    when = last.t if last else 0
    if not message:
        yield Hop(SCHEDULER, "no scheduler has said anything about the pod", "unassigned")
        return
    by_family: dict[str, list[str]] = {}
    for count, reason in fit_reasons(message):
        counted = f"{count} nodes: {reason}" if count else reason
        by_family.setdefault(family(reason) or "other", []).append(counted)
    if not by_family:
        yield Hop(SCHEDULER, message, "other", source, when)
    for name, reasons in by_family.items():
        yield Hop(SCHEDULER, ", ".join(reasons), name, source, when)
    if any(taint in message for taint in _NOT_READY) or "untolerated taint(s)" in message:
        nodes = [i["entity"] for i in recorded.incidents if _of_nodes(i["entity"])]
        if nodes:
            says = f"taints of nodes that are not ready count among these; see {', '.join(nodes)}"
            yield Hop(SCHEDULER, says, "node-not-ready", "incidents")


def _is_fit_error(event: PodEvent) -> bool:
    return event.reason == "FailedScheduling" and bool(fit_reasons(event.message))


def _of_nodes(entity: str) -> bool:
    return entity.split("/", 1)[0] in ("node", "zone", "cluster")


def _autoscaler(recorded: Recorded) -> Iterator[Hop]:
    said = [event for event in recorded.events if _is_of_autoscaler(event)]
    if not said:
        yield Hop(AUTOSCALER, "no autoscaler has said anything about the pod", "silent")
    for event in said[-1:]:
        source = f"{event.reason} of {event.component or 'an autoscaler'}"
        if event.reason in _HELPS:
            yield Hop(AUTOSCALER, event.message, "asked-for-a-node", source, event.t)
            yield from _claim(event.message, recorded.claims)
            continue
        reasons = _reasons(event)
        yield Hop(AUTOSCALER, event.message, ", ".join(reasons), source, event.t)
        if "limits" in reasons and recorded.pools:
            specs = [pool.get("spec") or {} for pool in recorded.pools]
            truth = truly(wish_of(recorded.pod), specs)
            if truth and truth != reasons:
                says = "whatever the limits, no pool would take the pod"
                yield Hop(AUTOSCALER, says, ", ".join(truth), "NodePools")
    for group in recorded.groups[1:]:
        if group.scale_up == "Backoff":
            words = " ".join(filter(None, (group.error_code, group.error_message)))
            says = f"node group {group.name} is left alone after a failure: {words or 'no reason'}"
            yield Hop(AUTOSCALER, says, "backoff", "cluster-autoscaler-status")
    for stock in recorded.stocks:
        yield Hop(AUTOSCALER, stock.says(), stock.word, f"{stock.pool}{SUFFIX}")
    for event in recorded.restocked:
        yield Hop(AUTOSCALER, event.message, "stock", event.reason, event.t)


def _reasons(event: PodEvent) -> list[str]:
    if event.reason == "ProvisionNodeFailed":
        return provision_failed(event.message)
    return not_triggered(event.message) or karpenter(event.message)


def _is_of_autoscaler(event: PodEvent) -> bool:
    if event.reason in _HELPS or event.reason in ("NotTriggerScaleUp", "ProvisionNodeFailed"):
        return True
    return event.reason == "FailedScheduling" and bool(karpenter(event.message))


def _claim(message: str, claims: Sequence[Object]) -> Iterator[Hop]:
    """How far the machine is that Karpenter asked for."""
    for claim in claims:
        name = claim["metadata"]["name"]
        if name not in message:
            continue
        conditions = {c["type"]: c for c in (claim.get("status") or {}).get("conditions") or ()}
        for step in ("Launched", "Registered", "Initialized"):
            condition = conditions.get(step) or {}
            if condition.get("status") != "True":
                why = condition.get("message") or condition.get("reason") or "nothing said"
                yield Hop(AUTOSCALER, f"{name} is not {step}: {why}", step.lower(), "NodeClaim")
                return
        yield Hop(AUTOSCALER, f"{name} is Initialized", "initialized", "NodeClaim")


_OF_PROVIDER = ("Provider", "NoStock", "Stock", "InsufficientBalance", "DiskCapacityQuotaFull")


def _provider(recorded: Recorded) -> Iterator[Hop]:
    """What a virtual node's provider said last."""
    said = [event for event in recorded.events if event.reason.startswith(_OF_PROVIDER)]
    for event in said[-1:]:
        yield Hop(PROVIDER, event.message, event.reason, event.reason, event.t)


def _limits(recorded: Recorded) -> Iterator[Hop]:
    for pool in recorded.pools:
        used = (pool.get("status") or {}).get("resources") or {}
        for name, limit in ((pool.get("spec") or {}).get("limits") or {}).items():
            says = f"NodePool {pool['metadata']['name']}: {name} {used.get(name, '?')} of {limit}"
            if _reached(used.get(name), limit):
                yield Hop(LIMITS, says, "limit-reached", "NodePool")
            else:
                yield Hop(LIMITS, says, "limit", "NodePool")
    for group in recorded.groups[1:]:
        if group.target is not None and group.max_size is not None:
            full = group.target >= group.max_size
            says = f"node group {group.name}: {group.target} of {group.max_size} nodes"
            word = "max-size" if full else "size"
            yield Hop(LIMITS, says, word, "cluster-autoscaler-status")
    for quota in recorded.quotas:
        status = quota.get("status") or {}
        for name, hard in (status.get("hard") or {}).items():
            used = (status.get("used") or {}).get(name)
            if _reached(used, hard):
                says = f"ResourceQuota {quota['metadata']['name']}: {name} {used} of {hard}"
                more = f"{says}; more pods that need it are refused, this one is counted"
                yield Hop(LIMITS, more, "quota-reached", "ResourceQuota")
    yield from _defaults(recorded)
    if not recorded.quotas and not recorded.ranges:
        says = "no ResourceQuota or LimitRange of the namespace is recorded; none is assumed"
        yield Hop(LIMITS, says, "not-recorded")


def _defaults(recorded: Recorded) -> Iterator[Hop]:
    """Requests that nobody wrote: a LimitRange put them in, and the scheduler counts them."""
    annotations = recorded.pod["metadata"].get("annotations") or {}
    found = re.match(r"LimitRanger plugin set: (.+)", annotations.get(_LIMIT_RANGER, ""))
    if found is None:
        return
    names = ", ".join(one["metadata"]["name"] for one in recorded.ranges)
    who = f"LimitRange {names}" if names else "a LimitRange that is not recorded"
    yield Hop(LIMITS, f"{who} set {found.group(1)}", "defaulted", _LIMIT_RANGER)


def _reached(used: Any, limit: Any) -> bool:
    have, most = quantity(used), quantity(limit)
    return have is not None and most is not None and have >= most


def _incidents(recorded: Recorded) -> Iterator[Hop]:
    for body in recorded.incidents:
        because = f", because {body['because']}" if body.get("because") else ""
        says = f"{body['entity']}: {body['title']}{because} (incident {body['id']})"
        yield Hop(INCIDENTS, says, body["verdict"], "episodes", body["opened_at"])

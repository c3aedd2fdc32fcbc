"""Drains: from a node's cordon until it is removed or may be used again.

  cordoned     nothing was evicted yet
  evicting     pods leave
  blocked      pods stay BLOCKED_S after the last eviction: a PodDisruptionBudget refuses them, or
               an annotation; who is named, where that can be known
  empty        only DaemonSet and static pods are left
  removed, uncordoned    the end

A refused eviction leaves no trace in any object; it shows as a pod that stays while its neighbours
go. Whether a budget stands in the way is known only where budgets are watched; if they are not,
one is inferred, and that is said. Critical pods are evicted last, by some (Karpenter).
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.contract.facts import DRAIN, Fact
from pipeline.elasticity.budgets import Budgets
from pipeline.elasticity.inventory import (
    CORDON,
    CRITICAL,
    DAEMON,
    KEPT,
    Inventory,
    NodeThere,
    PodThere,
)
from pipeline.readiness.world import node_entity

BLOCKED_S = 10  # `kubectl drain` asks again each 5 s, cluster-autoscaler and Karpenter each 10 s
NOT_RECORDED = "a PodDisruptionBudget that was not recorded"
CORDONED, EVICTING, BLOCKED, EMPTY = "cordoned", "evicting", "blocked", "empty"
REMOVED, UNCORDONED = "removed", "uncordoned"

# Events about a node that say how its scale-down went (cluster-autoscaler, Karpenter).
REASONS = frozenset(
    ("ScaleDown", "ScaleDownFailed", "FailedDraining", "DisruptionBlocked", "DisruptionTerminating")
)
_SAID = 5  # of these are kept


@dataclass(slots=True)
class Stay:
    """A pod that could not be evicted. `by`: budgets, or what else keeps it; empty: unknown."""

    pod: str
    since: int
    by: list[str]
    until: int | None = None


@dataclass(slots=True)
class Drain:
    """Times are Unix ms."""

    id: str
    node: str
    pool: str
    by: str  # NodeThere.cordoned
    started_at: int
    offset: int  # of the record that showed it
    version: int = 0
    status: str = CORDONED
    evicted: list[dict[str, Any]] = field(default_factory=list)  # {pod, at, how}
    blocked: list[Stay] = field(default_factory=list)
    said: list[dict[str, Any]] = field(default_factory=list)  # {at, reason, message}
    emptied_at: int | None = None
    ended_at: int | None = None
    stale: bool = True  # has news that no fact tells


@dataclass(slots=True)
class DrainsState:
    open: dict[str, Drain] = field(default_factory=dict)  # by node


class Drains:
    def __init__(self, state: DrainsState, inventory: Inventory, budgets: Budgets) -> None:
        self.state = state
        self._inventory = inventory
        self._budgets = budgets

    def node(self, name: str, after: NodeThere | None, t: int, offset: int) -> Iterator[Fact]:
        """A version of a node; None: it is gone."""
        drain = self.state.open.get(name)
        if drain is None:
            if after is not None and after.cordoned:
                started = min(after.cordoned_ms or t, t)
                drain = Drain(
                    f"{name}:{started}", name, after.pool, after.cordoned, started, offset
                )
                self.state.open[name] = drain
                yield _fact(drain, t)
            return
        if after is not None and after.cordoned:
            drain.by = after.cordoned if drain.by == CORDON else drain.by
            return
        drain.status, drain.ended_at = (REMOVED if after is None else UNCORDONED), t
        for stay in drain.blocked:
            stay.until = stay.until or t
        del self.state.open[name]
        yield _fact(drain, t)

    def pod(self, pod: PodThere, conditions: Any, t: int) -> None:
        """A version of a pod on a node that is drained."""
        drain = self.state.open[pod.node]
        target = next((c for c in conditions or () if c.get("type") == "DisruptionTarget"), None)
        if target is None or target.get("status") != "True":
            return
        if any(found["pod"] == pod.name for found in drain.evicted):
            return
        drain.evicted.append({"pod": pod.name, "at": t, "how": str(target.get("reason", ""))})
        for stay in drain.blocked:
            if stay.pod == pod.name and stay.until is None:
                stay.until = t
        drain.stale = True

    def said(self, node: str, t: int, reason: str, message: str) -> None:
        drain = self.state.open.get(node)
        if drain is not None:
            drain.said = [*drain.said, {"at": t, "reason": reason, "message": message}][-_SAID:]
            drain.stale = True

    def tick(self, t: int) -> Iterator[Fact]:
        for drain in self.state.open.values():
            self._look(drain, t)
            if drain.stale:
                yield _fact(drain, t)

    def _look(self, drain: Drain, t: int) -> None:
        there = [pod for pod in self._inventory.pods_on(drain.node) if pod.kind != DAEMON]
        status = self._status(drain, there, t)
        if status == drain.status:
            return
        drain.status, drain.stale = status, True
        drain.emptied_at = t if status == EMPTY else None

    def _status(self, drain: Drain, there: list[PodThere], t: int) -> str:
        if not there:
            return EMPTY
        if not drain.evicted:
            return CORDONED
        gone = {found["pod"] for found in drain.evicted}
        waiting = [pod for pod in there if not pod.leaving and pod.name not in gone]
        if len(waiting) < len(there):  # while others leave, the critical ones wait for them
            waiting = [pod for pod in waiting if pod.kind != CRITICAL]
        if not waiting or t - drain.evicted[-1]["at"] < BLOCKED_S * 1000:
            return EVICTING
        known = {stay.pod for stay in drain.blocked if stay.until is None}
        for pod in waiting:
            if pod.name not in known:
                stay = Stay(pod.name, drain.evicted[-1]["at"], self._keepers(pod))
                drain.blocked.append(stay)
                drain.stale = True
        return BLOCKED

    def _keepers(self, pod: PodThere) -> list[str]:
        if pod.kind == KEPT:
            return ["annotation karpenter.sh/do-not-disrupt"]
        found = self._budgets.blocking(pod.name, pod.labels)
        return found if found or self._budgets.state.watched else [NOT_RECORDED]


def _fact(drain: Drain, t: int) -> Fact:
    drain.version += 1
    drain.stale = False
    body = asdict(drain)
    del body["stale"]
    body["blocked_by"] = sorted({keeper for stay in drain.blocked for keeper in stay.by})
    return Fact(DRAIN, t, node_entity(drain.node), f"drain:{drain.id}:{drain.version}", body)

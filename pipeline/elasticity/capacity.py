"""The fold of capacity: requested against allocatable by node pool, HPAs by the minute, drains.

Deterministic as every fold (pipeline/base/fold.py). A minute is over at the first tick in the next
one; a fact then says the figures at that moment, `t` is the boundary. It is written when a figure
has changed, and every REPEAT_MINUTES: what lies between two facts is as the earlier one says.

`usable` is allocatable of nodes that are Ready and not cordoned. `lost` is allocatable of nodes
that are not Ready: nobody took that away on purpose.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import TypeAdapter

from pipeline.base.fold import versioned
from pipeline.contract.facts import CAPACITY, Fact
from pipeline.contract.state import DELETED, EVENT, OBJECT, OK, SYNCED, TICK, StateEvent
from pipeline.elasticity.budgets import BUDGETS, Budgets, BudgetsState
from pipeline.elasticity.demand import HPAS
from pipeline.elasticity.drains import REASONS, Drains, DrainsState
from pipeline.elasticity.hpa_minutes import HOUR_MS, KINDS, HpaMinutes, HpaMinutesState
from pipeline.elasticity.inventory import Inventory, InventoryState
from pipeline.elasticity.pools import Figures, no_figures, pool_figures
from pipeline.readiness.world import object_entity

SNAPSHOT_VERSION = 2
REPEAT_MINUTES = 10
MINUTE_MS = 60_000
SHORT_LIFE_MS = 30 * 60_000  # a node that is added and removed within this was not needed
READS = frozenset(("pods", "nodes", HPAS, BUDGETS, *KINDS))
NODE_POOL = "nodepool/"  # of entities; of an HPA it is its own


@dataclass(slots=True)
class _State:
    inventory: InventoryState = field(default_factory=InventoryState)
    budgets: BudgetsState = field(default_factory=BudgetsState)
    drains: DrainsState = field(default_factory=DrainsState)
    hpas: HpaMinutesState = field(default_factory=HpaMinutesState)
    short: dict[str, list[int]] = field(default_factory=dict)  # pool -> ends of short lives
    told: dict[str, Figures] = field(default_factory=dict)  # entity -> figures of its last fact
    minute: int = 0


_STATE: TypeAdapter[_State] = TypeAdapter(_State)


class Capacity:
    """One cluster."""

    KINDS = frozenset((OBJECT, SYNCED, EVENT, TICK))

    def __init__(self) -> None:
        self._take(_State())

    def apply(self, event: StateEvent, offset: int, gone: Sequence[StateEvent] = ()) -> list[Fact]:
        if not _concerns(event):
            return []
        if event.kind == OBJECT:
            return self._object(event, offset)
        if event.kind == SYNCED:
            return self._synced(event, offset, gone)
        if event.kind == EVENT:
            body = event.body
            self._drains.said(
                body["object"]["name"], event.t, body["reason"], str(body.get("message", ""))
            )
            return []
        facts = list(self._drains.tick(event.t))
        minute = event.t // MINUTE_MS
        if self._state.minute and minute > self._state.minute:
            facts += self._minute(minute)
        self._state.minute = max(minute, self._state.minute)
        return facts

    def dump(self) -> bytes:
        """All state; the same state is the same bytes."""
        return orjson.dumps({"version": SNAPSHOT_VERSION, "state": self._state})

    def restore(self, data: bytes) -> None:
        """Continue from a dump. Raises UsageError if it is of another version."""
        document = versioned(orjson.loads(data), SNAPSHOT_VERSION)
        self._take(_STATE.validate_python(document["state"]))

    def _take(self, state: _State) -> None:
        self._state = state
        self._inventory = Inventory(state.inventory)
        self._budgets = Budgets(state.budgets)
        self._drains = Drains(state.drains, self._inventory, self._budgets)
        self._hpas = HpaMinutes(state.hpas)

    def _synced(self, event: StateEvent, offset: int, gone: Sequence[StateEvent]) -> list[Fact]:
        if event.body["resource"] == BUDGETS:
            self._state.budgets.watched = event.body.get("outcome") == OK
        return [fact for deletion in gone for fact in self._object(deletion, offset)]

    def _object(self, event: StateEvent, offset: int) -> list[Fact]:
        body = event.body
        resource, deleted, obj = body["resource"], body["type"] == DELETED, body["object"]
        if "cut" in body and not deleted:
            return []  # metadata alone: what was known of it stays
        if resource == "pods":
            pod = self._inventory.pod(deleted, obj)
            if pod is not None and pod.node in self._state.drains.open:
                self._drains.pod(pod, (obj.get("status") or {}).get("conditions"), event.t)
        elif resource == "nodes":
            return self._node(deleted, obj, event.t, offset)
        elif resource == HPAS:
            self._hpas.hpa(deleted, obj, event.t)
        elif resource == BUDGETS:
            self._budgets.see(deleted, obj)
        else:
            self._hpas.workload(resource, deleted, obj)
        return []

    def _node(self, deleted: bool, obj: Any, t: int, offset: int) -> list[Fact]:
        before, after = self._inventory.node(deleted, obj)
        created = before.created_ms if before is not None and after is None else 0
        if before is not None and created and t - created < SHORT_LIFE_MS:
            self._state.short.setdefault(before.pool, []).append(t)
        return list(self._drains.node(obj["metadata"]["name"], after, t, offset))

    def _minute(self, minute: int) -> list[Fact]:
        t = minute * MINUTE_MS
        facts = []
        told, self._state.told = self._state.told, {}
        for entity, figures in self._all(t):
            last = told.get(entity)
            repeated = minute // REPEAT_MINUTES > self._state.minute // REPEAT_MINUTES
            if figures != last or repeated or figures.get("maxed_s"):
                facts.append(Fact(CAPACITY, t, entity, f"capacity:{entity}:{minute}", figures))
            self._state.told[entity] = figures
        for entity in sorted(told.keys() - self._state.told.keys()):
            if entity.startswith(NODE_POOL):  # the pool is gone: once more, with zeros
                figures = no_figures(told[entity]["pool"])
                facts.append(Fact(CAPACITY, t, entity, f"capacity:{entity}:{minute}", figures))
        return facts

    def _all(self, t: int) -> Iterator[tuple[str, Figures]]:
        self._short_lives(t)
        for pool, figures in sorted(pool_figures(self._state.inventory, self._state.short).items()):
            yield f"{NODE_POOL}{pool}", figures
        for hpa, figures in self._hpas.minute(t):
            yield object_entity("HorizontalPodAutoscaler", hpa.namespace, hpa.name), figures

    def _short_lives(self, t: int) -> None:
        short = {
            pool: [end for end in ends if end > t - HOUR_MS]
            for pool, ends in self._state.short.items()
        }
        self._state.short = {pool: ends for pool, ends in short.items() if ends}


def _concerns(event: StateEvent) -> bool:
    if event.kind in (OBJECT, SYNCED):
        return event.body["resource"] in READS
    if event.kind == EVENT:
        body = event.body
        return body.get("reason") in REASONS and body["object"].get("kind") == "Node"
    return event.kind == TICK

"""The flight recorder: every scaling decision, with a timeline for each pod that it caused.

A fold of its own beside readiness: state', facts = fold(state, event), deterministic; repeats do
not come here (pipeline/base/seen.py). The way of an event:

  reading   what a version or an Event says         reading.py: wanting.py, sights.py, nodes.py
  causes    which decision caused which pod         causes.py: choices.py, slots.py, decisions.py
  say       versions of decisions, bounded          say.py: timeline.py, moment.py

Only pods, what makes and scales them, nodes, and a few Events are read; the rest passes by. What is
due is said with the next object, Event or tick of whatever name: samples, most of the log, do not
come here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import TypeAdapter

from pipeline.base.fold import versioned
from pipeline.contract.facts import Fact
from pipeline.contract.state import DELETED, EVENT, OBJECT, OK, SYNCED, TICK, StateEvent
from pipeline.elasticity.scaling.causes import Causes
from pipeline.elasticity.scaling.choices import CausesState, Instant
from pipeline.elasticity.scaling.decisions import (
    DONE,
    FORGET_MS,
    GRACE_MS,
    OPEN,
    STUCK,
    STUCK_MS,
    Decision,
)
from pipeline.elasticity.scaling.nodes import Nodes, NodesState
from pipeline.elasticity.scaling.reading import RESOURCES, Reading, ReadingState
from pipeline.elasticity.scaling.say import Say, SayState
from pipeline.elasticity.scaling.sights import REASONS
from pipeline.elasticity.scaling.wanting import Wanting, WantingState

SNAPSHOT_VERSION = 2
_REASONS = REASONS | {"SuccessfulRescale", "EvictedByVPA"}


@dataclass(slots=True)
class _State:
    reading: ReadingState
    wanting: WantingState
    causes: CausesState
    nodes: NodesState
    say: SayState
    now: int


_STATE: TypeAdapter[_State] = TypeAdapter(_State)


class Scaling:
    """One cluster."""

    KINDS = frozenset((OBJECT, SYNCED, EVENT, TICK))

    def __init__(self) -> None:
        self._take(
            _State(
                ReadingState(),
                WantingState(),
                CausesState(),
                NodesState(),
                SayState(),
                0,
            )
        )

    def apply(self, event: StateEvent, offset: int, gone: Sequence[StateEvent] = ()) -> list[Fact]:
        """Versions of decisions that are due with this event, in a fixed order."""
        self.at.t = now = max(self.at.t, event.t)
        self.at.offset, self.at.version = offset, 0
        if self._concerns(event):
            self._read(event, gone)
        if now < self.say.state.due:
            return []
        return self.say.flush(self.causes.state.decisions, self.causes.state.timelines, now, offset)

    def _concerns(self, event: StateEvent) -> bool:
        kind = event.kind
        if kind in (OBJECT, SYNCED):
            return event.body["resource"] in RESOURCES
        return kind == TICK or (kind == EVENT and event.body.get("reason") in _REASONS)

    def _read(self, event: StateEvent, gone: Sequence[StateEvent]) -> None:
        body = event.body
        if event.kind == OBJECT:
            self._object(body)
        elif event.kind == EVENT:
            self.reading.event(body)
        elif event.kind == SYNCED:
            for deletion in gone:
                self._object(deletion.body)
            if body["resource"] == "pods" and body.get("outcome") == OK and "uids" in body:
                self.reading.state.listed = True
        else:
            self._tick()

    def _object(self, body: Any) -> None:
        if body.get("replaced") and body["resource"] != "pods":
            return  # what has its name now is another object; pods are known by uid
        if body["type"] == DELETED:
            self.reading.deleted(body["resource"], body["object"])
        else:
            self.reading.version(body["resource"], body["type"], body["object"])

    def _tick(self) -> None:
        self.causes.settle()
        self.reading.tick()
        now = self.at.t
        for decision in list(self.causes.state.decisions.values()):
            if decision.status == OPEN and now - decision.touched >= STUCK_MS:
                decision.status = STUCK
                self.say.mark(decision, now)
            elif decision.id not in self.say.state.when and self._over(decision):
                self._forget(decision)

    def _over(self, decision: Decision) -> bool:
        now = self.at.t
        if decision.status == DONE:
            return now - decision.ended >= GRACE_MS
        return decision.status == STUCK and now - decision.touched >= FORGET_MS

    def _forget(self, decision: Decision) -> None:
        """Nothing can come of it any more."""
        state = self.causes.state
        del state.decisions[decision.id]
        self.say.rollups.forget(decision.id)
        controller = state.controllers.get(decision.controller)
        if controller is not None:
            controller.decisions.pop(decision.id, None)
        for uid in decision.pods:
            state.timelines.pop(uid, None)
            state.homes.pop(uid, None)

    def dump(self) -> bytes:
        """All state, in one deterministic text."""
        state = _State(
            self.reading.state,
            self.wanting.state,
            self.causes.state,
            self.nodes.state,
            self.say.state,
            self.at.t,
        )
        core = _STATE.dump_python(state, mode="json")
        return orjson.dumps({"version": SNAPSHOT_VERSION, "core": core})

    def restore(self, data: bytes) -> None:
        """Continue from a snapshot. Raises UsageError if it is of another version."""
        document = versioned(orjson.loads(data), SNAPSHOT_VERSION)
        self._take(_STATE.validate_python(document["core"]))

    def _take(self, state: _State) -> None:
        self.say = Say(state.say)
        self.nodes = Nodes(state.nodes)
        self.at = Instant(state.now)
        self.causes = Causes(state.causes, self.at, self.say)
        self.wanting = Wanting(state.wanting, self.causes)
        self.reading = Reading(state.reading, self.causes, self.wanting, self.nodes)


def open_scaling() -> Scaling:
    return Scaling()

"""Which decision the next pod of growth belongs to, and decisions opened.

A pod is only of a decision that was taken before it was made. Pods of a new template are of its
rollout, all others of the oldest decision that still waits for some.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b

from pipeline.elasticity.scaling import decisions as by
from pipeline.elasticity.scaling.decisions import Claim, Decision
from pipeline.elasticity.scaling.moment import Moment, observed
from pipeline.elasticity.scaling.say import Say
from pipeline.elasticity.scaling.slots import SETTLE_MS, Controller, PodSet
from pipeline.elasticity.scaling.timeline import Timeline

_BY_PODS = (by.ROLLOUT, by.UNKNOWN, by.VPA)  # the record that opens it is one of a pod
_CHANGED_MS = 60_000  # a template that changed longer ago is of an earlier rollout


@dataclass(slots=True)
class Instant:
    """Of the event in hand: its time, its place on the log, and the resourceVersion of the object
    (0: it has none)."""

    t: int = 0
    offset: int = 0
    version: int = 0


@dataclass(slots=True)
class CausesState:
    controllers: dict[str, Controller] = field(default_factory=dict)
    sets: dict[str, PodSet] = field(default_factory=dict)
    unsettled: dict[str, None] = field(default_factory=dict)  # sets with pods that wait
    ending: dict[str, int] = field(default_factory=dict)  # deleted controllers -> since when
    idle: dict[str, int] = field(default_factory=dict)  # sets without pods -> since when
    decisions: dict[str, Decision] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    evictions: dict[str, Moment] = field(default_factory=dict)  # uid -> when VPA evicted it
    timelines: dict[str, Timeline] = field(default_factory=dict)  # of pods that are not done with
    homes: dict[str, str] = field(default_factory=dict)  # uid -> decision, of these


class Choices:
    def __init__(self, state: CausesState, at: Instant, say: Say) -> None:
        self.state = state
        self.at = at
        self.say = say

    def of(self, controller: Controller) -> Iterator[Decision]:
        return (self.state.decisions[name] for name in controller.decisions)

    def expecting(self, pods: PodSet, uid: str) -> Decision | None:
        """The decision that this pod of growth belongs to."""
        controller = self.state.controllers[pods.controller]
        version = self.state.timelines[uid].version
        due = [d for d in self.of(controller) if d.expects(version)]
        rollout = next((d for d in due if d.by == by.ROLLOUT and d.part == pods.key), None)
        if rollout is not None:
            return rollout
        scaled = next((d for d in due if d.by != by.ROLLOUT), None)
        if not controller.current or controller.current == pods.key:
            return scaled
        others = any(
            s.slots for s in (self.state.sets[key] for key in controller.sets if key != pods.key)
        )
        if pods.slots > 0 or (scaled is not None and not others):
            return scaled
        return self.rollout(controller, pods, uid)

    def rollout(self, controller: Controller, pods: PodSet, uid: str) -> Decision:
        """Pods of a new template: it replaces those of the old one."""
        for old in self.of(controller):
            if old.by == by.ROLLOUT:
                old.forgo(0, 0)
        slots = sum(self.state.sets[key].slots for key in controller.sets)
        number = controller.desired_at(self.state.timelines[uid].version) or slots
        decided = None
        if controller.changed_t and self.at.t - controller.changed_t < _CHANGED_MS:
            what = "metadata.generation"
            decided = observed(0, controller.changed_t, controller.changed_offset, what)
            controller.changed_t = 0  # one change, one rollout
        decision = self.open(controller, (by.ROLLOUT, ""), number, number, decided)
        decision.part, decision.due = pods.key, number
        if controller.wishes and (controller.desired or 0) < number:  # since then fewer are wanted
            decision.forgo(controller.desired or 0, controller.wishes[-1][0])
        return decision

    def inferred(self, controller: Controller, pods: PodSet, uid: str) -> Decision:
        """Nothing that was seen explains it."""
        if controller.current not in ("", pods.key) and pods.slots == 0:
            return self.rollout(controller, pods, uid)
        number = sum(self.state.sets[key].filled for key in controller.sets)
        for decision in self.of(controller):
            if decision.by == by.UNKNOWN and self.at.t - decision.touched <= SETTLE_MS:
                decision.high = max(decision.high, number + 1)
                return decision
        created = self.state.timelines[uid].steps["created"]
        decision = self.open(controller, (by.UNKNOWN, ""), number, number + 1, None)
        decision.at = created.t
        return decision

    def owed_before(self, controller: Controller) -> bool:
        if controller.baseline is None or controller.desired != controller.baseline:
            return False
        filled = sum(self.state.sets[key].filled for key in controller.sets)
        return filled < controller.baseline

    def open(
        self, controller: Controller, author: tuple[str, str], low: int, high: int,
        decided: Moment | None,
    ) -> Decision:  # fmt: skip
        number = len(controller.decisions)
        name = f"{controller.entity}:{self.at.offset}:{author[0]}:{low}:{high}:{number}"
        made = Decision(
            blake2b(name.encode(), digest_size=6).hexdigest(), controller.entity,
            controller.workload, author[0], low, high, decided.t if decided else self.at.t,
            who=author[1], decided=decided, touched=self.at.t,
            since=self.at.version if author[0] not in _BY_PODS else 0,
        )  # fmt: skip
        self.state.decisions[made.id] = made
        controller.decisions[made.id] = None
        self.say.mark(made, self.at.t)
        return made

    def give_up(self, controller: Controller, number: int) -> None:
        """Fewer are wanted: what is due above that will not come."""
        sets = [self.state.sets[key] for key in controller.sets]
        for pods in sets:
            pods.limit(number, self.at.version, self.at.t)  # its ReplicaSet may say less, later
        left = max(0, number - sum(pods.filled for pods in sets))
        for decision in self.of(controller):
            if decision.by == by.ROLLOUT:
                part = self.state.sets.get(decision.part)
                decision.forgo(max(0, number - (part.filled if part else 0)), self.at.version)
            elif decision.due:
                decision.forgo(left, self.at.version)
                left -= decision.due
                self.say.mark(decision, self.at.t)

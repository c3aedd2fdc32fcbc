"""Which decision caused which pod: every pod that was created has one, or a reason for having none.

  caused       growth of a set: the number wanted rose, the template changed, nodes came, or (VPA)
               the pod that it replaces was evicted to be made anew with other requests
  not caused   it existed before; it has no controller; it replaces a pod that was deleted, evicted
               or failed; it was wanted before the first event

slots.py tells growth from replacement. Growth that no decision is seen for still has one, of which
nothing is known but the pods: the stream that would show it is missing.
"""

from pipeline.elasticity.scaling import decisions as by
from pipeline.elasticity.scaling.choices import CausesState, Choices, Instant
from pipeline.elasticity.scaling.decisions import Claim, Decision
from pipeline.elasticity.scaling.moment import Moment, observed
from pipeline.elasticity.scaling.say import Say
from pipeline.elasticity.scaling.slots import FINISHED, SETTLE_MS, Controller, PodSet
from pipeline.elasticity.scaling.timeline import Timeline

UNDECIDED = "not decided yet"
_EVICTIONS_MS = 600_000
_IDLE_MS = 600_000  # an old template, or a controller that is not watched


class Causes:
    def __init__(self, state: CausesState, at: Instant, say: Say) -> None:
        self.state = state
        self.at = at
        self.say = say
        self.choices = Choices(state, at, say)

    # What is wanted

    def wanted(
        self, controller: Controller, number: int, *, decided: Moment, author: tuple[str, str],
        due: int | None = None,
    ) -> None:  # fmt: skip
        """The controller wants so many from now on. `due`: pods that it will make for that, if
        these are not simply the difference."""
        low = controller.desired or 0
        controller.wish(number, self.at.version)
        if number == low:
            return
        decision = self.choices.open(controller, author, low, number, decided)
        if number > low:
            decision.due = number - low if due is None else due
        else:
            self.choices.give_up(controller, number)
            decision.status, decision.ended = by.DONE, self.at.t
        for claim in self.state.claims:
            if by.settles(decision, claim):
                break
        self.resolve(controller)

    def changed(self, controller: Controller) -> None:
        """Something else of its spec changed: it may be the template."""
        for decision in self.choices.of(controller):
            if decision.by == by.ROLLOUT and decision.decided is None:
                decision.decided = observed(0, self.at.t, self.at.offset, "metadata.generation")
                self.say.mark(decision, self.at.t)
                return
        controller.changed_t, controller.changed_offset = self.at.t, self.at.offset

    def claim(self, claim: Claim) -> None:
        """An autoscaler says what it did."""
        self.state.claims = [c for c in self.state.claims if self.at.t - c.moment.t <= by.NEAR_MS]
        self.state.claims.append(claim)
        controller = self.state.controllers.get(claim.controller)
        if controller is None:
            return
        for decision in reversed(list(self.choices.of(controller))):
            if by.settles(decision, claim):
                self.say.mark(decision, self.at.t)
                return

    def gone(self, controller: Controller) -> None:
        """It was deleted; so will be its pods."""
        for decision in self.choices.of(controller):
            decision.forgo(0, self.at.version)
        controller.wish(0, self.at.version)
        controller.desired, controller.baseline, controller.uid = None, None, ""
        controller.ended = True
        self.state.ending[controller.entity] = self.at.t
        for key in list(controller.sets):
            self.drop_if_empty(self.state.sets[key])

    # Pods

    def came(self, timeline: Timeline, pods: PodSet) -> None:
        """A new pod."""
        pods.came(timeline.uid, timeline.version, self.at.t)
        self.state.timelines[timeline.uid] = timeline
        self.resolve_set(pods)
        if timeline.uid not in self.state.homes:
            self.state.unsettled[pods.key] = None
            self.say.excuse(self._workload(pods), timeline, UNDECIDED, self.at.t)

    def lost(self, uid: str, name: str, why: str, pods: PodSet) -> None:
        """A pod does not count any more."""
        if why == FINISHED and not pods.controller.startswith("job/"):
            why = "ended"
        pods.lost(uid, name, why, self.at.version, self.at.t)
        self.drop_if_empty(pods)

    def drop_if_empty(self, pods: PodSet) -> None:
        """Soon: what is told late may need it."""
        if pods.empty:
            self.state.idle.setdefault(pods.key, self.at.t)

    def _drop_idle(self) -> None:
        for key, since in list(self.state.idle.items()):
            pods = self.state.sets[key]
            controller = self.state.controllers[pods.controller]
            if not pods.empty:
                del self.state.idle[key]
            elif self.at.t - since > _IDLE_MS or (
                self.at.t - since > SETTLE_MS and (controller.ended or not pods.losses)
            ):
                for memory in (controller.sets, self.state.sets, self.state.unsettled):
                    memory.pop(key, None)
                del self.state.idle[key]
                if not (controller.sets or controller.uid or controller.ended):
                    self.state.controllers.pop(controller.entity, None)

    def settle(self) -> None:
        """Time has passed: pods that waited long enough are decided, and so is who scaled."""
        for decision in self.state.decisions.values():
            unclaimed = decision.by == by.UNKNOWN and decision.decided is not None
            if unclaimed and self.at.t - decision.at > by.NEAR_MS:
                decision.by = by.MANUAL
                self.say.mark(decision, self.at.t)
        for key in list(self.state.unsettled):
            pods = self.state.sets[key]
            while uid := pods.waits:
                if self.at.t - self.state.timelines[uid].first < SETTLE_MS:
                    break
                self._decide(pods, uid)
            if not pods.queue:
                self.state.unsettled.pop(key, None)
                self.drop_if_empty(pods)
        self._drop_idle()
        for entity in [e for e, t in self.state.ending.items() if self.at.t - t > SETTLE_MS]:
            ended = self.state.controllers[entity]  # its pods have been told by now
            if not ended.ended or not ended.sets:
                del self.state.ending[entity]
                if ended.ended:
                    del self.state.controllers[entity]
        old = [u for u, m in self.state.evictions.items() if self.at.t - m.t > _EVICTIONS_MS]
        for uid in old:
            del self.state.evictions[uid]

    def resolve(self, controller: Controller) -> None:
        for key in list(controller.sets):
            self.resolve_set(self.state.sets[key])

    def resolve_set(self, pods: PodSet) -> None:
        """Give the growth among the waiting pods to the decisions that expect it."""
        while uid := pods.growth():
            decision = self.choices.expecting(pods, uid)
            if decision is None:
                return
            self._assign(decision, pods, uid)

    # One pod's cause

    def _decide(self, pods: PodSet, uid: str) -> None:
        """It has waited long enough."""
        controller = self.state.controllers[pods.controller]
        if pods.losses:
            self._replaced(controller, pods, uid)
            return
        decision = self.choices.expecting(pods, uid)
        if decision is None and self.choices.owed_before(controller):
            pods.grow(uid, self.at.t)
            self._excuse(pods, uid, "was wanted before the first event")
            return
        self._assign(decision or self.choices.inferred(controller, pods, uid), pods, uid)

    def _replaced(self, controller: Controller, pods: PodSet, uid: str) -> None:
        loss = pods.refill(uid, self.at.t)
        evicted = self.state.evictions.get(loss.uid)
        if evicted is None:
            self._excuse(pods, uid, f"replaces {loss.name}, which was {loss.why}")
            return
        number = controller.desired or pods.slots
        author = (by.VPA, "")
        decision = self.choices.open(controller, author, number, number, evicted)
        decision.why = f"{loss.name} was evicted to change its requests"
        self._home(decision, uid)

    def _assign(self, decision: Decision, pods: PodSet, uid: str) -> None:
        pods.grow(uid, self.at.t)
        decision.take(self.state.timelines[uid].version)
        self.state.controllers[pods.controller].current = pods.key
        self._home(decision, uid)

    def _home(self, decision: Decision, uid: str) -> None:
        self.state.homes[uid] = decision.id
        decision.pods[uid] = None
        decision.touched = self.at.t
        self.say.take_back(decision.workload, uid)
        self.say.mark(decision, self.at.t, uid)

    def _excuse(self, pods: PodSet, uid: str, reason: str) -> None:
        timeline = self.state.timelines.pop(uid)
        self.say.excuse(self._workload(pods), timeline, reason, self.at.t)

    # Decisions

    def _workload(self, pods: PodSet) -> str:
        return self.state.controllers[pods.controller].workload

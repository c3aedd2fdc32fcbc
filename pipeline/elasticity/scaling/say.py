"""When a version of a decision is said, and what is in it.

The first at once; then at most one a second, and only when a pod came or ended, or the decision
changed; other steps of its pods wait for that, or LATER_MS. A version names all of the decision but
only the pods that changed since the last, at most PODS of them: so it is small whatever the size of
the decision, and all versions together have every pod. The latest version of a pod counts.

Pods that no decision caused are said in the same way, by workload, as `by: none`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.contract.facts import NO_SCALING, SCALING, Fact
from pipeline.elasticity.scaling.decisions import DONE, OPEN, Decision
from pipeline.elasticity.scaling.rollup import Rollups
from pipeline.elasticity.scaling.timeline import (
    FINAL,
    NOT_CAUSED,
    Timeline,
)

SOON_MS = 1000
LATER_MS = 10_000
PODS = 100
EXCUSES = 2_000  # pods without a decision that wait to be said: a first list has all there are
NEVER = 1 << 62


@dataclass(slots=True)
class SayState:
    changed: dict[str, dict[str, None]] = field(default_factory=dict)  # decision -> uids to say
    when: dict[str, int] = field(default_factory=dict)  # decision -> at the latest then
    excused: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)  # workload -> uid
    excused_at: int = NEVER
    waiting: int = 0  # how many of these
    due: int = NEVER  # nothing is to be said before


class Say:
    def __init__(self, state: SayState) -> None:
        self.state = state
        self.rollups = Rollups()

    def mark(self, decision: Decision, now: int, uid: str = "", *, soon: bool = True) -> None:
        """Something to say of it, of that pod."""
        state = self.state
        uids = state.changed.setdefault(decision.id, {})
        if uid:
            uids[uid] = None
            self.rollups.moved(decision.id, uid)
        when = max(now, decision.said + SOON_MS) if soon else now + LATER_MS
        when = min(when, state.when.get(decision.id, NEVER))
        state.when[decision.id] = when
        state.due = min(state.due, when)

    def excuse(self, workload: str, timeline: Timeline, reason: str, now: int) -> None:
        """No decision caused it."""
        created = timeline.steps.get("created")
        self.state.excused.setdefault(workload, {})[timeline.uid] = {
            "uid": timeline.uid,
            "namespace": timeline.namespace,
            "name": timeline.name,
            "node": timeline.node,
            "created_at": created.t if created else None,
            "status": NOT_CAUSED,
            "reason": reason,
        }
        self.state.waiting += 1
        soon = now if self.state.waiting >= EXCUSES else now + SOON_MS
        self.state.excused_at = min(self.state.excused_at, soon)
        self.state.due = min(self.state.due, self.state.excused_at)

    def take_back(self, workload: str, uid: str) -> None:
        """A decision was found after all."""
        excused = self.state.excused.get(workload)
        if excused is not None:
            excused.pop(uid, None)

    def flush(
        self, decisions: Mapping[str, Decision], timelines: Mapping[str, Timeline], now: int,
        offset: int,
    ) -> list[Fact]:  # fmt: skip
        """What is due, in a fixed order."""
        state, facts = self.state, []
        for name in [name for name, when in state.when.items() if when <= now]:
            uids = list(state.changed.pop(name))
            del state.when[name]
            facts += self._versions(decisions[name], uids, timelines, now)
        if state.excused_at <= now:
            for workload, excused in state.excused.items():
                facts += _excuses(workload, list(excused.values()), now, offset)
            state.excused, state.excused_at, state.waiting = {}, NEVER, 0
        state.due = min(state.excused_at, *state.when.values(), NEVER)
        return facts

    def _versions(
        self, decision: Decision, uids: list[str], timelines: Mapping[str, Timeline], now: int
    ) -> list[Fact]:
        decision.said = now
        pods = [timelines[uid] for uid in decision.pods if uid in timelines]
        if decision.status != DONE and _complete(decision, pods):
            decision.status, decision.ended = DONE, now
        head = self.rollups.head(decision, pods)
        facts = []
        for at in range(0, max(1, len(uids)), PODS):
            decision.version += 1
            told = [timelines[uid] for uid in uids[at : at + PODS]]
            measured = self.rollups.measured(decision, told)
            said = [pod.document(m) for pod, m in zip(told, measured, strict=True)]
            body = {**head, "version": decision.version, "pods": said}
            name = f"{decision.id}:{decision.version}"
            facts.append(Fact(SCALING, now, decision.workload, name, body))
        return facts


def _complete(decision: Decision, pods: list[Timeline]) -> bool:
    return decision.due == 0 and all(pod.status in FINAL for pod in pods)


def _excuses(workload: str, pods: list[dict[str, Any]], now: int, offset: int) -> list[Fact]:
    facts = []
    for at in range(0, len(pods), PODS):
        name = f"none:{workload}:{offset}:{at}"
        body = {"id": name, "version": 1, "workload": workload, "by": NO_SCALING, "status": OPEN,
                "pods": pods[at : at + PODS]}  # fmt: skip
        facts.append(Fact(SCALING, now, workload, name, body))
    return facts

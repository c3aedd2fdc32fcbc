"""The pod machine: states of pods as facts, and what is wrong with them as evidence.

  Pending ─► Unschedulable ─► Initializing ─► Creating ─► NotReady ⇄ Ready ─► Terminating ─► gone
     └─► Gated                                                      └─► Succeeded | Failed

Evidence of a pod belongs to its workload; the pod is the subject. A pod that is only starting is
no incident: what a state means is said when the pod has been in it longer than a start takes
(`_PATIENCE`), and a pod that an autoscaler fetches a node for has COMING_MS more.

State per pod: where its machine is and the atoms it holds. `due` has the pods that time alone may
move, the heap the times at which they are looked at; so a tick costs what is due and no more.
Invariant: every pod in `due` has an entry in the heap with that time; other entries are stale.
"""

import heapq
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.base.times import unix_ms
from pipeline.contract.state import DELETED, EVENT, OBJECT, TICK, StateEvent
from pipeline.readiness.detect.pod_atoms import (
    ATOMS,
    EVICTED,
    NOT_READY,
    REJECTED,
    UNSCHEDULABLE,
    atoms_of,
    ended_at,
    ended_of,
    since_of,
    state_of,
)
from pipeline.readiness.detector import Scene
from pipeline.readiness.world import pod_entity

LATE_MS = 30_000  # behind deletionTimestamp, which is the end of the grace period
LOST_MS = 60_000  # a pod that was Ready and is so no more
COMING_MS = 300_000  # a new node is there within minutes, or the autoscaler is the one to ask
ENDED_TTL_MS = 600_000
OFTEN = 3  # refusals of one workload's pods; its controller mends one or two by itself

_TERMINATING = "object/pod.terminating-late"
_AWAITING = "object/pod.awaiting-node"
_REJECTED_OFTEN = "object/pod.rejected-often"
# State -> how long it may last, and what it is called from then on.
_PATIENCE = {
    "Pending": (60_000, "object/pod.unassigned"),
    "Initializing": (600_000, "object/pod.initializing-long"),
    "Creating": (600_000, "object/pod.creating-long"),
    "NotReady": (120_000, "object/pod.unready-long"),
}
_COMING = ("TriggeredScaleUp", "Nominated", "ProvisionNode")
_GIVEN_UP = ("NotTriggerScaleUp", "ProvisionNodeFailed")  # of a pod that a node was asked for
_LASTING = (EVICTED, REJECTED, _REJECTED_OFTEN, "event/pod.evicted")  # also when the pod is gone


@dataclass(slots=True)
class PodState:
    state: str
    entity: str
    since: int  # when it came into this state, Unix ms
    served: bool = False  # it was Ready once
    held: tuple[str, ...] = ()
    aged: str = ""  # what is held because the state lasts too long


@dataclass(slots=True)
class PodsState:
    pods: dict[str, PodState] = field(default_factory=dict)  # namespace/name
    due: dict[str, int] = field(default_factory=dict)  # namespace/name -> Unix ms
    heap: list[tuple[int, str]] = field(default_factory=list)
    coming: dict[str, int] = field(default_factory=dict)  # unschedulable -> node asked for at


class Pods:
    NAME = "pods"
    ATOMS: Mapping[str, str] = {
        **ATOMS,
        _TERMINATING: "the pod is still there 30 s after its grace period",
        _AWAITING: "no node fits, and an autoscaler has asked for one within the last 5 minutes",
        _REJECTED_OFTEN: "the kubelet did not admit the pod, and nothing makes up for that",
        "object/pod.unassigned": "no scheduler has said anything about the pod for a minute",
        "object/pod.initializing-long": "init containers have not ended for 10 minutes",
        "object/pod.creating-long": "containers are not created for 10 minutes",
        "object/pod.unready-long": "not ready for longer than a start takes: 2 minutes, or 1 "
        "minute where it was ready before",
    }
    READS = ((OBJECT, "pods"), (TICK, ""), *((EVENT, reason) for reason in (*_COMING, *_GIVEN_UP)))

    def __init__(self) -> None:
        self.state = PodsState()

    def see(self, event: StateEvent, scene: Scene) -> None:
        if event.kind == TICK:
            self._tick(scene)
        elif event.kind == EVENT:
            self._node_is_coming(event, scene)
        elif event.body["type"] == DELETED:
            self._gone(event.body["object"]["metadata"], scene)
        else:
            self._pod(event.body["object"], scene)

    def _pod(self, pod: Mapping[str, Any], scene: Scene) -> None:
        meta = pod["metadata"]
        key = f"{meta['namespace']}/{meta['name']}"
        entity = scene.world.workload_of(meta["namespace"], meta["name"])
        state, known = state_of(pod), self.state.pods.get(key)
        if known is None:
            told = since_of(pod, state) if state in _PATIENCE else 0
            since = min(told or scene.now, scene.now)
            known = self.state.pods[key] = PodState(state, entity, since)
            self._enter(key, known, "", pod, scene)
        elif state != known.state:
            self._leave(key, known, scene)
            old, known.state, known.since = known.state, state, scene.now
            self._enter(key, known, old, pod, scene)
        if entity != known.entity:
            _move(key, known, entity, scene)
        if state != "Ready" or known.held:
            self._hold(key, known, pod, scene)
        if state == "Terminating":
            self._plan(key, (unix_ms(meta["deletionTimestamp"]) or scene.now) + LATE_MS)

    # From state to state

    def _enter(
        self, key: str, known: PodState, old: str, pod: Mapping[str, Any], scene: Scene
    ) -> None:
        status, state = pod.get("status") or {}, known.state
        words = {name: status.get(name) or "" for name in ("reason", "message")}
        scene.transition("pod", pod_entity(*key.split("/", 1)), old, state, **words)
        if state == "Failed":
            self._ended(key, known, pod, ended_at(pod) if not old else scene.now, scene)
        elif state == "NotReady" and known.served:
            self._plan(key, known.since + LOST_MS)
        elif state in _PATIENCE:
            self._plan(key, known.since + _PATIENCE[state][0])
        known.served = known.served or state == "Ready"

    def _leave(self, key: str, known: PodState, scene: Scene) -> None:
        self.state.due.pop(key, None)
        self.state.coming.pop(key, None)
        if known.aged:
            scene.clear(known.entity, known.aged, subject=key)
            known.aged = ""

    def _ended(
        self, key: str, known: PodState, pod: Mapping[str, Any], t: int, scene: Scene
    ) -> None:
        """Points, not held: such pods stay in the API for days after others took their place."""
        atom, quote = ended_of(pod)
        if not atom:
            return
        scene.point(known.entity, atom, quote, subject=key, t=t, ttl_ms=ENDED_TTL_MS)
        refused = scene.book.atoms(known.entity).get(REJECTED, ())
        if len(refused) >= OFTEN or (refused and known.entity.startswith("pod/")):
            often = _REJECTED_OFTEN
            scene.point(known.entity, often, quote, subject=key, t=t, ttl_ms=ENDED_TTL_MS)

    def _gone(self, meta: Mapping[str, Any], scene: Scene) -> None:
        key = f"{meta['namespace']}/{meta['name']}"
        if scene.world.pod(meta["namespace"], meta["name"]) is not None:
            return  # another pod has that name now
        known = self.state.pods.pop(key, None)
        if known is None:
            return
        self._leave(key, known, scene)
        for atom in list(scene.book.atoms(known.entity)):
            if atom not in _LASTING:
                scene.clear(known.entity, atom, subject=key)
        scene.transition("pod", pod_entity(*key.split("/", 1)), known.state, "gone")

    # Evidence

    def _hold(self, key: str, known: PodState, pod: Mapping[str, Any], scene: Scene) -> None:
        found: dict[str, str] = {}
        for atom, quote in atoms_of(pod):
            if atom == UNSCHEDULABLE and self._is_coming(key, scene.now):
                atom = _AWAITING
            found.setdefault(atom, quote)
        _let_go(key, known, found, scene)
        for atom, quote in found.items():
            scene.hold(known.entity, atom, quote, subject=key)
        known.held = tuple(found)

    def _node_is_coming(self, event: StateEvent, scene: Scene) -> None:
        """An autoscaler says of this pod that it asked for a node, the first word counts; or that
        nothing comes of it."""
        about, when = event.body["object"], event.body.get("last_ms") or event.t
        key = f"{about.get('namespace', '')}/{about.get('name', '')}"
        known = self.state.pods.get(key)
        if known is None or known.state != "Unschedulable" or about.get("kind") != "Pod":
            return
        if event.body["reason"] in _GIVEN_UP:
            if self.state.coming.get(key, when) < when:
                self.state.coming[key] = when - COMING_MS  # asked again, it waits no longer
                self._rename(key, known, _AWAITING, UNSCHEDULABLE, scene)
            return
        self.state.coming.setdefault(key, when)
        if self._is_coming(key, scene.now):
            self._rename(key, known, UNSCHEDULABLE, _AWAITING, scene)
            self._plan(key, self.state.coming[key] + COMING_MS)

    def _is_coming(self, key: str, now: int) -> bool:
        return key in self.state.coming and now < self.state.coming[key] + COMING_MS

    @staticmethod
    def _rename(key: str, known: PodState, old: str, new: str, scene: Scene) -> None:
        item = scene.book.atoms(known.entity).get(old, {}).get(key)
        if item is not None:
            scene.clear(known.entity, old, subject=key)
            scene.hold(known.entity, new, item.quote, subject=key, since=item.first)
            known.held = (*(atom for atom in known.held if atom != old), new)

    # Time

    def _plan(self, key: str, when: int) -> None:
        if self.state.due.get(key) != when:
            self.state.due[key] = when
            heapq.heappush(self.state.heap, (when, key))

    def _tick(self, scene: Scene) -> None:
        heap = self.state.heap
        unseen = []
        while heap and heap[0][0] <= scene.now:
            when, key = heapq.heappop(heap)
            if self.state.due.get(key) != when:
                continue
            if not scene.sees("pods", key.split("/", 1)[0]):
                unseen.append((when, key))  # it may be in another state by now
                continue
            del self.state.due[key]
            self._late(key, self.state.pods[key], when, scene)
        for entry in unseen:
            heapq.heappush(heap, entry)

    def _late(self, key: str, known: PodState, due: int, scene: Scene) -> None:
        lasted = f"{known.state} for {(scene.now - known.since) / 1000:.0f} s"
        if known.state == "Unschedulable":
            self._rename(key, known, _AWAITING, UNSCHEDULABLE, scene)
        elif known.state == "Terminating":
            quote = f"still there {LATE_MS // 1000} s after its grace period; {lasted}"
            known.aged = _TERMINATING
            scene.hold(known.entity, _TERMINATING, quote, subject=key, since=due)
        elif known.state in _PATIENCE:
            known.aged = _PATIENCE[known.state][1]
            unready = scene.book.atoms(known.entity).get(NOT_READY, {}).get(key)
            quote = f"{lasted}: {unready.quote}" if unready else lasted
            scene.hold(known.entity, known.aged, quote, subject=key, since=known.since)


def _let_go(key: str, known: PodState, keep: Collection[str], scene: Scene) -> None:
    for atom in known.held:
        if atom not in keep:
            scene.clear(known.entity, atom, subject=key)


def _move(key: str, known: PodState, entity: str, scene: Scene) -> None:
    """Its workload turned out to be another (an owner that is seen later than its pods)."""
    for atom in (*known.held, *([known.aged] if known.aged else [])):
        item = scene.book.atoms(known.entity).get(atom, {}).get(key)
        if item is not None:
            scene.hold(entity, atom, item.quote, subject=key, since=item.first)
            scene.clear(known.entity, atom, subject=key)
    known.entity = entity

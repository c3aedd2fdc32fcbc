"""What versions of objects and Events say: read into causes, timelines and nodes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.contract.state import ADDED, Body
from pipeline.elasticity.scaling.causes import Causes
from pipeline.elasticity.scaling.moment import observed
from pipeline.elasticity.scaling.nodes import Nodes
from pipeline.elasticity.scaling.sights import ended, see_birth, see_event, see_pod
from pipeline.elasticity.scaling.slots import PodSet
from pipeline.elasticity.scaling.timeline import DELETED, FINAL, Timeline
from pipeline.elasticity.scaling.wanting import KINDS, SCALERS, Wanting
from pipeline.readiness.world import controller as manager_of
from pipeline.readiness.world import owners_of

RESOURCES = frozenset({*KINDS, *SCALERS, "pods", "nodes", "nodeclaims"})
EARLY_MS = 60_000
UNCOUNTED = "-"  # in `pods`, of a pod that counts for no controller (any more)

Object = Mapping[str, Any]


@dataclass(slots=True)
class ReadingState:
    pods: dict[str, str] = field(default_factory=dict)  # uid -> its set, or UNCOUNTED
    listed: bool = False  # all pods that existed were told
    # Events about pods that are not known yet: uid -> [time, offset, Event]
    early: dict[str, list[tuple[int, int, Body]]] = field(default_factory=dict)


class Reading:
    def __init__(self, state: ReadingState, causes: Causes, wanting: Wanting, nodes: Nodes) -> None:
        self.state = state
        self.at = causes.at
        self.causes = causes
        self.wanting = wanting
        self.nodes = nodes

    # Objects

    def version(self, resource: str, kind: str, obj: Object) -> None:
        """ADDED or MODIFIED."""
        self.at.version = _version(obj)
        now, offset = self.at.t, self.at.offset
        new = kind == ADDED
        if resource == "pods":
            self._pod(obj, new=new or self.state.listed)
        elif resource == "nodes":
            if self.nodes.see(obj, new=new, received=now, offset=offset):
                self._node_ready(obj["metadata"]["name"])
        elif resource == "nodeclaims":
            self.nodes.see_claim(obj, now, offset)
        elif resource in SCALERS:
            self.wanting.scaler(SCALERS[resource], obj)
        else:
            self.wanting.workload(resource, obj, new=new)

    def deleted(self, resource: str, obj: Object) -> None:
        meta = obj["metadata"]
        self.at.version = _version(obj)
        if resource == "pods":
            self._pod_deleted(meta)
        elif resource == "nodes":
            self.nodes.gone(meta["name"])
        elif resource != "nodeclaims":
            self.wanting.deleted(resource, obj)

    # Pods

    def _pod(self, obj: Object, *, new: bool) -> None:
        meta, now, offset = obj["metadata"], self.at.t, self.at.offset
        uid = meta["uid"]
        key, why = self.state.pods.get(uid), ended(obj)
        timeline = self.causes.state.timelines.get(uid)
        if key is None:
            version = self.at.version
            timeline = Timeline(uid, meta["namespace"], meta["name"], now, version)
            key = self.state.pods[uid] = self._first(obj, timeline, new=new, over=bool(why))
            self.state.early.pop(uid, None)
        elif timeline is not None:
            self._step(timeline, see_pod(timeline, obj, now, offset))
        if why and key != UNCOUNTED:
            self.state.pods[uid] = UNCOUNTED
            self.causes.lost(uid, meta["name"], why, self.causes.state.sets[key])

    def _first(self, obj: Object, timeline: Timeline, *, new: bool, over: bool) -> str:
        """A pod that was not known: whose it is, if it is not `over`. More than its birth is read
        only of one that a decision may have caused: a first list has all pods of the cluster."""
        meta, say, now = obj["metadata"], self.causes.say, self.at.t
        see_birth(timeline, obj, now, self.at.offset)
        entity, workload = owners_of(meta, self.wanting.state.owners)
        if not entity:
            static = manager_of(meta) is not None
            reason = "static pod of its node" if static else "no controller made it"
            say.excuse(workload, timeline, reason, now)
            return UNCOUNTED
        if not new:
            say.excuse(workload, timeline, "existed before the first event", now)
            if over:
                return UNCOUNTED
        pods = self._set(entity, workload, meta)
        if new:
            self._begun(timeline, obj)
            self.causes.came(timeline, pods)
        else:
            pods.filled += 1
            self.causes.state.controllers[pods.controller].current = pods.key
        return pods.key

    def _begun(self, timeline: Timeline, obj: Object) -> None:
        """What its first version, the Events that came before it, and its node show."""
        see_pod(timeline, obj, self.at.t, self.at.offset)
        for at, number, body in self.state.early.get(timeline.uid, ()):
            see_event(timeline, body, at, number)
        self.nodes.enter(timeline)

    def _step(self, timeline: Timeline, moved: bool) -> None:
        """Something of a known pod may have moved."""
        moved = self.nodes.enter(timeline) or moved
        home = self.causes.state.homes.get(timeline.uid)
        if moved and home is not None:
            decision = self.causes.state.decisions[home]
            decision.touched = self.at.t
            soon = timeline.status in FINAL
            self.causes.say.mark(decision, self.at.t, timeline.uid, soon=soon)

    def _pod_deleted(self, meta: Object) -> None:
        uid = meta["uid"]
        timeline = self.causes.state.timelines.get(uid)
        if timeline is not None and timeline.status not in FINAL:
            timeline.status = DELETED
            self._step(timeline, True)
        key = self.state.pods.pop(uid, UNCOUNTED)
        if key != UNCOUNTED:
            name = meta.get("name", "")
            self.causes.lost(uid, name, "deleted", self.causes.state.sets[key])

    def _set(self, entity: str, workload: str, meta: Object) -> PodSet:
        """The set that a pod belongs to: its ReplicaSet, Job, or revision of its controller."""
        of_replicaset = entity.startswith("replicaset/")
        controller = workload if of_replicaset else entity
        revision = (meta.get("labels") or {}).get("controller-revision-hash", "")
        key = f"{entity}@{revision}" if revision and not of_replicaset else entity
        sets = self.causes.state.sets
        if key not in sets:
            pods = self.wanting.new_set(key, controller, workload)
            for version, number in self.causes.state.controllers[controller].wishes:
                pods.limit(number, version, self.at.t)
        return sets[key]

    def _node_ready(self, name: str) -> None:
        for timeline in self.causes.state.timelines.values():
            if timeline.node == name:
                self._step(timeline, False)

    # Events

    def event(self, body: Body) -> None:
        """An Event whose reason is one of those that are read."""
        about, now, offset = body["object"], self.at.t, self.at.offset
        uid, reason = about.get("uid", ""), body["reason"]
        if reason == "SuccessfulRescale":
            self.wanting.rescaled(body)
        elif reason == "EvictedByVPA":
            stamp = body.get("last_ms") or 0
            self.causes.state.evictions[uid] = observed(stamp, now, offset, f"Event {reason}")
        else:
            timeline = self.causes.state.timelines.get(uid)
            if uid not in self.state.pods:
                self.state.early.setdefault(uid, []).append((now, offset, _needed(body)))
            elif timeline is not None:
                self._step(timeline, see_event(timeline, body, now, offset))

    def tick(self) -> None:
        """Pods of Events that came first come within moments; the rest is of pods long gone."""
        now, early = self.at.t, self.state.early  # in the order in which they came
        while early:
            uid, told = next(iter(early.items()))
            if now - told[0][0] <= EARLY_MS:
                break
            del early[uid]


def _needed(body: Body) -> Body:
    return {name: body[name] for name in ("reason", "object", "first_ms", "last_ms")
            if name in body}  # fmt: skip


def _version(obj: Object) -> int:
    """0 if it is no number."""
    text = str(obj["metadata"].get("resourceVersion", ""))
    return int(text) if text.isdecimal() else 0

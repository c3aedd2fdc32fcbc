"""Which events were folded before. Delivery may repeat; no fold must notice. One memory for all
folds: each object of a large cluster is in it.

Objects are known by uid and resourceVersion, samples by node, part and time asked, ticks by time.
Other kinds (signals, Events, probes, synced) by their id, remembered for REMEMBER_MS of event time
and a little more: a repeat comes from a producer's retry or a processor's recovery, minutes later
at most.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import TypeAdapter

from pipeline.contract.state import DELETED, OBJECT, OK, SAMPLE, TICK, StateEvent

REMEMBER_MS = 3_600_000
_SWEEP_MS = 600_000


@dataclass(slots=True)
class SeenState:
    objects: dict[str, dict[str, tuple[int, str, str]]] = field(
        default_factory=dict
    )  # resource -> uid -> resourceVersion, namespace, name
    floors: dict[str, int] = field(default_factory=dict)  # resource -> version of its last list
    asked: dict[str, dict[str, int]] = field(default_factory=dict)  # node -> part -> asked_ms
    ids: dict[str, int] = field(default_factory=dict)  # id -> event time
    gone: dict[str, int] = field(default_factory=dict)  # deleted uid -> event time
    tick: int = 0
    swept: int = 0


_STATE: TypeAdapter[SeenState] = TypeAdapter(SeenState)


class Seen:
    def __init__(self, state: SeenState | None = None) -> None:
        self.state = state or SeenState()

    def dump(self) -> bytes:
        """The same state is the same bytes."""
        return orjson.dumps(self.state)

    def restore(self, data: bytes) -> None:
        self.state = _STATE.validate_python(orjson.loads(data))

    def repeats(self, event: StateEvent) -> bool:
        """True if it changes nothing; else it is remembered."""
        kind = event.kind
        if kind == SAMPLE:  # nearly all of them, so without another call
            body = event.body
            node, part = body["node"], body["part"]
            asked = self.state.asked.get(node)
            if asked is None:
                asked = self.state.asked[node] = {}
            if body.get("patient"):
                part = f"{part}/patient"
            when = body.get("asked_ms", event.t)
            if when <= asked.get(part, -1):
                return True
            asked[part] = when
            return False
        if kind == OBJECT:
            return self._object(event)
        if kind == TICK:
            old, self.state.tick = self.state.tick, max(self.state.tick, event.t)
            if event.t - self.state.swept >= _SWEEP_MS:
                self._sweep(event.t)
            return event.t <= old
        if event.id in self.state.ids:
            return True
        self.state.ids[event.id] = event.t
        return False

    def gone(self, event: StateEvent) -> list[StateEvent]:
        """What a `synced` event says does not exist any more, as deletions that are new."""
        return [deletion for deletion in self.vanished(event) if not self.repeats(deletion)]

    def vanished(self, event: StateEvent) -> list[StateEvent]:
        """What a `synced` event says does not exist any more, as deletions. They come after the
        objects of the list: where one of those has the name of what is gone, it is `replaced`."""
        body = event.body
        if body.get("outcome") != OK or "uids" not in body:
            return []
        there, version = set(body["uids"]), _number(body.get("version"))
        known = self.state.objects.get(body["resource"], {})
        vanished = {
            uid: told
            for uid, told in known.items()
            if uid not in there and told[0] <= version and _speaks_of(body, uid, told)
        }
        names = {told[1:] for uid, told in known.items() if uid not in vanished} if vanished else ()
        gone = [
            StateEvent(
                OBJECT,
                event.t,
                event.by,
                f"{event.id}:{uid}",
                _deletion(body, uid, told) | ({"replaced": True} if told[1:] in names else {}),
            )
            for uid, told in vanished.items()
        ]
        if not (body.get("namespace") or body.get("upto")):
            floor = self.state.floors.get(body["resource"], 0)
            self.state.floors[body["resource"]] = max(floor, version)
        return gone

    def _object(self, event: StateEvent) -> bool:
        meta, resource = event.body["object"]["metadata"], event.body["resource"]
        uid = meta.get("uid") or event.id
        version = _number(meta.get("resourceVersion"))
        known = self.state.objects.setdefault(resource, {})
        if event.body["type"] == DELETED:
            known.pop(uid, None)
            if uid in self.state.gone:
                return True
            self.state.gone[uid] = event.t
            return False
        told = known.get(uid)
        if uid in self.state.gone or (told is not None and version <= told[0]):
            return True
        if told is None and 0 < version <= self.state.floors.get(resource, 0):
            return True
        known[uid] = (version, str(meta.get("namespace", "")), str(meta.get("name", "")))
        return False

    def _sweep(self, now: int) -> None:
        self.state.swept = now
        for memory in (self.state.ids, self.state.gone):
            for name, t in list(memory.items()):
                if now - t > REMEMBER_MS:
                    del memory[name]


def _number(version: object) -> int:
    """Resource versions are opaque by contract and integers in every Kubernetes (etcd revisions);
    from 1.35 on comparing them is documented (KEP-5504)."""
    try:
        return int(str(version))
    except ValueError:
        return 0


def _speaks_of(body: Mapping[str, Any], uid: str, told: tuple[int, str, str]) -> bool:
    """Is it in the scope and in the range of uids that the record is about?"""
    upto = body.get("upto", "")
    if uid <= body.get("after", "") or (upto and uid > upto):
        return False
    _, namespace, name = told
    same_namespace = bool(body.get("namespace", namespace) == namespace)
    return same_namespace and bool(body.get("name", name) == name)


def _deletion(body: Mapping[str, Any], uid: str, told: tuple[int, str, str]) -> dict[str, Any]:
    version, namespace, name = told
    meta = {"uid": uid, "resourceVersion": str(version), "namespace": namespace, "name": name}
    return {"resource": body["resource"], "type": DELETED, "object": {"metadata": meta}}

"""What a reader of kubeledger.state believes to exist, by the rules of pipeline/contract/state.py
for `object` and `synced`, and nothing else."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pipeline.contract.state import DELETED, EVENT, OBJECT, SYNCED, Body, StateEvent


def _newer(version: str, than: str) -> bool:
    return int(version) > int(than)


@dataclass
class Reader:
    objects: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    events: dict[str, Body] = field(default_factory=dict)  # uid -> latest
    gone: set[str] = field(default_factory=set)
    versions: dict[str, list[str]] = field(default_factory=dict)  # uid -> versions as they came
    blind: dict[str, str] = field(default_factory=dict)  # resource -> outcome
    _ids: set[str] = field(default_factory=set)

    def read(self, events: Iterable[StateEvent]) -> "Reader":
        for event in events:
            if event.kind != EVENT or event.id not in self._ids:
                self._ids.add(event.id)
                self._apply(event)
        return self

    def _apply(self, event: StateEvent) -> None:
        body = event.body
        if event.kind == EVENT:
            old = self.events.get(body["uid"])
            if old is None or _newer(body["version"], old["version"]):
                self.events[body["uid"]] = body
            self.versions.setdefault(body["uid"], []).append(body["version"])
        elif event.kind == SYNCED:
            self._synced(body)
        elif event.kind == OBJECT:
            self._object(body)

    def _object(self, body: Body) -> None:
        there = self.objects.setdefault(body["resource"], {})
        meta = body["object"]["metadata"]
        uid, version = meta["uid"], meta.get("resourceVersion", "0")
        if body["type"] == DELETED:
            there.pop(uid, None)
            self.gone.add(uid)
            return
        self.versions.setdefault(uid, []).append(version)
        old = there.get(uid)
        if uid in self.gone or (old and not _newer(version, old["metadata"]["resourceVersion"])):
            return
        there[uid] = body["object"]

    def _synced(self, body: Body) -> None:
        self.blind[body["resource"]] = body["outcome"]
        if "uids" not in body:
            return
        scope = (body["resource"], body.get("namespace", ""), body.get("name", ""))
        there, listed = self.objects.get(body["resource"], {}), set(body["uids"])
        for uid, obj in list(there.items()):
            meta = obj["metadata"]
            inside = body["after"] < uid and (not body["upto"] or uid <= body["upto"])
            mine = scope[1] in ("", meta.get("namespace", "")) and scope[2] in ("", meta["name"])
            if inside and mine and uid not in listed and not self._since(meta, body):
                del there[uid]

    @staticmethod
    def _since(meta: dict[str, Any], body: Body) -> bool:
        return _newer(meta["resourceVersion"], body["version"])

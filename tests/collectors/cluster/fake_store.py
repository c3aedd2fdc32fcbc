"""What an API server stores and shows, in memory: the truth that the watcher's tests compare with.

One counter of versions for everything, as etcd has; the history of changes, which can be compacted;
paged lists that stay consistent while the store changes, whose tokens can expire; bookmarks. Wire
formats as recorded of kube-apiserver 1.34: items of a list have no kind, the last event of the
initial ones is a bookmark, a compacted version is a Status of code 410 and reason Expired.
"""

import json
import uuid
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, NamedTuple

KINDS = {
    "/api/v1/pods": "Pod",
    "/api/v1/nodes": "Node",
    "/api/v1/events": "Event",
    "/apis/events.k8s.io/v1/events": "Event",
    "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases": "Lease",
}


EVENTS, TWIN = "/api/v1/events", "/apis/events.k8s.io/v1/events"  # two views of the same objects
_TWIN_WORDS = {
    "message": "note",
    "involvedObject": "regarding",
    "source": "deprecatedSource",
    "count": "deprecatedCount",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "reportingComponent": "reportingController",
}


class Change(NamedTuple):
    version: int
    path: str
    type: str
    object: dict[str, Any]


class Reply(NamedTuple):
    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class FakeStore:
    """Objects by collection path and name."""

    version: int = 95
    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    history: list[Change] = field(default_factory=list)
    compacted: int = 0  # versions up to this one are forgotten
    pages: dict[str, tuple[int, list[dict[str, Any]]]] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)  # paths that are not served
    record: set[tuple[str, str]] = field(default_factory=set)  # (uid, version) that ever were
    seed: int = 0

    def put(self, path: str, name: str, namespace: str = "", **fields: Any) -> dict[str, Any]:
        """Create or change. A new object gets a new uid, also under an old name."""
        self.version += 1
        old = self.objects.get((path, name))
        if old is None:
            self.seed += 1
            uid = str(uuid.UUID(int=(self.seed * 0x9E3779B97F4A7C15 << 32) % (1 << 128)))
            meta = {"name": name, "uid": uid, "creationTimestamp": "2026-11-25T10:00:00Z"}
            if namespace:
                meta["namespace"] = namespace
            old = {"metadata": meta}
        new = {**deepcopy(old), **deepcopy(fields)}
        new["metadata"]["resourceVersion"] = str(self.version)
        kind = "MODIFIED" if (path, name) in self.objects else "ADDED"
        self.objects[path, name] = new
        self.history.append(Change(self.version, path, kind, new))
        self.record.add((new["metadata"]["uid"], str(self.version)))
        return new

    def delete(self, path: str, name: str) -> None:
        self.version += 1
        gone = deepcopy(self.objects.pop((path, name)))
        gone["metadata"]["resourceVersion"] = str(self.version)
        self.history.append(Change(self.version, path, "DELETED", gone))

    def compact(self) -> None:
        """Forget all history, and the tokens of lists that are under way."""
        self.compacted = self.version
        self.history.clear()
        self.pages.clear()

    def names(self, path: str) -> list[str]:
        return sorted(name for at, name in self.objects if at == _stored(path))

    # -- what it answers ---------------------------------------------------------------------

    def listed(self, path: str, params: dict[str, str]) -> Reply:
        if path in self.absent:
            return Reply(404, b"404 page not found\n")
        token, limit = params.get("continue", ""), int(params.get("limit", "0"))
        if token and token not in self.pages:
            return status(410, "Expired", "The provided continue parameter is too old")
        if token:
            version, items = self.pages[token]
        else:
            version, items = self.version, self._selected(path, params)
        cut = limit or len(items)
        meta: dict[str, Any] = {"resourceVersion": str(version)}
        if items[cut:]:
            meta["continue"] = f"{version}-{len(items) - cut}-{len(self.pages)}"
            meta["remainingItemCount"] = len(items) - cut
            self.pages[meta["continue"]] = (version, items[cut:])
        kind = KINDS.get(path, "Object")
        body = {"kind": f"{kind}List", "apiVersion": "v1", "metadata": meta, "items": items[:cut]}
        return Reply(200, json.dumps(body).encode())

    def _selected(self, path: str, params: dict[str, str]) -> list[dict[str, Any]]:
        wanted = params.get("fieldSelector", "").removeprefix("metadata.name=")
        names = [name for name in self.names(path) if wanted in ("", name)]
        return [as_shown(path, self.objects[_stored(path), name]) for name in names]

    def refuses_watch(self, path: str, version: int) -> Reply | None:
        """The answer where it is none of 200. Kubernetes says 410 with this very message."""
        if path in self.absent:
            return Reply(404, b"404 page not found\n")
        if version < self.compacted:
            return gone(version, self.compacted)
        return None

    def after(self, path: str, version: int) -> Iterator[Change]:
        for change in self.history:
            if change.path == _stored(path) and change.version > version:
                yield change._replace(path=path, object=as_shown(path, change.object))

    def bookmark(self, path: str) -> bytes:
        """As the server sends it: a kind and zero values, no content (recorded)."""
        empty = {"spec": {"containers": None}, "status": {}} if path.endswith("/pods") else {}
        meta = {"resourceVersion": str(self.version)}
        shown = {"kind": KINDS.get(path, "Object"), "apiVersion": "v1", "metadata": meta, **empty}
        return line("BOOKMARK", shown)


def _stored(path: str) -> str:
    return EVENTS if path == TWIN else path


def as_shown(path: str, stored: dict[str, Any]) -> dict[str, Any]:
    """A stored object in the words of the API that is asked."""
    words = _TWIN_WORDS if path == TWIN else {}
    return {words.get(name, name): deepcopy(value) for name, value in stored.items()}


def line(kind: str, shown: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": shown}, separators=(",", ":")).encode() + b"\n"


def change_line(change: Change) -> bytes:
    kind = KINDS.get(change.path, "Object")
    return line(change.type, {"kind": kind, "apiVersion": "v1", **change.object})


def status(code: int, reason: str, message: str, **details: Any) -> Reply:
    body = {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    }  # fmt: skip
    if details:
        body["details"] = details
    return Reply(code, json.dumps(body).encode())


def gone(version: int, oldest: int) -> Reply:
    return status(410, "Expired", f"too old resource version: {version} ({oldest})")


def error_line(reply: Reply) -> bytes:
    """The same inside a stream that has begun."""
    return line("ERROR", json.loads(reply.body))

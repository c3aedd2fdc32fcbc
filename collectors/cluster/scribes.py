"""From objects that the API shows to state events: one scribe for each way of writing them down.

All of them are idempotent by (uid, resourceVersion), in the order given. Ids name the observation,
so that another leader gives the same version the same id: `UID:VERSION`, and `UID:deleted`.

`Objects` writes each version. `Events` writes Kubernetes Events; that one expires is not written.
`Leases` samples: see there.
"""

import heapq
from dataclasses import dataclass
from typing import Any, Protocol

from collectors.cluster.k8s_events import event_body
from collectors.cluster.known import Known, Last, newer
from collectors.cluster.ports import Instant
from collectors.cluster.resources import EVENTS, LEASES, Scope
from collectors.cluster.trim import Object, part
from pipeline.contract.state import ADDED, DELETED, EVENT, MODIFIED, OBJECT, StateEvent

BY = "watch"
NEVER = float("inf")


class Scribe(Protocol):
    """`settled` is False while a list says all there is, at the beginning of a term and once a day:
    every object is written then, as MODIFIED, since it may well be on the log already. What is new
    to a scribe after that is ADDED."""

    settled: bool

    @property
    def due(self) -> float:
        """When `tick` has something, monotonic seconds."""

    def seen(self, source: Object, now: Instant, *, listed: bool) -> list[StateEvent]:
        """A version that a list or a watch shows."""

    def deleted(self, source: Object, now: Instant) -> list[StateEvent]: ...

    def missing(self, uid: str, version: str, now: Instant) -> list[StateEvent]:
        """A list of this version does not have it any more."""

    def tick(self, now: Instant) -> list[StateEvent]: ...


def scribe_for(scope: Scope, known: Known, *, lease_every_s: float) -> Scribe:
    if scope.resource.name in EVENTS:
        return Events(known)
    if scope.resource.name == LEASES:
        return Leases(scope, known, every_s=lease_every_s)
    return Objects(scope, known)


class Objects:
    def __init__(self, scope: Scope, known: Known) -> None:
        self.settled = False
        self._resource = scope.resource
        self._known = known

    @property
    def due(self) -> float:
        return NEVER

    def seen(self, source: Object, now: Instant, *, listed: bool) -> list[StateEvent]:
        last = self._known.get(_uid(source))
        again = listed and not self.settled
        if last and not again and not _counts(_version(source), last, listed=listed):
            return []
        event = self.write(ADDED if last is None and self.settled else MODIFIED, source, now)
        self._known.put(source)
        return [event]

    def deleted(self, source: Object, now: Instant) -> list[StateEvent]:
        if self._known.drop(_uid(source)) is None:
            return []
        return [self.write(DELETED, source, now)]

    def missing(self, uid: str, version: str, now: Instant) -> list[StateEvent]:
        last = self._known.drop(uid)
        if last is None:
            return []
        meta = {"name": last.name, "namespace": last.namespace}
        meta |= {"uid": uid, "resourceVersion": last.version}
        tombstone = {
            "kind": self._resource.kind,
            "metadata": {name: text for name, text in meta.items() if text},
        }
        body = {"resource": self._resource.name, "type": DELETED, "object": tombstone}
        return [_object(uid, {**body, "inferred": True}, now)]

    def tick(self, now: Instant) -> list[StateEvent]:
        return []

    def write(self, kind: str, source: Object, now: Instant, **more: Any) -> StateEvent:
        body = {"resource": self._resource.name, "type": kind}
        return _object(
            _uid(source), {**body, "object": self._resource.trimmed(source), **more}, now
        )


class Events:
    """Each version of an Event is an event of its own: count and times move within one uid."""

    def __init__(self, known: Known) -> None:
        self.settled = False
        self._known = known

    @property
    def due(self) -> float:
        return NEVER

    def seen(self, source: Object, now: Instant, *, listed: bool) -> list[StateEvent]:
        last, version = self._known.get(_uid(source)), _version(source)
        if last is not None and not newer(version, last.version):
            return []
        self._known.put({"metadata": {"uid": _uid(source), "resourceVersion": version}})
        name = f"{_uid(source)}:{version}"
        return [StateEvent(EVENT, now.wall_ms, BY, name, event_body(source))]

    def deleted(self, source: Object, now: Instant) -> list[StateEvent]:
        self._known.drop(_uid(source))
        return []

    def missing(self, uid: str, version: str, now: Instant) -> list[StateEvent]:
        last = self._known.get(uid)
        if last is not None and not newer(last.version, version):  # else the other API saw it later
            self._known.drop(uid)
        return []

    def tick(self, now: Instant) -> list[StateEvent]:
        return []


@dataclass(slots=True)
class _Lease:
    written: float  # when it was last written, monotonic seconds
    renewed: str  # renewTime of the last version that was seen
    held: Object | None = None  # a renewal that waits for its turn
    seen_ms: int = 0  # when that came


class Leases:
    """Node leases are renewed every 10 s each, so they are sampled: a version is written when
    renewTime moved, and at most every `every_s` per lease. A renewal that comes earlier is held,
    the latest takes its place, and it is written when its time is up with `seen_ms`, the time
    at which it was seen. So a reader knows after at most `every_s` when the last renewal of a
    lease was seen, also of one that has stopped; and no clock but the watcher's matters."""

    def __init__(self, scope: Scope, known: Known, *, every_s: float) -> None:
        self._objects = Objects(scope, known)
        self._known = known
        self._every_s = every_s
        self._leases: dict[str, _Lease] = {}
        self._turns: list[tuple[float, str]] = []  # one entry per held renewal, or none

    @property
    def settled(self) -> bool:
        return self._objects.settled

    @settled.setter
    def settled(self, value: bool) -> None:
        self._objects.settled = value

    @property
    def due(self) -> float:
        return self._turns[0][0] if self._turns else NEVER

    def seen(self, source: Object, now: Instant, *, listed: bool) -> list[StateEvent]:
        uid = _uid(source)
        renewed = str(part(source, "spec").get("renewTime", ""))
        lease, last = self._leases.get(uid), self._known.get(uid)
        if lease is None or last is None or (listed and not self.settled):
            self._leases[uid] = _Lease(now.mono, renewed)
            return self._objects.seen(source, now, listed=listed)
        if not _counts(_version(source), last, listed=listed):
            return []
        if renewed == lease.renewed:
            self._known.put(source)
            return []
        lease.renewed = renewed
        if now.mono - lease.written >= self._every_s:
            lease.written, lease.held = now.mono, None
            return self._objects.seen(source, now, listed=listed)
        self._known.put(source)
        if lease.held is None:
            heapq.heappush(self._turns, (lease.written + self._every_s, uid))
        lease.held, lease.seen_ms = source, now.wall_ms
        return []

    def deleted(self, source: Object, now: Instant) -> list[StateEvent]:
        self._leases.pop(_uid(source), None)
        return self._objects.deleted(source, now)

    def missing(self, uid: str, version: str, now: Instant) -> list[StateEvent]:
        self._leases.pop(uid, None)
        return self._objects.missing(uid, version, now)

    def tick(self, now: Instant) -> list[StateEvent]:
        events = []
        while self._turns and self._turns[0][0] <= now.mono:
            turn, uid = heapq.heappop(self._turns)
            lease = self._leases.get(uid)
            if lease is None or lease.held is None or turn != lease.written + self._every_s:
                continue  # gone, or written since
            source, lease.held, lease.written = lease.held, None, now.mono
            events.append(self._objects.write(MODIFIED, source, now, seen_ms=lease.seen_ms))
        return events


def _counts(version: str, last: Last, *, listed: bool) -> bool:
    """In a list a version counts when it differs: a list is the truth, also when the cluster's
    store was restored from a backup and its versions went back."""
    return version != last.version if listed else newer(version, last.version)


def _object(uid: str, body: dict[str, Any], now: Instant) -> StateEvent:
    deleted = body["type"] == DELETED
    version = "deleted" if deleted else body["object"]["metadata"].get("resourceVersion", "")
    return StateEvent(OBJECT, now.wall_ms, BY, f"{uid}:{version}", body)


def _uid(source: Object) -> str:
    return str(source["metadata"]["uid"])


def _version(source: Object) -> str:
    return str(source["metadata"].get("resourceVersion", ""))

"""The API server of a recording: each recorded watch stream, given to the real `ResourceWatch`.

A recorded stream begins with what existed (synthetic ADDED events). That is the list; what follows
is the watch. Receive times of the first seconds lag, so the list is complete when the recording
starts, as a list is.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from collectors.cluster.known import Known
from collectors.cluster.ports import Broken, Ended, Instant, List
from collectors.cluster.resource import ResourceWatch
from collectors.cluster.resources import EVENTS, Scope, scopes
from collectors.recording.layout import Recording
from pipeline.base.times import unix_ms
from pipeline.contract.state import UNREACHABLE, StateEvent

_FILES = {
    "leases": "leases-kube-node-lease",
    "events": "events-core",
    "events.k8s.io": "events-events.k8s.io",
    "configmaps": "configmap-cluster-autoscaler-status",
}
LAG_S = 15.0  # the first answers of a busy recorder came so late


@dataclass(slots=True)
class Stream:
    """One scope: what its list held, and what came afterwards (Unix seconds, line or error)."""

    watch: ResourceWatch
    initial: list[dict[str, Any]] = field(default_factory=list)
    later: list[tuple[float, bytes | Broken]] = field(default_factory=list)
    planned: float = 0.0  # for when a look at it is planned

    @property
    def due(self) -> float:
        """When it has something to write by itself (a renewal that was held back)."""
        return self.watch.due

    def tick(self, t: float) -> list[StateEvent]:
        return self.watch.tick(Instant.at(t))

    def begin(self, start: float) -> list[StateEvent]:
        """List, and open the watch."""
        now = Instant.at(start)
        request = self.watch.request(now)
        events: list[StateEvent] = []
        if isinstance(request, List):
            said = [o["metadata"].get("resourceVersion") or "" for o in self.initial]
            version = max((int(v) for v in said if v.isdecimal()), default=1)
            page = {"metadata": {"resourceVersion": str(version)},
                    "items": self.initial}  # fmt: skip
            events += self.watch.fed(json.dumps(page).encode(), now)
            events += self.watch.fed(Ended(), now)
        self.watch.request(now)
        return events

    def feed(self, t: float, piece: bytes | Broken) -> list[StateEvent]:
        now = Instant.at(t)
        events = self.watch.fed(piece, now)
        self.watch.request(now)  # again, if that ended it
        return events


def streams(recording: Recording) -> Iterator[Stream]:
    """One for each recorded resource that the watcher knows. The two Event APIs show the same
    objects and share what is known of them."""
    recorded, shared = set(recording.watches()), Known()
    for scope in scopes():
        name = _FILES.get(scope.resource.name, scope.resource.name)
        if name not in recorded:
            continue
        known = shared if scope.resource.name in EVENTS else Known()
        yield _stream(recording, name, scope, known)


def _stream(recording: Recording, name: str, scope: Scope, known: Known) -> Stream:
    watch = ResourceWatch(scope, known, start_s=recording.start, random=Random(0))  # noqa: S311 - paces of a replay: always the same
    stream = Stream(watch)
    begun: float | None = None
    listing = True
    for row in recording.rows(f"watch-{name}"):
        begun = row["t"] if begun is None else begun
        event = row.get("event")
        if event is None:
            broken = Broken(UNREACHABLE, str(row.get("error", "")))
            stream.later.append((row["t"], broken))
            continue
        listing = listing and _existed(event, row["t"] - begun, recording)
        if listing:
            stream.initial.append(event["object"])
        elif event.get("type") != "BOOKMARK" or not listing:
            line = json.dumps(event, separators=(",", ":")).encode() + b"\n"
            stream.later.append((max(row["t"], recording.start), line))
    return stream


def _existed(event: dict[str, Any], since: float, recording: Recording) -> bool:
    """Is this one of the synthetic events at the beginning of a stream?"""
    if event.get("type") != "ADDED" or since > LAG_S:
        return False
    created = unix_ms(event["object"]["metadata"].get("creationTimestamp", ""))
    return created < recording.start * 1000

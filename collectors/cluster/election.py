"""Who leads: one holder of a Lease (coordination.k8s.io/v1). A state machine without I/O.

As client-go's leaderelection, and safe against clocks in the same way: nobody compares the times in
the Lease with its own clock. A candidate takes over when it has seen the Lease unchanged for the
whole duration by its own monotonic clock. A leader renews every `retry_s`, and leads for `renew_s`
from the moment at which it ASKED for the last renewal that went through, not from the answer. With
renew < duration there is never a moment with two leaders, as long as clocks run at about the same
speed. Writes carry the resourceVersion that was read: of two candidates one gets a 409.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

from collectors.cluster.ports import Instant
from collectors.cluster.refusal import message_of
from collectors.cluster.trim import part
from pipeline.contract.documents import read_json

API = "/apis/coordination.k8s.io/v1"
NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Terms:
    """Seconds. `renew_s` is client-go's renew deadline."""

    duration_s: float
    renew_s: float
    retry_s: float


@dataclass(frozen=True, slots=True)
class Call:
    """A request of the election. `deadline_s` for the whole answer."""

    method: str
    path: str
    body: bytes | None
    deadline_s: float


class Election:
    """`answered` must follow each `request` that gave a Call; status 0 means no answer."""

    def __init__(
        self, namespace: str, name: str, *, identity: str, terms: Terms, random: Random
    ) -> None:
        self.trouble = ""  # what keeps it from taking part
        self._identity = identity
        self._collection = f"{API}/namespaces/{namespace}/leases"
        self._meta = {"namespace": namespace, "name": name}
        self._terms = terms
        self._random = random
        self._call: Call | None = None  # the last one
        self._at = 0.0  # of the next one
        self._asked = 0.0
        self._until = 0.0  # we lead before this
        self._lease: Mapping[str, Any] | None = None  # as last read; None: read it first
        self._absent = False
        self._record: object = None  # what must change for the holder to count as alive
        self._changed = 0.0  # when we saw it change

    @property
    def due(self) -> float:
        return self._at

    def leads(self, now: Instant) -> bool:
        return now.mono < self._until

    def request(self, now: Instant) -> Call | None:
        if now.mono < self._at:
            return None
        self._asked, self._call = now.mono, self._next(now)
        return self._call

    def _next(self, now: Instant) -> Call:
        if self._absent:
            return self._write("POST", self._collection, self._meta, now)
        if self._lease is None or not (self.leads(now) or self._free(now)):
            return Call("GET", self._path, None, self._terms.renew_s / 2)
        return self._write("PUT", self._path, part(self._lease, "metadata"), now)

    def answered(self, status: int, body: bytes, now: Instant) -> None:
        wrote = self._call is not None and self._call.body is not None
        self._at = now.mono + self._terms.retry_s * self._random.uniform(0.9, 1.1)
        if status in (200, 201):
            self._read(body, now, wrote=wrote)
        elif status == 404 and not wrote:
            self._absent, self._lease = True, None
            self._at = now.mono
        else:
            self._failed(status, body, now)

    def release(self, now: Instant) -> Call | None:
        """Give it up in order, so that another need not wait. None if it is not ours."""
        if self._lease is None or not self.leads(now):
            return None
        self._until = 0.0
        spec = {**part(self._lease, "spec"), "holderIdentity": "", "leaseDurationSeconds": 1}
        return self._body("PUT", self._path, part(self._lease, "metadata"), spec)

    # -- inside ------------------------------------------------------------------------------

    @property
    def _path(self) -> str:
        return f"{self._collection}/{self._meta['name']}"

    def _read(self, body: bytes, now: Instant, *, wrote: bool) -> None:
        try:
            lease = read_json(body)
        except ValueError:
            lease = None
        if not isinstance(lease, dict):
            self.trouble = "the answer is no Lease"
            return
        self.trouble = ""
        self._absent, self._lease = False, lease
        spec = part(lease, "spec")
        record = (spec.get("holderIdentity"), spec.get("renewTime"), spec.get("leaseTransitions"))
        if record != self._record:
            self._record, self._changed = record, now.mono
        if wrote:
            self._until = self._asked + self._terms.renew_s
            return
        if spec.get("holderIdentity") != self._identity:
            self._until = 0.0
        if self._free(now):
            self._at = now.mono

    def _failed(self, status: int, body: bytes, now: Instant) -> None:
        """After a conflict the Lease is read again: another was faster, or our own write went
        through and its answer was lost. Who leads does so until its time is over, however often
        renewing fails."""
        created, self._absent = self._absent, False
        if status in (404, 409) or not self.leads(now):
            self._lease = None
        if status == 409:
            self._at = now.mono + self._random.uniform(0, self._terms.retry_s / 4)
            return
        path = f"{self._meta['namespace']}/{self._meta['name']}"
        self.trouble = f"lease {path}: {status or 'no answer'}: {message_of(body)}"
        if status == 403:
            self.trouble += (
                ". Grant by a Role in that namespace: apiGroups: [coordination.k8s.io], resources: "
                "[leases], verbs: [get, create, update]"
            )
        elif status == 404 and created:
            self.trouble += f". Is there a namespace {self._meta['namespace']}? (lease.namespace)"
        if not self.leads(now):
            self._at += self._terms.retry_s  # nothing depends on it: slower

    def _free(self, now: Instant) -> bool:
        """Nobody holds it, or its holder has been silent for long enough, or it is our own (an
        answer was lost)."""
        spec = part(self._lease or {}, "spec")
        holder = spec.get("holderIdentity")
        duration = spec.get("leaseDurationSeconds")
        promised = duration if isinstance(duration, int) else 0
        wait = max(float(promised), self._terms.duration_s)
        return not holder or holder == self._identity or now.mono - self._changed >= wait

    def _write(self, method: str, path: str, meta: Mapping[str, Any], now: Instant) -> Call:
        """The Lease with us as holder. Times in it are for people."""
        old = part(self._lease or {}, "spec")
        stamp = datetime.fromtimestamp(now.wall_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        ours = old.get("holderIdentity") == self._identity
        moved = old.get("leaseTransitions") or 0
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": round(self._terms.duration_s),
            "acquireTime": old.get("acquireTime") if ours else stamp,
            "renewTime": stamp,
            "leaseTransitions": moved if ours or not old else moved + 1,
        }
        return self._body(method, path, meta, spec)

    def _body(
        self, method: str, path: str, meta: Mapping[str, Any], spec: Mapping[str, Any]
    ) -> Call:
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        body = json.dumps({**lease, "metadata": dict(meta), "spec": dict(spec)}).encode()
        return Call(method, path, body, self._terms.renew_s / 2)


class Alone:
    """No election: this is the only watcher, by configuration."""

    trouble = ""
    due = NEVER

    def leads(self, now: Instant) -> bool:
        return True

    def request(self, now: Instant) -> Call | None:
        return None

    def answered(self, status: int, body: bytes, now: Instant) -> None:
        """Nothing was asked."""

    def release(self, now: Instant) -> Call | None:
        return None

"""Pod versions onto kubeledger.pods.

A pod whose kept content changed gets a new version: Unix milliseconds of the clock, and at least
one more than its last. Unchanged pods are written again once a day, because the topic deletes
what is older than its retention. Versions survive a restart because time does: a first version
after the restart is larger than the last one before it, unless the wall clock was set back by
more than the time in between. Then versions of this process are smaller than those already on the
topic, and a reader that takes the largest keeps the older content until the clock has caught up.

State: per uid the content last sent, and the largest version that the broker has acknowledged.
`version` may be called from any thread; the rest belongs to the source's thread, except the
acknowledgements, which arrive on the producer's.
"""

import threading
from collections.abc import Iterable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace

from pipeline.base.clock import Clock
from pipeline.base.errors import Rejected
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Position, Producer
from pipeline.contract import metrics, topics
from pipeline.contract.record import PodVersion, encode_pod

REPEAT_S = 24 * 3600.0
FORGET_S = 3600.0  # a pod that is gone is kept this long: its last lines may still be read
_NEVER = float("-inf")


@dataclass(slots=True)
class _Entry:
    content: PodVersion  # version 0, as it comes from the list
    version: int  # last sent
    sent: float
    seen: float
    acknowledged: int = 0
    refused: bool = False


class Publisher:
    """Knows what has been sent and what has arrived."""

    def __init__(self, producer: Producer, *, clock: Clock, telemetry: Telemetry) -> None:
        self._producer = producer
        self._clock = clock
        self._telemetry = telemetry
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def version(self, uid: str) -> int | None:
        """Largest acknowledged version; None while the first one is on its way, or when the
        pod has never been seen; 0 when the broker refuses it."""
        entry = self._entries.get(uid)
        if entry is None:
            return None
        if entry.acknowledged:
            return entry.acknowledged
        return 0 if entry.refused else None

    def contents(self) -> list[PodVersion]:
        """What is known, as it came from the lists."""
        return [entry.content for entry in list(self._entries.values())]

    def knows(self, uid: str) -> bool:
        return uid in self._entries

    def publish(self, pods: Iterable[PodVersion], *, complete: bool) -> int:
        """Send what is new, changed or due for repetition. Returns how many were sent. Only a
        `complete` list says that other pods are gone."""
        now = self._clock.monotonic()
        sent = 0
        for pod in pods:
            entry = self._entries.get(pod.uid)
            if entry is not None:
                entry.seen = now
                if pod == entry.content and now - entry.sent < REPEAT_S:
                    continue
            self._send(pod, entry, now)
            sent += 1
        if complete:
            self._forget(now)
        return sent

    def _send(self, pod: PodVersion, entry: _Entry | None, now: float) -> None:
        version = self._clock.wall_ns() // 1_000_000
        if entry is None:
            entry = self._entries[pod.uid] = _Entry(pod, version, sent=_NEVER, seen=now)
        else:
            version = max(version, entry.version + 1)
            entry.content, entry.version, entry.sent = pod, version, _NEVER
        future = self._producer.send(
            topics.PODS,
            key=pod.uid.encode(),
            value=encode_pod(replace(pod, version=version)),
            headers=(),
        )
        entry.sent = now  # not before: what could not be handed over is tried again
        self._telemetry.count(metrics.POD_VERSIONS)
        future.add_done_callback(lambda done: self._settle(entry, version, done))

    def _settle(self, entry: _Entry, version: int, done: "Future[Position]") -> None:
        try:
            error = done.exception()
        except CancelledError:
            return
        with self._lock:
            if error is None:
                entry.acknowledged = max(entry.acknowledged, version)
                return
            entry.refused = True
            if not isinstance(error, Rejected):
                entry.sent = _NEVER  # the next look sends it again
        self._telemetry.count(metrics.PRODUCE_ERRORS, reason="pod")
        self._telemetry.event(
            "pod-version-refused",
            level="error" if isinstance(error, Rejected) else "warn",
            pod=f"{entry.content.namespace}/{entry.content.name}",
            why=str(error),
        )

    def _forget(self, now: float) -> None:
        gone = [uid for uid, entry in self._entries.items() if now - entry.seen > FORGET_S]
        for uid in gone:
            del self._entries[uid]

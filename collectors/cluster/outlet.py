"""From state events to kubeledger.state: in order, bounded, and only while we lead. Versions of
log configurations go to kubeledger.configs as well.

At the bound `send` waits, and so does whoever reads the API: the server buffers, then drops the
watch, and a list heals what its history no longer has. A record that is refused stops the watcher
(Fatal): the log would lack a version, and with the sizes that are sent here it is the topic or the
rights on it that are wrong.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any

from collectors.cluster.configs import config_version
from pipeline.base.clock import Clock
from pipeline.base.errors import Fatal, KubeledgerError, Unavailable
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Position, Producer
from pipeline.contract import metrics
from pipeline.contract.configs import encode_config
from pipeline.contract.fields import Headers
from pipeline.contract.state import OBJECT, StateEvent, encode_state
from pipeline.contract.topics import CONFIGS, STATE

MAX_VALUE = 900 * 1024  # brokers take 1,000,000 bytes
_WAIT_S = 0.2


class Deposed(KubeledgerError):
    """We do not lead, or are stopping: this event is for another leader to see."""


class Outlet:
    """Thread-safe. `open` says whether we lead; it is asked before each record. `seen` hears of
    what was sent."""

    def __init__(
        self,
        producer: Producer,
        *,
        cluster: str,
        most_records: int,
        most_bytes: int,
        open: Callable[[], bool],  # noqa: A002 - as in: the outlet is open
        telemetry: Telemetry,
        clock: Clock,
        seen: Callable[[StateEvent], None] = lambda _: None,
    ) -> None:
        self._producer = producer
        self._key = cluster.encode()
        self._most_records, self._most_bytes = most_records, most_bytes
        self._open = open
        self._telemetry = telemetry
        self._clock = clock
        self._seen = seen
        self._room = threading.Condition()
        self._records = self._bytes = 0
        self._moved = clock.monotonic()  # when the last one was acknowledged, or the first left
        self.failure: KubeledgerError | None = None

    def send(self, events: Iterable[StateEvent], *, waits: bool = True) -> None:
        """Returns when all are on their way. Without `waits` these few go beyond the bound.
        Raises Deposed, or Fatal after a refusal."""
        for event in events:
            value, headers = encode_state(event)
            if len(value) > MAX_VALUE:
                value, headers = encode_state(_cut(event, len(value)))
            config = config_version(event)
            if config is not None:  # first: what is known of it is then never ahead of what counts
                told = encode_config(config)
                self._send(CONFIGS, config.key, told, (), event.t, waits=waits)
            self._send(STATE, self._key, value, headers, event.t, waits=waits)
            self._seen(event)

    def _send(
        self, topic: str, key: bytes, value: bytes, headers: Headers, t: int, *, waits: bool
    ) -> None:
        self._take(len(value), waits=waits)
        try:
            future = self._producer.send(
                topic, key=key, value=value, headers=headers, partition=0, timestamp_ms=t
            )
        except BaseException:
            self._left(len(value))
            raise
        future.add_done_callback(partial(self._settled, topic, len(value)))

    def waiting(self) -> tuple[int, float]:
        """Records on their way, and seconds since one of them arrived."""
        with self._room:
            return self._records, self._clock.monotonic() - self._moved

    def full(self) -> bool:
        """`send` would wait."""
        with self._room:
            return self._is_full(1)

    def drained(self, timeout_s: float) -> bool:
        """Wait for what is on its way; False if the time was over first."""
        deadline = self._clock.monotonic() + timeout_s
        with self._room:
            while self._records:
                left = deadline - self._clock.monotonic()
                if left <= 0:
                    return False
                self._room.wait(min(left, _WAIT_S))
        return True

    def _take(self, size: int, *, waits: bool) -> None:
        with self._room:
            while True:
                if self.failure is not None:
                    raise self.failure
                if not self._open():
                    raise Deposed("not the leader")
                if not waits or not self._is_full(size):
                    break
                self._room.wait(_WAIT_S)
            if not self._records:
                self._moved = self._clock.monotonic()
            self._records += 1
            self._bytes += size

    def _is_full(self, size: int) -> bool:
        too_large = self._records > 0 and self._bytes + size > self._most_bytes
        return self._records >= self._most_records or too_large

    def _left(self, size: int) -> None:
        with self._room:
            self._records -= 1
            self._bytes -= size
            self._moved = self._clock.monotonic()
            self._room.notify_all()

    def _settled(self, topic: str, size: int, future: "Future[Position]") -> None:
        """On the producer's thread."""
        error = None if future.cancelled() else future.exception()
        if error is not None and not isinstance(error, Unavailable):
            self._telemetry.count(metrics.PRODUCE_ERRORS, reason="refused")
            self.failure = Fatal(
                f"the bus refuses a record of {size} bytes on {topic}: {error}. Compare the topic "
                "with `kubeledger migrate`, and look at the rights of this watcher's user"
            )
        self._left(size)


def _cut(event: StateEvent, size: int) -> StateEvent:
    """What is too large for a record is told by its metadata alone, and that it is."""
    body: dict[str, Any] = dict(event.body)
    if event.kind == OBJECT:
        shown: Mapping[str, Any] = body["object"]
        body["object"] = {"kind": shown["kind"], "metadata": _small(shown["metadata"])}
    else:
        body = {name: text[:1024] if isinstance(text, str) else text for name, text in body.items()}
    return StateEvent(event.kind, event.t, event.by, event.id, {**body, "cut": size})


def _small(meta: Mapping[str, Any]) -> dict[str, Any]:
    large = ("labels", "annotations", "finalizers")
    return {name: value for name, value in meta.items() if name not in large}

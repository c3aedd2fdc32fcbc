"""Samples on their way to kubeledger.state: few in flight, a bounded queue behind them.

Samples are not logs: nothing else keeps them, and old ones lose their worth. So while the bus is
away they wait here, and past the bound the oldest are dropped, counted and said. Order is the order
of `put`: the client keeps it, retries included, and a record that it gives up is dropped, counted
as well, not sent again behind younger ones.

`put` and `settle` belong to one thread; acknowledgements arrive on the producer's.
"""

from collections import deque
from concurrent.futures import Future

from pipeline.base.clock import Clock
from pipeline.base.errors import Rejected, Unavailable
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Position, Producer
from pipeline.contract import metrics, topics
from pipeline.contract.record import Headers
from pipeline.contract.state import StateEvent, encode_state

_IN_FLIGHT = 64
_SAY_EVERY_S = 60.0
_OVERHEAD = 256  # bytes of a queued record beyond its value


class Outbox:
    """State: encoded records that wait, and the futures of those in flight, oldest first."""

    def __init__(
        self,
        producer: Producer,
        *,
        cluster: str,
        limit_bytes: int,
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
        self._producer = producer
        self._key = cluster.encode()
        self._limit = limit_bytes
        self._telemetry = telemetry
        self._clock = clock
        self._waiting: deque[tuple[bytes, Headers]] = deque()
        self._size = 0
        self._flight: deque[Future[Position]] = deque()
        self._dropped = 0
        self._said = float("-inf")

    def __len__(self) -> int:
        return len(self._waiting) + len(self._flight)

    def put(self, event: StateEvent) -> None:
        """Queue it; the oldest go when there is no room."""
        value, headers = encode_state(event)
        if len(value) > topics.MAX_RECORD_BYTES:
            self._refused(f"{event.id} has {len(value)} bytes")
            return
        self._waiting.append((value, headers))
        self._size += len(value) + _OVERHEAD
        while self._size > self._limit:
            gone, _ = self._waiting.popleft()
            self._size -= len(gone) + _OVERHEAD
            self._drop()
        self._say()

    def settle(self) -> None:
        """Take acknowledgements, send what may be sent. Never blocks."""
        while self._flight and self._flight[0].done():
            future = self._flight.popleft()
            error = None if future.cancelled() else future.exception()
            if isinstance(error, Rejected):
                self._refused(str(error))
            elif error is not None or future.cancelled():
                self._drop()
        while self._waiting and len(self._flight) < _IN_FLIGHT:
            value, headers = self._waiting[0]
            try:
                future = self._producer.send(
                    topics.STATE, key=self._key, value=value, headers=headers, partition=0
                )
            except Unavailable:
                break  # it waits
            self._flight.append(future)
            self._waiting.popleft()
            self._size -= len(value) + _OVERHEAD

    def _drop(self) -> None:
        self._dropped += 1
        self._telemetry.count(metrics.SAMPLES_DROPPED)

    def _refused(self, why: str) -> None:
        self._telemetry.count(metrics.PRODUCE_ERRORS, reason="sample")
        self._telemetry.event("sample-refused", level="error", why=why)

    def _say(self) -> None:
        now = self._clock.monotonic()
        if self._dropped and now - self._said >= _SAY_EVERY_S:
            self._telemetry.event(
                "samples-dropped",
                level="warn",
                samples=self._dropped,
                why="the bus has taken none for long; raise samples.queue_bytes to keep more",
            )
            self._dropped, self._said = 0, now

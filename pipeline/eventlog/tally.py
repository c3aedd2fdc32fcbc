"""What the state processor tells about itself: lag, delay, and whether it makes progress."""

from pipeline.base.clock import Clock
from pipeline.base.errors import Unavailable
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Reader, TopicPartition
from pipeline.contract.metrics import (
    BATCHES,
    CONSUMER_LAG,
    DEAD,
    ROWS,
    STATE_BEHIND,
)
from pipeline.eventlog.batch import Batch

_LAG_EVERY_S = 10.0


class Tally:
    """Counts. `health` may be called from another thread."""

    def __init__(self, telemetry: Telemetry, clock: Clock, stall_s: float) -> None:
        self._telemetry = telemetry
        self._clock = clock
        self._stall_s = stall_s
        self._progress = clock.monotonic()  # last time something was stored, or nothing waited
        self._waiting = 0
        self._next_lag = 0.0

    def stored(self, batch: Batch) -> None:
        """A batch is in the store."""
        self._telemetry.count(BATCHES)
        self._telemetry.count(ROWS, batch.count())
        for dead in batch.dead:
            self._telemetry.count(DEAD, reason=dead.reason)
            self._telemetry.event(
                "dead", "warn", id=dead.id, reason=dead.reason, detail=dead.detail
            )

    def progress(self) -> None:
        self._progress = self._clock.monotonic()

    def folded(self, stamp_ms: int) -> None:
        """The newest record, by the bus's clock."""
        behind = self._clock.wall_ns() / 1e9 - stamp_ms / 1e3
        self._telemetry.gauge(STATE_BEHIND, max(behind, 0.0))

    def watch(self, waiting: int) -> None:
        self._waiting = waiting
        if not waiting:
            self.progress()

    def lag(self, reader: Reader, tp: TopicPartition, start: int) -> None:
        """Now and then: how far behind the end of the log the store is."""
        now = self._clock.monotonic()
        if now < self._next_lag:
            return
        self._next_lag = now + _LAG_EVERY_S
        try:
            behind = reader.end_offset(tp) - start
        except Unavailable:
            return
        self._telemetry.gauge(CONSUMER_LAG, max(behind, 0), partition=str(tp.partition))

    def health(self) -> str | None:
        """A text when events wait and none was stored for the bound."""
        silent = self._clock.monotonic() - self._progress
        if silent < self._stall_s:
            return None
        return f"{self._waiting} events wait and none was stored for {silent:.0f} s"

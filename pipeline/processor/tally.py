"""What the log processor tells about itself: counters, lag, and whether it makes progress."""

from collections.abc import Sequence

from pipeline.base.clock import Clock
from pipeline.base.errors import Unavailable
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Reader
from pipeline.contract.metrics import (
    BATCHES,
    CONSUMER_LAG,
    DEAD,
    PARTIAL_ROWS,
    RAW_BYTES,
    REDACTED,
    ROWS,
    SHED_BYTES,
    SHED_ROWS,
    TRIMMED_BYTES,
    UNENRICHED_ROWS,
    UNPARSED_ROWS,
)
from pipeline.processor.partition import Partition
from pipeline.processor.prepare import Prepared

_LAG_EVERY_S = 10.0


class Tally:
    """Counts. `health` may be called from another thread."""

    def __init__(self, telemetry: Telemetry, clock: Clock, stall_s: float) -> None:
        self._telemetry = telemetry
        self._clock = clock
        self._stall_s = stall_s
        self._progress = clock.monotonic()  # last commit, or last moment with nothing to do
        self._waiting = 0
        self._next_lag = 0.0

    def stored(self, batch: Prepared) -> None:
        """A batch is in the store."""
        count = self._telemetry.count
        count(BATCHES)
        count(ROWS, len(batch.rows))
        count(RAW_BYTES, batch.raw_bytes)
        count(TRIMMED_BYTES, batch.trimmed)
        count(PARTIAL_ROWS, batch.partial)
        count(UNENRICHED_ROWS, batch.unenriched())
        for shed in batch.shed:
            count(SHED_ROWS, shed.rows, reason=shed.reason)
            count(SHED_BYTES, shed.nbytes, reason=shed.reason)
        for rule, replaced in batch.redacted.items():
            count(REDACTED, replaced, rule=rule)
        for name, lines in batch.unparsed.items():
            count(UNPARSED_ROWS, lines, format=name)
        for dead in batch.dead:
            count(DEAD, reason=dead.reason)
            self._telemetry.event(
                "dead", "warn", id=dead.id, reason=dead.reason, detail=dead.detail
            )

    def committed(self) -> None:
        self._progress = self._clock.monotonic()

    def watch(self, partitions: Sequence[Partition], reader: Reader) -> None:
        """How much waits, and, now and then, how far behind the end of the topic we are."""
        now = self._clock.monotonic()
        self._waiting = sum(len(p.items) for p in partitions)
        if not self._waiting:
            self._progress = now
        if now < self._next_lag:
            return
        self._next_lag = now + _LAG_EVERY_S
        for partition in partitions:
            try:
                lag = reader.end_offset(partition.tp) - partition.start
            except Unavailable:
                return
            name = str(partition.tp.partition)
            self._telemetry.gauge(CONSUMER_LAG, max(lag, 0), partition=name)

    def health(self) -> str | None:
        """A text when records wait and nothing was committed for the bound."""
        silent = self._clock.monotonic() - self._progress
        if silent < self._stall_s:
            return None
        return f"{self._waiting} records wait and none was confirmed for {silent:.0f} s"

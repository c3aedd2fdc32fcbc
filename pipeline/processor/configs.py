"""The configs topic -> the table of log configurations in memory.

It is small and read from the beginning by every processor, before the first batch: what was valid
when a chunk was read must be known. What comes later counts from then on; a version that arrives
after a chunk that it is meant for counts when that chunk is read again (the shape of a rebuilt
batch then differs, and recovery goes the careful way).
"""

from pipeline.base.clock import Clock
from pipeline.base.errors import Unavailable
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Reader, Record, TopicPartition
from pipeline.contract.configs import decode_config
from pipeline.contract.fields import RecordError
from pipeline.contract.metrics import DEAD
from pipeline.contract.topics import CONFIGS
from pipeline.stages.configs import ConfigTable

_TP = TopicPartition(CONFIGS, 0)


class ConfigFeed:
    """Keeps `table` up to date. One thread."""

    def __init__(
        self,
        table: ConfigTable,
        *,
        reader: Reader,
        clock: Clock,
        telemetry: Telemetry,
        load_s: float,
    ) -> None:
        self.table = table
        self._reader = reader
        self._clock = clock
        self._telemetry = telemetry
        self._load_s = load_s
        self._goal: tuple[int, float] | None = None  # end to reach, deadline
        self._loaded = False

    def loaded(self) -> bool:
        """Is everything read that was there at the beginning? After a bounded time the answer is
        yes anyhow: logs are stored without a configuration rather than not at all."""
        if self._loaded or self._goal is None:
            return self._loaded
        end, deadline = self._goal
        late = self._clock.monotonic() >= deadline
        self._loaded = late or self._reader.position(_TP) >= end
        if late:
            self._telemetry.event("configs.late", "warn")
        return self._loaded

    def poll(self) -> None:
        """Take what has come."""
        try:
            if self._goal is None:
                self._reader.assign([_TP])
                deadline = self._clock.monotonic() + self._load_s
                self._goal = self._reader.end_offset(_TP), deadline
            records = self._reader.poll(0.0)
        except Unavailable:
            return
        for record in records:
            self._take(record)

    def _take(self, record: Record) -> None:
        if record.value is None:
            return
        try:
            version = decode_config(record.value)
            added = self.table.add(version)
        except RecordError as error:
            self._telemetry.count(DEAD, reason="bad-config")
            self._telemetry.event("configs.bad", "warn", offset=record.offset, error=str(error))
            return
        if added:
            self._telemetry.event("config", uid=version.uid, generation=version.generation)

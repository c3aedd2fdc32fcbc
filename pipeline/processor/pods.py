"""The pods topic -> the pod table in memory, and table `pods`.

The partitions of the pods topic that belong to our log partitions (same key, same number of
partitions) are read from the beginning on assignment and then followed. The topic is compacted,
so the beginning is never far. Everything read also goes to table `pods`; inserting a version
again changes nothing there. The store being away never holds up logs: rows wait here, and
above a bound reading waits too.
"""

import zlib
from collections.abc import Iterable

from pipeline.base.block import Block, Dictionary, Strings
from pipeline.base.clock import Clock
from pipeline.base.errors import Rejected, Unavailable
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Reader, Record, TopicPartition
from pipeline.contract.metrics import DEAD, POD_VERSIONS
from pipeline.contract.record import PodVersion, RecordError, decode_pod, encode_pod
from pipeline.contract.topics import PODS
from pipeline.processor.columns import codes, stamps
from pipeline.stages.assemble import encode
from pipeline.stages.enrich import PodTable
from pipeline.store.protocol import Store

_WRITE_EVERY_S = 1.0
_RETRY_EVERY_S = 5.0
_WAITING_ROWS = 50_000


class PodFeed:
    """Keeps `table` up to date. One thread."""

    def __init__(
        self,
        table: PodTable,
        *,
        reader: Reader,
        store: Store,
        clock: Clock,
        telemetry: Telemetry,
        load_s: float,
    ) -> None:
        self.table = table
        self._reader = reader
        self._store = store
        self._clock = clock
        self._telemetry = telemetry
        self._load_s = load_s
        self._goals: dict[int, tuple[int, float]] = {}  # partition -> end to reach, deadline
        self._assigned: frozenset[int] = frozenset()
        self._rows: list[tuple[PodVersion, str]] = []
        # Rows that come twice are merged, so another attempt has another token: one that failed may
        # be known without its rows (deliver.py).
        self._failures = 0
        self._next_write = 0.0

    def assign(self, partitions: Iterable[int]) -> None:
        """Follow these partitions; new ones from their beginning."""
        wanted = frozenset(partitions)
        if wanted == self._assigned:
            return
        self._reader.assign([TopicPartition(PODS, partition) for partition in sorted(wanted)])
        deadline = self._clock.monotonic() + self._load_s
        for partition in wanted - self._assigned:
            goal = self._reader.end_offset(TopicPartition(PODS, partition))
            self._goals[partition] = (goal, deadline)
        self._assigned = wanted

    def loaded(self, partition: int) -> bool:
        """Is everything read that was there on assignment? After a bounded time the answer is
        yes anyhow: logs are not held up for metadata."""
        if partition not in self._assigned:
            return False
        goal = self._goals.get(partition)
        if goal is None:
            return True
        end, deadline = goal
        late = self._clock.monotonic() >= deadline
        if not late and self._reader.position(TopicPartition(PODS, partition)) < end:
            return False
        if late:
            self._telemetry.event("pods.late", "warn", partition=partition)
        del self._goals[partition]
        return True

    def poll(self) -> None:
        """Take what has come, and write it from time to time."""
        if self._assigned and len(self._rows) < _WAITING_ROWS:
            try:
                records = self._reader.poll(0.0)
            except Unavailable:
                records = []
            for record in records:
                self._take(record)
        now = self._clock.monotonic()
        if self._rows and now >= self._next_write:
            self._next_write = now + (_WRITE_EVERY_S if self.write() else _RETRY_EVERY_S)

    def _take(self, record: Record) -> None:
        if record.value is None:
            return  # the pod is gone; its lines may still be on the way
        try:
            pod = decode_pod(record.value)
        except RecordError as error:
            self._telemetry.count(DEAD, reason="bad-pod")
            self._telemetry.event(
                "pods.bad",
                "warn",
                partition=record.partition,
                offset=record.offset,
                error=str(error),
            )
            return
        if self.table.add(pod):
            self._rows.append((pod, f"{record.partition}:{record.offset}"))

    def write(self) -> bool:
        """Put what is waiting into table `pods`. False if the store is away."""
        pods = [pod for pod, _ in self._rows]
        places = " ".join(place for _, place in self._rows).encode()
        token = f"{PODS}:{self._rows[0][1]}-{len(pods)}:{zlib.crc32(places):08x}:{self._failures}"
        try:
            self._store.insert("pods", pods_block(pods), token=token)
        except Unavailable as error:
            self._failures += 1
            self._telemetry.event("pods.waiting", "warn", rows=len(pods), error=str(error))
            return False
        except Rejected as error:
            self._telemetry.event("pods.refused", "error", rows=len(pods), error=str(error))
        self._telemetry.count(POD_VERSIONS, len(pods))
        self._rows = []
        return True


def pods_block(pods: list[PodVersion]) -> Block:
    """Rows of table `pods`."""
    return Block(
        {
            "pod_uid": Strings([encode(pod.uid) for pod in pods]),
            "version": stamps([pod.version for pod in pods], "u8"),
            "namespace": Dictionary(*codes([encode(pod.namespace) for pod in pods])),
            "pod": Strings([encode(pod.name) for pod in pods]),
            "node": Dictionary(*codes([encode(pod.node) for pod in pods])),
            "workload": Dictionary(*codes([encode(pod.workload) for pod in pods])),
            "document": Strings([encode_pod(pod) for pod in pods]),
        }
    )

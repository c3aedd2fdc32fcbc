"""A world for the log processor in virtual time: the bus in memory, a store that keeps rows and
remembers tokens, and faults between any two steps."""

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import crc32c
import zstandard

from pipeline.base.block import Block, Dictionary, Fixed
from pipeline.base.clock import ManualClock
from pipeline.base.errors import Rejected, Unavailable
from pipeline.base.lifecycle import Stop
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.broker.memory import MemoryBroker
from pipeline.broker.protocol import Record, TopicPartition
from pipeline.contract.record import CRI, Chunk, FileEnd, Source, encode_headers
from pipeline.contract.topics import LOGS, topic_specs
from pipeline.logs import LogProcessor
from pipeline.logs_config import BatchLimits, LogProcessorConfig
from pipeline.readiness.finder import SignalFinder
from pipeline.readiness.signals import load_signals
from pipeline.store.ledger import StoredRow

REFUSED = b"REFUSE"
SIDECAR = 1  # the file whose lines can be signals
FINDER = SignalFinder(load_signals())


class Crash(BaseException):
    """The process is gone. Not an Exception: nothing may catch it."""


@dataclass
class ToyStore:
    """Tables as lists. `tick` is called before and after every effect and may raise."""

    tables: dict[str, list[dict]] = field(default_factory=dict)
    tokens: set[tuple[str, str]] = field(default_factory=set)
    refusing: bool = True
    tick: Callable[[str], None] = lambda _: None

    def insert(self, table: str, block: Block, *, token: str) -> None:
        self.tick("before insert")
        rows = rows_of(block)
        if self.refusing and any(REFUSED in row.get("body", b"") for row in rows):
            raise Rejected(f"row refused in {table}")
        if (table, token) not in self.tokens:
            self.tokens.add((table, token))
            if table != "pods":  # merged by itself, and not looked at
                self.tick("token noted")  # as ClickHouse: it has the token and not the rows
            self.tables.setdefault(table, []).extend(rows)
        self.tick("after insert")

    def check(self) -> list[str]:
        return []

    def rows(self, table: str = "logs") -> list[dict]:
        return self.tables.get(table, [])


def rows_of(block: Block) -> list[dict]:
    columns = {}
    for name, column in block.columns.items():
        if isinstance(column, Fixed):
            columns[name] = column.values.tolist()
        elif isinstance(column, Dictionary):
            columns[name] = [column.values[code] for code in column.codes.tolist()]
        else:
            columns[name] = column.values
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


class ToyLedger:
    """The ledger's questions, answered from the lists."""

    def __init__(self, store: ToyStore) -> None:
        self._store = store

    def marks(self, file_ids, *, partition, before):
        self._store.tick("before query")
        found: dict[int, int] = {}
        for table, stop in (
            ("logs", lambda r: r["off"] + r["nbytes"] + r["interleaved"]),
            ("gaps", lambda r: r["stop"]),
            ("shed", lambda r: r["high"]),
            ("dead_letters", lambda r: r["off"] + r["nbytes"]),
        ):
            for row in self._store.rows(table):
                own = row["kp"] == partition and row["ko"] >= before
                if row["file_id"] in file_ids and not own:
                    found[row["file_id"]] = max(found.get(row["file_id"], 0), stop(row))
        return found

    def rows_of_range(self, partition, first, last):
        self._store.tick("before query")
        found: dict[int, list] = {}
        for row in self._store.rows():
            if row["kp"] == partition and first <= row["ko"] <= last:
                found.setdefault(row["file_id"], []).append(_stored(row))
        return found

    def rows_of_file(self, file_id, start, stop, *, partition, before):
        return [
            _stored(row)
            for row in self._store.rows()
            if row["file_id"] == file_id
            and row["off"] < stop
            and row["off"] + row["nbytes"] + row["interleaved"] > start
            and not (row["kp"] == partition and row["ko"] >= before)
        ]

    def sources(self, table, partition, first, last):
        rows = self._store.rows(table)
        return frozenset(r["ko"] for r in rows if r["kp"] == partition and first <= r["ko"] <= last)

    def dead_ids(self, partition, first, last):
        rows = self._store.rows("dead_letters")
        return frozenset(
            r["id"].decode() for r in rows if r["kp"] == partition and first <= r["ko"] <= last
        )


def _stored(row: dict) -> StoredRow:
    stop = row["off"] + row["nbytes"] + row["interleaved"]
    return StoredRow(row["off"], stop, row["stream"], row["flags"])


def source(number: int) -> Source:
    container = "istio-proxy" if number == SIDECAR else "main"
    return Source(
        "node-1", "shop", f"web-{number}", f"uid-{number}", container, 0, f"/log/{number}"
    )


def settings(**changes) -> LogProcessorConfig:
    batch = BatchLimits(rows=changes.pop("rows", 6), raw_bytes=10_000, linger_s=0.3)
    return LogProcessorConfig(batch=batch, pod_wait_s=0, **changes)


class World:
    """Topics, files being written, members, faults."""

    def __init__(self, *, partitions: int = 2, config: LogProcessorConfig | None = None) -> None:
        self.clock = ManualClock()
        self.bus = MemoryBroker(clock=self.clock)
        self.bus.admin().ensure(topic_specs(partitions), create=True)
        self.producer = self.bus.producer()
        self.store = ToyStore(tick=self._tick)
        self.config = config or settings()
        self.files: dict[int, bytes] = {}
        self.plan: dict[int, BaseException] = {}
        self.effects = 0
        self.telemetry = RecordingTelemetry()
        self.members: list[LogProcessor] = []

    def _tick(self, where: str) -> None:
        self.effects += 1
        fault = self.plan.pop(self.effects, None)
        if fault is not None and not (where.endswith("send") and isinstance(fault, Unavailable)):
            raise fault  # a send never says that the bus is away: it waits

    def fail(self, after: int, fault: BaseException) -> None:
        """The effect that comes after so many others ends in this."""
        self.plan[self.effects + after] = fault

    def write(self, file_id: int, data: bytes, *, cut: int | None = None, **other) -> None:
        """Append to a file and send what was appended, in one chunk or two."""
        start = len(self.files.get(file_id, b""))
        self.files[file_id] = self.files.get(file_id, b"") + data
        edges = [0, len(data)] if cut is None else sorted({0, cut % (len(data) + 1), len(data)})
        for first, last in itertools.pairwise(edges):
            self.send(file_id, start + first, data[first:last], **other)

    def send(self, file_id: int, offset: int, raw: bytes, **other) -> None:
        before = self.files[file_id][offset - 1 : offset]
        flags = (before not in (b"", b"\n")) | (0 if raw.endswith(b"\n") else 2)
        chunk = Chunk(
            source(file_id),
            file_id,
            "chunk",
            offset=offset,
            raw_length=len(raw),
            lines=other.pop("lines", raw.count(b"\n")),
            format=other.pop("format", CRI),
            codec="zstd",
            crc32c=other.pop("crc", crc32c.crc32c(raw)),
            pod_version=other.pop("pod_version", 0),
            flags=flags,
            first_ts="",
            last_ts="",
            read_ms=self.clock.wall_ns() // 1_000_000,
        )
        value = zstandard.ZstdCompressor(level=1).compress(raw)
        self.put(file_id, value, encode_headers(chunk))

    def end(self, file_id: int) -> None:
        size = len(self.files[file_id])
        event = FileEnd(source(file_id), file_id, "end", size, "deleted", True, 0)
        self.put(file_id, b"", encode_headers(event))

    def put(self, file_id: int, value: bytes, headers) -> None:
        self.producer.send(LOGS, key=source(file_id).key, value=value, headers=headers).result(0)

    def member(self) -> LogProcessor:
        """One more processor in the group."""
        processor = LogProcessor(
            self.config,
            broker=Ticking(self.bus, self._tick),
            store=self.store,
            ledger=ToyLedger(self.store),
            telemetry=self.telemetry,
            stop=Stop(),
            clock=self.clock,
        )
        processor.join()
        self.members.append(processor)
        return processor

    def step(self, processor: LogProcessor, times: int = 1) -> bool:
        """False if it crashed; then it is a member no more."""
        try:
            for _ in range(times):
                processor.step(0.1)
        except Crash:
            self.members.remove(processor)
            return False
        return True

    def settle(self, limit: int = 2_000) -> None:
        """Everybody works until nothing is left to do."""
        self.plan.clear()
        quiet = 0
        for _ in range(limit):
            for processor in list(self.members):
                self.step(processor)
            self.clock.advance(0.2)
            quiet = quiet + 1 if self.idle() else 0
            if quiet > 40:
                return
        raise AssertionError("the processor does not come to rest")

    def records(self, topic: str) -> list[Record]:
        """All that is on partition 0 of a topic."""
        reader, tp = self.bus.reader(), TopicPartition(topic, 0)
        reader.assign([tp])
        found: list[Record] = []
        while reader.position(tp) < reader.end_offset(tp):
            found += reader.poll(0)
        return found

    def idle(self) -> bool:
        lag = self.bus.admin().group_lag("kubeledger-logs", LOGS)
        return not any(lag.values()) and not any(
            p.items or p.open or not p.ready for m in self.members for p in m.partitions.values()
        )


class Ticking:
    """The bus, with a tick before and after every commit and every send."""

    def __init__(self, bus: MemoryBroker, tick: Callable[[str], None]) -> None:
        self._bus, self._tick = bus, tick

    def consumer(self, group):
        return _Around(self._bus.consumer(group), self._tick, "commit")

    def producer(self):
        return _Around(self._bus.producer(), self._tick, "send")

    def reader(self):
        return self._bus.reader()


class _Around:
    def __init__(self, inner, tick, name: str) -> None:
        self._inner, self._tick, self._name = inner, tick, name

    def __getattr__(self, name: str):
        attribute = getattr(self._inner, name)
        if name != self._name:
            return attribute

        def around(*args, **kwargs):
            self._tick(f"before {name}")
            result = attribute(*args, **kwargs)
            self._tick(f"after {name}")
            return result

        return around


def away() -> Unavailable:
    return Unavailable("the store is away")


def check_exactly_once(world: World) -> None:
    """Every byte of every file is in exactly one row, and the contents are those printed."""
    for file_id, data in world.files.items():
        rows = [row for row in world.store.rows() if row["file_id"] == file_id]
        offsets = Counter(row["off"] for row in rows)
        assert all(count == 1 for count in offsets.values()), f"repeated in {file_id}: {offsets}"
        assert sum(row["nbytes"] for row in rows) == len(data), f"bytes of {file_id}"
        for name, stream in ((b"stdout", 1), (b"stderr", 2)):
            printed = b"".join(
                line.split(b" ", 3)[3]
                for line in data.split(b"\n")[:-1]
                if line.split(b" ", 2)[1] == name
            )
            stored = sorted((r["off"], r["body"]) for r in rows if r["stream"] == stream)
            assert b"".join(body for _, body in stored) == printed


def signals_of_rows(world: World) -> set[str]:
    """Ids of the signals that rows in the table must have left in the event log."""
    return {
        event.id
        for row in world.store.rows()
        for event in FINDER.find(
            source(row["file_id"]),
            row["file_id"],
            bodies=[row["body"]],
            offsets=[row["off"]],
            ts=[row["ts"] + row["ts_shift"]],
        )
    }

"""Scenes of the store that rules with queries are tested with, made by the real processors: a
recording's events through the state processor, log lines of a container through the log processor.

`NAME` is asked about at the end of the scene, `NAME@S` so many seconds later, `NAME?x=1` with
another parameter. Each scene has a database of its own.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline.base.clock import ManualClock, SystemClock
from pipeline.base.lifecycle import Stop
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.broker.memory import MemoryBroker
from pipeline.console.folds import open_folds
from pipeline.contract.record import (
    FileEnd,
    FileOpen,
    Gap,
    PodVersion,
    Source,
    encode_headers,
    encode_pod,
)
from pipeline.contract.state import StateEvent, encode_state
from pipeline.contract.topics import LOGS, PODS, STATE, topic_specs
from pipeline.eventlog.ledger import StoreLedger as EventLedger
from pipeline.logs import LogProcessor
from pipeline.logs_config import BatchLimits, LogProcessorConfig
from pipeline.state import StateProcessor
from pipeline.state_config import StateBatchLimits, StateProcessorConfig
from pipeline.store.clickhouse import ClickHouseStore
from pipeline.store.config import StoreConfig
from pipeline.store.ledger import StoreLedger
from pipeline.store.migrate import migrate
from tests.cases.all import CASES
from tests.cases.rig import Rig
from tests.journeys.recordings import events
from tests.pipeline.stages.feed import chunks_of

MINUTE = 60.0
Lines = Sequence[tuple[float, str]]  # (seconds before now, text)


def recorded(store: ClickHouseStore, config: StoreConfig, folder: Path, made: Sequence[StateEvent]):
    """Events through the state processor, at the time of the last one. Returns that, Unix ms."""
    end = max(event.t for event in made)
    clock = ManualClock((end + 500) * 1_000_000)
    bus = MemoryBroker(clock=clock)
    bus.admin().ensure(topic_specs(1), create=True)
    producer = bus.producer()
    for event in made:
        value, headers = encode_state(event)
        producer.send(STATE, key=b"-", value=value, headers=headers, timestamp_ms=event.t).result(0)
    processor = StateProcessor(
        StateProcessorConfig(store=config, state_dir=folder, batch=StateBatchLimits(linger_s=0.05)),
        broker=bus,
        store=store,
        ledger=EventLedger(store),
        folds=open_folds,
        fingerprint="f",
        telemetry=RecordingTelemetry(),
        stop=Stop(),
        clock=clock,
    )
    processor.join()
    reader = bus.reader()
    while processor.mine is None or processor.mine.start < len(made):
        processor.step(0.05)
        clock.advance(0.1)
    processor.finish()
    processor.close()
    reader.close()
    return end


def written(store: ClickHouseStore, lines: Lines, *, more: Sequence = (), poison: bool = False):
    """Lines of a container through the log processor, now, however long that takes. `more`: other
    records of its file. Returns the time of asking, Unix ms."""
    clock = ManualClock(SystemClock().wall_ns())
    bus = MemoryBroker(clock=clock)
    bus.admin().ensure(topic_specs(1), create=True)
    producer, now = bus.producer(), clock.wall_ns()
    source = Source("node-a", "shop", "web-0", "uid-1", "main", 0, "/var/log/pods/x/main/0.log")
    version = PodVersion("uid-1", "web-0", "shop", "node-a", 1)
    producer.send(PODS, key=b"uid-1", value=encode_pod(version)).result(1)
    data = b"".join(_cri(now - int(ago * 1e9), text) for ago, text in lines)
    file_id = 7
    records = [(FileOpen(source, file_id, "open", "cri", now // 1_000_000), b"")]
    records += chunks_of(data, list(range(0, len(data), 200_000)), file_id=file_id, source=source)
    records += [(make(source, file_id, now // 1_000_000), b"") for make in more]
    for event, value in records:
        producer.send(LOGS, key=source.key, value=value, headers=encode_headers(event)).result(1)
    if poison:
        producer.send(LOGS, key=source.key, value=b"?", headers=(("v", b"1"),)).result(1)
    processor = LogProcessor(
        LogProcessorConfig(batch=BatchLimits(linger_s=0.05)),
        broker=bus,
        store=store,
        ledger=StoreLedger(store),
        telemetry=RecordingTelemetry(),
        stop=Stop(),
        clock=clock,
    )
    processor.join()
    for _ in itertools.count():
        processor.step(0.05)
        if not any(bus.admin().group_lag("kubeledger-logs", LOGS).values()):
            break
    processor.close()
    return clock.wall_ns() // 1_000_000 + 1


def stored(store: ClickHouseStore, lines: Lines) -> int:
    """As `written`; asked about when the engine has them, by its own clock."""
    written(store, lines)
    return SystemClock().wall_ns() // 1_000_000 + 1


def _cri(ns: int, text: str) -> bytes:
    seconds, rest = divmod(ns, 1_000_000_000)
    import datetime

    when = datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{when}.{rest:09d}Z stdout F {text}\n".encode()


def _gap(source: Source, file_id: int, now_ms: int) -> Gap:
    return Gap(source, file_id, "gap", 9_000, 12_000, "rotated-away", exact=True, seen_ms=now_ms)


def _end(source: Source, file_id: int, now_ms: int) -> FileEnd:
    return FileEnd(source, file_id, "end", 12_000, "deleted", exact=True, seen_ms=now_ms)


CALM: Lines = [(ago, f"INFO served in {ago} ms") for ago in range(60, 0, -1)]
OLD: Lines = [(ago, f"ERROR order {ago} failed") for ago in range(3000, 300, -60)]
ONCE = "ERROR order 17 failed"


def _case(name: str) -> tuple[StateEvent, ...]:
    rig = Rig()
    next(case.build for case in CASES if case.name == name)(rig)
    return tuple(rig.events)


_EVENTS: dict[str, Callable[[], Sequence[StateEvent]]] = {
    "certificate-ends": lambda: _certificate(0.5),
    "certificate-of-a-month": lambda: _case("client_certificate_expires_in_a_month"),
}


def _certificate(days: float) -> Sequence[StateEvent]:
    rig = Rig()
    for s in range(0, 60, 5):
        rig.metrics(s, client_cert_ttl=days * 86_400, server_cert_ttl=90 * 86_400)
        rig.tick(s)
    return rig.events


_LOGS: dict[str, Callable[[ClickHouseStore], int]] = {
    "logs": lambda store: written(store, [*OLD, *CALM]),
    "calm-logs": lambda store: stored(store, [(i / 20, "INFO x") for i in range(20, 0, -1)]),
    "late-logs": lambda store: stored(store, [(ago + 600, "INFO x") for ago in range(60, 0, -1)]),
    "fast-logs": lambda store: written(
        store, [(i / 100, "INFO " + "x" * 15_000) for i in range(6_000, 0, -1)]
    ),
    "gap": lambda store: written(store, CALM, more=[_gap, _end]),
    "dead-letter": lambda store: written(store, CALM, poison=True),
    "errors": lambda store: written(
        store, [*OLD, *[(i / 10, f"ERROR order {i} failed") for i in range(900, 0, -1)]]
    ),
    "new-error": lambda store: written(
        store, [*OLD, *CALM, (0.9, "ERROR no seat 4711 in cart 0xdeadbeef00")]
    ),
}


WRITTEN = frozenset(_LOGS)  # just now, by the real clock


class Scenes:
    """Makes each scene once."""

    def __init__(self, config: StoreConfig, folder: Path) -> None:
        self._config = config
        self._folder = folder
        self._made: dict[str, tuple[StoreConfig, int]] = {}

    @contextmanager
    def scene(self, name: str) -> Iterator[tuple[ClickHouseStore, int]]:
        """An open store, and when the scene ends (Unix ms)."""
        from pipeline.store.clickhouse import open_store

        if name not in self._made:
            database = "s_" + name.replace("-", "_")
            config = self._config.model_copy(update={"database": database})
            store = open_store(config)
            migrate(store, config)
            if name in _LOGS:
                at = _LOGS[name](store)
            else:
                made = _EVENTS[name]() if name in _EVENTS else events(name)
                at = recorded(store, config, self._folder / name, made)
            self._made[name] = (config, at)
            store.close()
        config, at = self._made[name]
        store = open_store(config)
        try:
            yield store, at
        finally:
            store.close()

"""The log processor on the real engine: the recorded log tree goes through the bus in memory
into an embedded store, and every line comes out as it was printed."""

import dataclasses
import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.base.block import Block
from pipeline.base.clock import ManualClock, SystemClock
from pipeline.base.lifecycle import Stop
from pipeline.base.telemetry import RecordingTelemetry, ServiceTelemetry
from pipeline.broker.memory import MemoryBroker
from pipeline.contract.metrics import ROWS
from pipeline.contract.record import (
    FileEnd,
    FileOpen,
    PodVersion,
    Source,
    encode_headers,
    encode_pod,
)
from pipeline.contract.tables import MULTILINE
from pipeline.contract.topics import LOGS, PODS, topic_specs
from pipeline.logs import LogProcessor, run
from pipeline.logs_config import BatchLimits, LogProcessorConfig
from pipeline.store.clickhouse import ClickHouseStore, open_store
from pipeline.store.ledger import StoreLedger
from pipeline.store.migrate import migrate
from tests.pipeline.stages.feed import chunks_of
from tests.pipeline.stages.reference import rows_of
from tests.pipeline.store.running import Running, changed

TREE = Path(__file__).parents[1] / "recordings" / "healthy" / "container-logs"
NOW_NS = 1_795_430_000_000_000_000  # the evening of the recording
IN_NO_HURRY_S = 600.0  # a member in real time is not thrown out because an insert took its time


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseStore]:
    running = Running(tmp_path_factory.mktemp("processor") / "data").start()
    config = changed(running.config, database="processor")
    opened = open_store(config)
    migrate(opened, config)
    yield opened
    opened.close()
    running.stop()


class Pipe:
    """Bus, processor and store."""

    def __init__(self, store: ClickHouseStore) -> None:
        self.clock = ManualClock(NOW_NS)
        self.bus = MemoryBroker(clock=self.clock)
        self.bus.admin().ensure(topic_specs(2), create=True)
        self.producer = self.bus.producer()
        self.store = store
        self.config = LogProcessorConfig(batch=BatchLimits(rows=700, linger_s=0.3))

    def send(self, topic: str, key: bytes, value: bytes, headers=()) -> None:
        self.producer.send(topic, key=key, value=value, headers=headers).result(0)

    def processor(self) -> LogProcessor:
        made = LogProcessor(
            self.config,
            broker=self.bus,
            store=self.store,
            ledger=StoreLedger(self.store),
            telemetry=RecordingTelemetry(),
            stop=Stop(),
            clock=self.clock,
        )
        made.join()
        return made

    def drain(self, processor: LogProcessor) -> None:
        for _ in range(200):
            processor.step(0.1)
            lag = self.bus.admin().group_lag("kubeledger-logs", LOGS)
            if not any(lag.values()):
                return
        raise AssertionError("records are left")


def logs_of(pod: Path) -> Iterator[tuple[Path, Source]]:
    namespace, name, uid = pod.name.split("_")
    for path in sorted(pod.glob("*/*.log*")):
        if path.suffix != ".gz":
            yield path, Source("node-1", namespace, name, uid, path.parent.name, 0, str(path))


def test_every_recorded_line_is_stored_once_as_it_was_printed(store: ClickHouseStore) -> None:
    pipe, numbers, files = Pipe(store), itertools.count(100), {}
    for pod in sorted(TREE.iterdir()):
        for path, source in logs_of(pod):
            file_id, data = next(numbers), path.read_bytes()
            files[file_id] = data
            opened = FileOpen(source, file_id, "open", "cri", 1)
            pipe.send(LOGS, source.key, b"", encode_headers(opened))
            cuts = list(range(0, len(data), 9000))
            for event, raw in chunks_of(data, cuts, file_id=file_id, source=source):
                pipe.send(LOGS, source.key, raw, encode_headers(event))
            ended = FileEnd(source, file_id, "end", len(data), "deleted", exact=True, seen_ms=2)
            pipe.send(LOGS, source.key, b"", encode_headers(ended))
    first = pipe.processor()
    for _ in range(6):
        first.step(0.1)  # part of the way; then it is silent for ever
    pipe.clock.advance(60)
    second = pipe.processor()
    pipe.drain(second)
    second.close()
    for file_id, data in files.items():
        found = store.query(
            "SELECT off, nbytes, interleaved, body, toUnixTimestamp64Nano(ts) + ts_shift"
            " FROM logs WHERE file_id = {id:UInt64} ORDER BY off",
            {"id": file_id},
        ).rows
        stored = [(o, n, i, b.encode() if isinstance(b, str) else b, t) for o, n, i, b, t in found]
        expected = sorted(
            (r["off"], r["nbytes"], r["end"] - r["off"] - r["nbytes"], r["body"], r["ts"])
            for r in rows_of(data, 0)
        )
        assert stored == expected
    sizes = store.query("SELECT file_id, size FROM files WHERE event = 'end'").rows
    assert dict(sizes) == {file_id: len(data) for file_id, data in files.items()}


def test_pods_join_and_ask_for_multiline(store: ClickHouseStore) -> None:
    pipe = Pipe(store)
    pod = next(p for p in sorted(TREE.iterdir()) if "trace-java" in p.name)
    path, source = next(logs_of(pod))
    source = dataclasses.replace(source, uid="other")
    version = PodVersion(
        "other", source.pod, "shop", "node-1", 5, annotations={"kubeledger.io/multiline": "java"}
    )
    pipe.send(PODS, b"other", encode_pod(version))
    data = path.read_bytes()
    for event, raw in chunks_of(data, [3000], file_id=9, source=source, pod_version=5):
        pipe.send(LOGS, source.key, raw, encode_headers(event))
    ended = FileEnd(source, 9, "end", len(data), "deleted", exact=True, seen_ms=2)
    pipe.send(LOGS, source.key, b"", encode_headers(ended))
    processor = pipe.processor()
    pipe.drain(processor)
    processor.step(2.0)
    processor.close()
    traces = store.query(
        "SELECT body, level FROM logs WHERE file_id = 9 AND bitAnd(flags, {flag:UInt8}) > 0",
        {"flag": MULTILINE},
    ).rows
    assert traces
    assert all("StoreException" in body and "\n\tat " in body for body, _ in traces)
    assert {level for _, level in traces} == {"error"}
    rows = store.query("SELECT sum(nbytes), min(enriched), any(workload) FROM logs WHERE file_id=9")
    assert rows.rows == [(len(data), 1, f"Pod/{source.pod}")]
    pods = store.query("SELECT pod_uid, version FROM pods WHERE pod_uid = 'other'").rows
    assert pods == [("other", 5)]


def test_the_ledger_answers_from_the_tables(store: ClickHouseStore) -> None:
    """After the tests above."""
    ledger = StoreLedger(store)
    assert ledger.marks([9, 12345], partition=65535, before=0)[9] > 0
    kp, ko = store.query("SELECT any(kp), max(ko) FROM logs WHERE file_id = 9").rows[0]
    rows = ledger.rows_of_range(kp, 0, ko)
    assert {row.stream for row in rows[9]} == {1, 2}
    assert ledger.rows_of_file(9, 0, 100, partition=kp, before=ko + 1)[0].off == 0
    assert ledger.rows_of_file(9, 0, 100, partition=kp, before=0) == []
    assert len(ledger.sources("files", kp, 0, ko + 10)) > 0
    assert ledger.sources("gaps", kp, 0, ko) == frozenset()
    assert ledger.dead_ids(kp, 0, ko) == frozenset()


def test_run_serves_health_stores_and_stops_when_asked(store: ClickHouseStore) -> None:
    bus, stop = MemoryBroker(session_timeout_s=IN_NO_HURRY_S), Stop()
    bus.admin().ensure(topic_specs(1), create=True)
    source = Source("n", "ns", "run", "uid-run", "c", 0, "/x")
    data = b"2026-11-23T05:35:03.1Z stdout F hello run\n"
    for event, raw in chunks_of(data, [], file_id=77, source=source):
        record = {"key": source.key, "value": raw, "headers": encode_headers(event)}
        bus.producer().send(LOGS, **record).result(60)
    telemetry = ServiceTelemetry("process-logs", stream=io.StringIO())
    config = LogProcessorConfig(health="127.0.0.1:0", batch=BatchLimits(linger_s=0.05))
    asked = Asked(store, stop)
    run(config, broker=bus, store=asked, telemetry=telemetry, stop=stop, clock=SystemClock())
    assert store.query("SELECT body FROM logs WHERE file_id = 77").rows == [("hello run",)]
    assert telemetry.value(ROWS) == 1
    assert bus.admin().group_lag("kubeledger-logs", LOGS) == {0: 0}


class Asked:
    """The store, which asks the service to stop once log rows are in it."""

    def __init__(self, store: ClickHouseStore, stop: Stop) -> None:
        self._store, self._stop = store, stop

    def insert(self, table: str, block: Block, *, token: str) -> None:
        self._store.insert(table, block, token=token)
        if table == "logs":
            self._stop.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

"""The state processor on the real engine: events from the bus in memory, rows, typed columns and
facts as people ask for them."""

import datetime
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.base.block import Block
from pipeline.base.clock import ManualClock, SystemClock
from pipeline.base.fold import Folds
from pipeline.base.lifecycle import Stop
from pipeline.base.telemetry import RecordingTelemetry, ServiceTelemetry
from pipeline.broker.memory import MemoryBroker
from pipeline.broker.protocol import TopicPartition
from pipeline.contract.facts import EPISODE, TRANSITION, Fact
from pipeline.contract.metrics import FACTS as FACTS_SENT
from pipeline.contract.metrics import ROWS, STATE_EVENTS
from pipeline.contract.state import (
    EVENT,
    OBJECT,
    PROBE,
    SAMPLE,
    SIGNAL,
    StateEvent,
    encode_state,
)
from pipeline.contract.topics import STATE, STATE_GROUP, topic_specs
from pipeline.eventlog.ledger import StoreLedger
from pipeline.state import StateProcessor, run
from pipeline.state_config import StateBatchLimits, StateProcessorConfig
from pipeline.store.clickhouse import ClickHouseStore, open_store
from pipeline.store.migrate import migrate
from tests.models.state_rig import ChainFold
from tests.pipeline.store.running import Running, changed

NOW_MS = 1_795_435_200_000
NOON = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
IN_NO_HURRY_S = 600.0  # a member in real time is not thrown out because an insert took its time


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseStore]:
    running = Running(tmp_path_factory.mktemp("state") / "data").start()
    config = changed(running.config, database="state")
    opened = open_store(config)
    migrate(opened, config)
    yield opened
    opened.close()
    running.stop()


class Episodic(ChainFold):
    """Every probe is one more version of an incident."""

    version = 0

    def apply(self, event: StateEvent, offset: int) -> list[Fact]:
        if event.kind != PROBE:
            return []
        self.version += 1
        closed = NOW_MS + 60_000 if self.version == 3 else 0
        body = {
            "id": "e1",
            "version": self.version,
            "entity": "node/n1",
            "status": "closed" if closed else "open",
            "cause": "pleg.one-container",
            "confidence": "probable",
            "title": "One container holds up the relist",
            "opened_at": NOW_MS,
            "detected_at": NOW_MS + 20_000,
            "closed_at": closed,
            "evidence": [{"atom": "a", "quote": "it said so"}],
            "affected": ["pod/shop/web-0", "pod/shop/web-1"],
            "of_a_later_version": {"kept": True},
        }
        moved = {"machine": "node", "from": "Ready", "to": "Unknown", "reason": "NodeStatusUnknown"}
        return [
            Fact(TRANSITION, event.t, "node/n1", f"t-{self.version}", moved),
            Fact(EPISODE, event.t, "node/n1", f"e1:{self.version}", body),
        ]


class Pipe:
    """Bus, processor and store."""

    def __init__(self, store: ClickHouseStore, directory: Path) -> None:
        self.clock = ManualClock(NOW_MS * 1_000_000)
        self.bus = MemoryBroker(clock=self.clock)
        self.bus.admin().ensure(topic_specs(1), create=True)
        self.store = store
        self.directory = directory
        self.numbers = 0

    def put(self, kind: str, body: dict) -> None:
        self.numbers += 1
        event = StateEvent(kind, NOW_MS + self.numbers, "t", f"id-{self.numbers}", body)
        value, headers = encode_state(event)
        self.bus.producer().send(STATE, key=b"-", value=value, headers=headers).result(0)

    def work(self) -> None:
        processor = StateProcessor(
            StateProcessorConfig(
                cluster="prod", state_dir=self.directory, batch=StateBatchLimits(linger_s=0.2)
            ),
            broker=self.bus,
            store=self.store,
            ledger=StoreLedger(self.store),
            folds=lambda tripped: Folds({"toy": Episodic()}, tripped),
            fingerprint="f",
            telemetry=RecordingTelemetry(),
            stop=Stop(),
            clock=self.clock,
        )
        processor.wait_for_store()
        processor.join()
        for _ in range(10):
            processor.step(0.1)
        processor.finish()
        processor.close()
        assert self.bus.admin().group_lag(STATE_GROUP, STATE) == {0: 0}


METRICS = {
    "pleg_last_seen": NOW_MS / 1000 - 30.5,
    "relist_count": 812,
    "running_pods": 0,
}
HOST = {
    "psi": {"cpu": {"some_avg10": 1.5}, "io": {"some_avg10": 80.25, "full_avg10": 60}},
    "load": [4.5, 3, 2],
    "dstate_count": 2,
    "memory": {"total": 100, "available": 40},
}


@pytest.fixture(scope="module")
def stored(store: ClickHouseStore, tmp_path_factory: pytest.TempPathFactory) -> ClickHouseStore:
    """One of everything."""
    pipe = Pipe(store, tmp_path_factory.mktemp("snapshots"))
    sample = {"node": "n1", "outcome": "ok", "ms": 12}
    pipe.put(SAMPLE, sample | {"part": "metrics", "values": METRICS})
    pipe.put(SAMPLE, sample | {"part": "host", "values": HOST})
    pipe.put(SAMPLE, sample | {"part": "healthz", "status": 500,
                               "values": {"checks": {"ping": True, "syncloop": False},
                                          "failed": ["syncloop"]}})  # fmt: skip
    pipe.put(SAMPLE, {"node": "n1", "part": "metrics", "outcome": "timeout", "ms": 2000})
    pipe.put(OBJECT, {"resource": "pods", "type": "ADDED", "object": {"metadata": {
        "namespace": "shop", "name": "web-0", "uid": "u1", "resourceVersion": "7"}}})  # fmt: skip
    pipe.put(EVENT, {"uid": "ev1", "reason": "FailedMount", "type": "Warning", "message": "späß",
                     "object": {"kind": "Pod", "namespace": "shop", "name": "web-0"},
                     "first_ms": NOW_MS - 60_000, "last_ms": NOW_MS, "count": 3})  # fmt: skip
    pipe.put(SIGNAL, {"pattern": "kubelet.pleg-skip", "node": "n1", "program": "kubelet",
                      "fields": {"age": "3m2s"}, "line": "skipping \udcfe", "file": "ff",
                      "off": 9})  # fmt: skip
    for _ in range(3):
        pipe.put(PROBE, {"node": "n1", "probe": "cri", "verdict": "one-container"})
    pipe.work()
    return store


def rows(store: ClickHouseStore, sql: str) -> list[tuple[Any, ...]]:
    return list(store.query(sql).rows)


def test_values_are_columns_and_what_is_unknown_is_null(stored: ClickHouseStore) -> None:
    found = rows(
        stored,
        "SELECT part, outcome, round(pleg_age_s, 1), relist_count, relist_sum, running_pods, load1,"
        " dstate_count, memory_available, psi_cpu_some, psi_memory_full, psi_io_some, psi_io_full,"
        " healthz_failed FROM node_samples WHERE part != 'cri' ORDER BY ko",
    )
    none = None
    assert found == [
        ("metrics", "ok", 30.5, 812, none, 0, *[none] * 7, []),
        ("host", "ok", *[none] * 4, 4.5, 2, 40, 1.5, none, 80.25, 60, []),
        ("healthz", "ok", *[none] * 11, ["syncloop"]),
        ("metrics", "timeout", *[none] * 11, []),
    ]
    values = rows(stored, "SELECT `values` FROM node_samples WHERE part = 'host'")[0][0]
    assert json.loads(values) == HOST
    assert rows(stored, "SELECT avg(running_pods) FROM node_samples") == [(0.0,)]


def test_objects_events_signals_probes(stored: ClickHouseStore) -> None:
    assert rows(
        stored,
        "SELECT cluster, resource, type, namespace, name, uid, resource_version FROM objects",
    ) == [("prod", "pods", "ADDED", "shop", "web-0", "u1", "7")]
    assert rows(
        stored, "SELECT ts, first_seen, reason, message, kind, name, count FROM k8s_events"
    ) == [(NOON, NOON - datetime.timedelta(minutes=1), "FailedMount", "späß", "Pod", "web-0", 3)]
    assert rows(
        stored,
        "SELECT pattern, node, program, JSONExtractString(fields, 'age'), line, file_id, off"
        " FROM signals",
    ) == [("kubelet.pleg-skip", "n1", "kubelet", "3m2s", b"skipping \xfe", 255, 9)]
    assert rows(
        stored, "SELECT outcome, count() FROM node_samples WHERE part = 'cri' GROUP BY 1"
    ) == [("one-container", 3)]


def test_the_latest_version_of_an_episode(stored: ClickHouseStore) -> None:
    (found,) = stored.query(
        "SELECT version, entity, status, cause, confidence, title, opened_at, detected_at,"
        " closed_at, evidence, affected, JSONExtractBool(body, 'of_a_later_version', 'kept')"
        " FROM episodes FINAL"
    ).rows
    minute, seconds = datetime.timedelta(minutes=1), datetime.timedelta(seconds=20)
    assert found[:9] == (
        3, "node/n1", "closed", "pleg.one-container", "probable",
        "One container holds up the relist", NOON, NOON + seconds, NOON + minute,
    )  # fmt: skip
    assert json.loads(found[9]) == [{"atom": "a", "quote": "it said so"}]
    assert found[10:] == (["pod/shop/web-0", "pod/shop/web-1"], True)


def test_every_version_is_kept_among_the_facts(stored: ClickHouseStore) -> None:
    assert rows(
        stored,
        "SELECT id, JSONExtractString(body, 'status') FROM facts WHERE kind = 'episode'"
        " ORDER BY ko",
    ) == [("e1:1", "open"), ("e1:2", "open"), ("e1:3", "closed")]
    assert rows(
        stored,
        "SELECT DISTINCT machine, from_state, to_state, reason FROM facts"
        " WHERE kind = 'transition'",
    ) == [("node", "Ready", "Unknown", "NodeStatusUnknown")]


def test_the_ledger_answers_from_the_tables(stored: ClickHouseStore) -> None:
    ledger = StoreLedger(stored)
    assert ledger.stored("node_samples", 0, 0, 1) == {
        (0, str(NOW_MS + 1)),
        (1, str(NOW_MS + 2)),
    }
    assert ledger.stored("k8s_events", 0, 0, 100) == {(5, str(NOW_MS))}
    assert (7, "t-1") in ledger.stored("facts", 0, 0, 100)
    assert (9, "e1:3") in ledger.stored("episodes", 0, 0, 100)
    assert ledger.stored("facts", 1, 0, 100) == set()
    assert ledger.stored("dead_letters", 0, 0, 100) == set()


def test_stored_with_care_nothing_is_stored_twice(stored: ClickHouseStore, tmp_path: Path) -> None:
    """The same log, read by a group without a commit."""
    before = {
        table: rows(stored, f"SELECT count() FROM {table}")
        for table in ("node_samples", "objects", "k8s_events", "signals", "facts")
    }
    pipe = Pipe(stored, tmp_path)
    sample = {"node": "n1", "outcome": "ok", "ms": 12}
    pipe.put(SAMPLE, sample | {"part": "metrics", "values": METRICS})
    pipe.put(SAMPLE, sample | {"part": "host", "values": HOST})
    pipe.work()
    assert before == {table: rows(stored, f"SELECT count() FROM {table}") for table in before}


def test_run_serves_health_stores_and_stops_when_asked(
    store: ClickHouseStore, tmp_path: Path
) -> None:
    bus, stop, clock = MemoryBroker(session_timeout_s=IN_NO_HURRY_S), Stop(), OneSlot()
    bus.admin().ensure(topic_specs(1), create=True)
    t = clock.wall_ns() // 1_000_000
    body = {"node": "run", "probe": "cri", "verdict": "answers"}
    value, headers = encode_state(StateEvent(PROBE, t, "t", "run-1", body))
    bus.producer().send(STATE, key=b"-", value=value, headers=headers).result(1)
    telemetry = ServiceTelemetry("process-state", stream=io.StringIO())
    config = StateProcessorConfig(
        health="127.0.0.1:0", state_dir=tmp_path, batch=StateBatchLimits(linger_s=0.05)
    )
    run(
        config,
        broker=bus,
        store=Asked(store, stop),
        folds=lambda tripped: Folds({"toy": Episodic()}, tripped),
        fingerprint="f",
        telemetry=telemetry,
        stop=stop,
        clock=clock,
    )
    assert rows(store, "SELECT outcome FROM node_samples WHERE node = 'run'") == [("answers",)]
    assert telemetry.value(ROWS) >= 4
    assert telemetry.value(STATE_EVENTS, kind=PROBE) == 1
    assert telemetry.value(FACTS_SENT, kind=EPISODE) == 1
    assert bus.admin().group_lag(STATE_GROUP, STATE) == {0: 0}
    end = bus.reader().end_offset(TopicPartition(STATE, 0))
    assert [path.name for path in tmp_path.iterdir()] == [f"snapshot-{end}.zst"]


class OneSlot(SystemClock):
    """Time passes, but the wall clock stands: exactly one tick is written, so whether one more
    came after the last read does not depend on when the test runs."""

    def __init__(self) -> None:
        self._wall = super().wall_ns()

    def wall_ns(self) -> int:
        return self._wall


class Asked:
    """The store, which asks the service to stop once samples are in it."""

    def __init__(self, store: ClickHouseStore, stop: Stop) -> None:
        self._store, self._stop = store, stop

    def insert(self, table: str, block: Block, *, token: str) -> None:
        self._store.insert(table, block, token=token)
        if table == "node_samples":
            self._stop.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

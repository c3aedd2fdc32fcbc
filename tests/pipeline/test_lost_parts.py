"""A store that was killed in the middle of an insert: it knows the token and has not the rows."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.base.block import Block
from pipeline.base.clock import ManualClock
from pipeline.base.errors import Unavailable
from pipeline.base.fold import Folds
from pipeline.base.lifecycle import Stop
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.broker.memory import MemoryBroker
from pipeline.contract.record import FileEnd, PodVersion, Source, encode_headers, encode_pod
from pipeline.contract.state import PROBE, StateEvent, encode_state
from pipeline.contract.topics import LOG_GROUP, LOGS, PODS, STATE, STATE_GROUP, topic_specs
from pipeline.eventlog.ledger import StoreLedger as EventLedger
from pipeline.logs import LogProcessor
from pipeline.logs_config import BatchLimits, LogProcessorConfig
from pipeline.state import StateProcessor
from pipeline.state_config import StateBatchLimits, StateProcessorConfig
from pipeline.store.clickhouse import ClickHouseStore, open_store
from pipeline.store.ledger import StoreLedger
from pipeline.store.migrate import migrate
from tests.pipeline.stages.feed import chunks_of
from tests.pipeline.store.running import Running, changed

NOW_MS = 1_795_435_200_000
SOURCE = Source("n", "ns", "pod", "uid", "c", 0, "/x")
LINES = b"2026-11-23T11:59:03.1Z stdout F one\n2026-11-23T11:59:03.2Z stdout F two\n"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseStore]:
    running = Running(tmp_path_factory.mktemp("lost") / "data").start()
    config = changed(running.config, database="lost")
    opened = open_store(config)
    migrate(opened, config)
    yield opened
    opened.close()
    running.stop()


class Losing:
    """The first blocks for the table are gone again and their answers never come; their tokens are
    known. As when the engine is killed before it renames the part."""

    def __init__(
        self, store: ClickHouseStore, table: str, times: int = 1, *, stays: bool = True
    ) -> None:
        self._store = store
        self.table = table
        self.times = times
        self.stays = stays  # what comes later

    def insert(self, table: str, block: Block, *, token: str) -> None:
        self._store.insert(table, block, token=token)
        if table != self.table or (self.stays and not self.times):
            return
        self._store.query(f"ALTER TABLE {table} DELETE WHERE 1 SETTINGS mutations_sync = 2")
        assert count(self._store, table) == 0
        if self.times:
            self.times -= 1
            raise Unavailable("killed in the middle")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def count(store: ClickHouseStore, table: str) -> int:
    return int(store.query(f"SELECT count() FROM {table}").rows[0][0])


def test_the_engine_takes_a_token_for_the_rows(tmp_path: Path) -> None:
    """Why a token alone proves nothing. It is noted before the part gets its name; what has no name
    is removed at the next start."""
    running = Running(tmp_path / "data").start()
    table = "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a"
    insert = "INSERT INTO t SETTINGS insert_deduplication_token = 'one' VALUES"
    with running.client() as client:
        client.execute(f"{table} SETTINGS non_replicated_deduplication_window = 100")
        client.execute(insert, [[1]])
        ((part,),) = client.execute("SELECT path FROM system.parts WHERE table = 't'")
    running.kill()
    shutil.rmtree(part)
    running.start()
    with running.client() as client:
        client.execute(insert, [[1]])
        assert client.execute("SELECT count() FROM t") == [(0,)]
    running.stop()


def work_through(store: ClickHouseStore, through: Any) -> None:
    """A pod, two of its lines and their file's end, from the bus into the emptied store."""
    for each in ("logs", "files", "pods"):
        store.query(f"TRUNCATE TABLE {each}")
    clock = ManualClock(NOW_MS * 1_000_000)
    bus = MemoryBroker(clock=clock)
    bus.admin().ensure(topic_specs(1), create=True)
    pod = encode_pod(PodVersion("uid", "pod", "ns", "n", 1))
    bus.producer().send(PODS, key=b"uid", value=pod).result(0)
    events = [(encode_headers(e), raw) for e, raw in chunks_of(LINES, [], file_id=7, source=SOURCE)]
    ended = FileEnd(SOURCE, 7, "end", len(LINES), "deleted", exact=True, seen_ms=NOW_MS)
    for headers, raw in [*events, (encode_headers(ended), b"")]:
        bus.producer().send(LOGS, key=SOURCE.key, value=raw, headers=headers).result(0)
    processor = LogProcessor(
        LogProcessorConfig(batch=BatchLimits(linger_s=0.3)),
        broker=bus,
        store=through,
        ledger=StoreLedger(store),
        telemetry=RecordingTelemetry(),
        stop=Stop(),
        clock=clock,
    )
    processor.join()
    for _ in range(200):
        processor.step(0.1)
    processor.close()
    assert bus.admin().group_lag(LOG_GROUP, LOGS) == {0: 0}


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("table", ["logs", "files", "pods"])
def test_log_rows_that_are_missing_are_brought_once(
    store: ClickHouseStore, table: str, times: int
) -> None:
    losing = Losing(store, table, times)
    work_through(store, losing)
    assert not losing.times
    bodies = store.query("SELECT body FROM logs WHERE file_id = 7 ORDER BY off").rows
    assert bodies == [("one",), ("two",)]
    assert count(store, "files") == count(store, "pods") == 1


def test_rows_that_never_stay_do_not_hold_up_the_rest(store: ClickHouseStore) -> None:
    """As those that are past the table's retention."""
    losing = Losing(store, "logs", 1, stays=False)
    work_through(store, losing)
    assert count(store, "logs") == 0
    assert count(store, "files") == 1


class Unfolded:
    """Nothing follows from anything."""

    KINDS = frozenset({PROBE})

    def apply(self, event: StateEvent, offset: int) -> list[Any]:
        return []

    def dump(self) -> bytes:
        return b""

    def restore(self, data: bytes) -> None:
        pass


def test_state_rows_that_are_missing_are_brought_once(
    store: ClickHouseStore, tmp_path: Path
) -> None:
    clock = ManualClock(NOW_MS * 1_000_000)
    bus = MemoryBroker(clock=clock)
    bus.admin().ensure(topic_specs(1), create=True)
    for number in range(3):
        body = {"node": f"n{number}", "probe": "cri", "verdict": "answers"}
        value, headers = encode_state(StateEvent(PROBE, NOW_MS + number, "t", f"p{number}", body))
        bus.producer().send(STATE, key=b"-", value=value, headers=headers).result(0)
    losing, telemetry = Losing(store, "node_samples"), RecordingTelemetry()
    processor = StateProcessor(
        StateProcessorConfig(state_dir=tmp_path, batch=StateBatchLimits(linger_s=0.2)),
        broker=bus,
        store=losing,  # type: ignore[arg-type]
        ledger=EventLedger(store),
        folds=lambda tripped: Folds({"none": Unfolded()}, tripped),
        fingerprint="f",
        telemetry=telemetry,
        stop=Stop(),
        clock=clock,
    )
    processor.wait_for_store()
    processor.join()
    for _ in range(30):
        processor.step(0.1)
    processor.finish()
    processor.close()
    assert not losing.times
    nodes = store.query("SELECT node FROM node_samples ORDER BY ko").rows
    assert nodes == [("n0",), ("n1",), ("n2",)]
    assert bus.admin().group_lag(STATE_GROUP, STATE) == {0: 0}

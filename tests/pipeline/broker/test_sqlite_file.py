"""The bus file: rights, wrong and damaged files, full and locked, retention, compaction."""

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.base.clock import ManualClock
from pipeline.base.errors import Fatal, Unavailable, UsageError
from pipeline.broker import sqlite_connection
from pipeline.broker.memory import MemoryBroker
from pipeline.broker.protocol import TopicPartition
from pipeline.broker.sqlite import SqliteBroker
from pipeline.contract.topics import TopicSpec

LOGS = TopicSpec("logs", 1, 1, compacted=False)
PODS = TopicSpec("pods", 1, 0, compacted=True)
LOG, POD = TopicPartition("logs", 0), TopicPartition("pods", 0)
HOUR_S = 3600


def made(path: Path, **options: object) -> SqliteBroker:
    broker = SqliteBroker(path, **options)  # type: ignore[arg-type]
    admin = broker.admin()
    admin.ensure([LOGS, PODS], create=True)
    admin.close()
    return broker


def values(broker: SqliteBroker | MemoryBroker, tp: TopicPartition) -> list[bytes | None]:
    reader = broker.reader()
    reader.assign([tp])
    found: list[bytes | None] = []
    while records := reader.poll(0):
        found += [record.value for record in records]
    reader.close()
    return found


def test_file_and_directory_are_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "bus.db"
    made(path)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


def test_wrong_places_and_files_are_named(tmp_path: Path) -> None:
    plain, text, other = (tmp_path / name for name in ("plain", "text.db", "other.db"))
    plain.write_text("x")
    text.write_text("this is not a database, it only looks long enough to be one" * 100)
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE somebody (elses TEXT)")
    connection.close()
    with pytest.raises(UsageError, match=r"cannot create the bus at .*plain/bus\.db"):
        SqliteBroker(plain / "bus.db").admin()
    with pytest.raises(Fatal, match="not a bus"):
        SqliteBroker(text).admin()
    with pytest.raises(UsageError, match="another program"):
        SqliteBroker(other).admin()


def test_a_newer_format_is_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "bus.db"
    made(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(Fatal, match="format 99 is not known"):
        SqliteBroker(path).producer().send("logs", key=b"k", value=b"v").result(60)


def test_a_full_disk_keeps_the_send_pending_and_is_said_once(tmp_path: Path) -> None:
    notices: list[str] = []
    path = tmp_path / "bus.db"
    made(path)
    # 1.6 MiB: not one more is free behind the first four, and an empty bus has no room for two
    broker = SqliteBroker(path, max_pages=100, notice=notices.append)
    producer = broker.producer()
    futures = [producer.send("logs", key=b"k", value=bytes(200_000)) for _ in range(4)]
    assert [f.result(60).offset for f in futures] == [0, 1, 2, 3]
    stuck = [producer.send("logs", key=b"k", value=bytes(900_000)) for _ in range(2)]
    while not notices:
        threading.Event().wait(0.01)
    assert not producer.flush(0.05)
    assert "no space left" in notices[0]
    connection = sqlite3.connect(path, timeout=30)  # somebody makes room
    connection.execute("DELETE FROM records")
    connection.execute("UPDATE partitions SET start_offset = end_offset")
    connection.commit()
    connection.close()
    assert stuck[0].result(60).offset == 4
    assert notices[1] == "the bus takes records again"
    producer.close(0.2)
    outcome = stuck[1].exception(0)  # it never fitted, and its caller is told
    assert isinstance(outcome, Unavailable)
    assert "closed before" in str(outcome)


def test_a_bus_locked_by_somebody_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bus.db"
    broker = made(path)
    consumer = broker.consumer("g")
    consumer.subscribe(["logs"], on_assigned=lambda _: None, on_revoked=lambda _: None)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    connection = sqlite_connection.connect(path)
    with (
        pytest.raises(Unavailable, match="locked; try again"),
        connection.write(lock_timeout_s=0.02),
    ):
        pytest.fail("two writers at once")
    producer = broker.producer()
    future = producer.send("logs", key=b"k", value=b"v")
    assert not future.done()
    holder.execute("ROLLBACK")
    assert future.result(60).offset == 0
    holder.close()
    connection.close()
    consumer.close()
    producer.close(5)


def test_waiting_for_the_lock_takes_no_virtual_time(tmp_path: Path) -> None:
    """Or whoever held it for a moment would move the hour that retention goes by."""
    path = tmp_path / "bus.db"
    made(path)
    clock = ManualClock()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    connection = sqlite_connection.connect(path, clock=clock)
    before = clock.monotonic()
    with pytest.raises(Unavailable, match="locked"), connection.write(lock_timeout_s=0.02):
        pytest.fail("two writers at once")
    assert clock.monotonic() == before
    connection.close()
    holder.close()


def test_a_damaged_file_is_fatal(tmp_path: Path) -> None:
    path = tmp_path / "bus.db"
    broker = made(path)
    producer = broker.producer()
    producer.send("logs", key=b"k", value=b"v").result(60)
    producer.close(60)  # the last connection moves the WAL into the file
    with path.open("r+b") as file:
        file.seek(16384)
        file.write(b"\xff" * (path.stat().st_size - 16384))
    admin = broker.admin()
    with pytest.raises(Fatal, match="damaged"):
        admin.partitions("logs")
    admin.close()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_retention_removes_the_oldest_and_readers_go_on(kind: str, tmp_path: Path) -> None:
    clock = ManualClock()
    broker = bus(kind, tmp_path, clock)
    producer = broker.producer()
    for n in range(200):
        producer.send("logs", key=b"k", value=b"%d" % n)
        clock.advance(60)
    assert producer.flush(60)
    clock.advance(30)
    broker.maintain()
    assert values(broker, LOG) == [b"%d" % n for n in range(141, 200)]
    reader = broker.reader()
    reader.assign([LOG])
    assert (reader.beginning_offset(LOG), reader.end_offset(LOG)) == (141, 200)
    reader.seek(LOG, 3)
    assert reader.poll(0)[0].offset == 141
    clock.advance(2 * HOUR_S)
    broker.maintain()
    assert values(broker, LOG) == []
    assert producer.send("logs", key=b"k", value=b"next").result(60).offset == 200
    reader.close()
    producer.close(5)


def test_a_producer_removes_what_is_old_bit_by_bit(tmp_path: Path) -> None:
    clock = ManualClock()
    broker = made(tmp_path / "bus.db", clock=clock, heartbeats=False)
    producer, reader = broker.producer(), broker.reader()
    for n in range(200):
        producer.send("logs", key=b"k", value=b"%d" % n)
    assert producer.flush(60)
    clock.advance(2 * HOUR_S)
    producer.send("logs", key=b"k", value=b"young").result(60)
    deadline = time.monotonic() + 60
    while reader.beginning_offset(LOG) < 200:
        assert time.monotonic() < deadline, "nobody has removed it"
        clock.advance(0.5)
        time.sleep(0.01)
    assert values(broker, LOG) == [b"young"]
    reader.close()
    producer.close(5)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_compaction_keeps_the_last_of_each_key(kind: str, tmp_path: Path) -> None:
    clock = ManualClock()
    broker = bus(kind, tmp_path, clock)
    producer = broker.producer()
    for n in range(30):
        producer.send("pods", key=b"pod-%d" % (n % 3), value=b"%d" % n)
    producer.send("pods", key=b"pod-0", value=None)
    assert producer.flush(60)
    broker.maintain()
    assert len(values(broker, POD)) == 31  # readers that keep up see every version
    clock.advance(HOUR_S)
    broker.maintain()
    assert values(broker, POD)[:2] == [b"28", b"29"]
    clock.advance(25 * HOUR_S)
    broker.maintain()
    assert values(broker, POD) == [b"28", b"29"]  # the tombstone is gone as well
    assert producer.send("pods", key=b"pod-0", value=b"back").result(60).offset == 31
    assert values(broker, POD) == [b"28", b"29", b"back"]
    producer.close(5)


def test_space_of_removed_records_is_used_again(tmp_path: Path) -> None:
    clock = ManualClock()
    path = tmp_path / "bus.db"
    broker = made(path, clock=clock, heartbeats=False)
    producer = broker.producer()
    sizes = []
    for _ in range(6):
        for _ in range(40):
            producer.send("logs", key=b"k", value=bytes(100_000))
        assert producer.flush(60)
        clock.advance(2 * HOUR_S)
        broker.maintain()
        connection = sqlite3.connect(path)
        sizes.append(connection.execute("PRAGMA page_count").fetchone()[0])
        connection.close()
    assert sizes[-1] <= sizes[1] * 1.1
    producer.close(5)


def bus(kind: str, tmp_path: Path, clock: ManualClock) -> SqliteBroker | MemoryBroker:
    make: dict[str, Callable[[], SqliteBroker | MemoryBroker]] = {
        "memory": lambda: memory(clock),
        "sqlite": lambda: made(tmp_path / "bus.db", clock=clock, heartbeats=False),
    }
    return make[kind]()


def memory(clock: ManualClock) -> MemoryBroker:
    broker = MemoryBroker(clock=clock)
    broker.admin().ensure([LOGS, PODS], create=True)
    return broker

"""Many processes on one bus file, killed with SIGKILL and stopped with SIGSTOP on the way."""

import itertools
import multiprocessing
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from pipeline.base.clock import ManualClock
from pipeline.base.errors import Fenced
from pipeline.broker.protocol import Commit, TopicPartition
from pipeline.broker.sqlite import SqliteBroker, SqliteConsumer
from pipeline.broker.sqlite_connection import connect
from pipeline.broker.sqlite_log import SqliteStore
from pipeline.contract.topics import TopicSpec
from tests.pipeline.broker.processes import GROUP, TOPIC, consume, produce

PARTITIONS = 4
SPAWN = multiprocessing.get_context("spawn")
PATIENCE_S = 60.0


@contextmanager
def running(target: Callable[..., None], *arguments: Any) -> Iterator[BaseProcess]:
    process = SPAWN.Process(target=target, args=arguments)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "bus.db"
    admin = SqliteBroker(made).admin()
    admin.ensure([TopicSpec(TOPIC, PARTITIONS, 0, compacted=False)], create=True)
    admin.close()
    return made


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "this did not happen in time"
        time.sleep(0.02)


def lines(file: Path) -> list[bytes]:
    """Whole lines only: the last may be cut off by a kill."""
    data = file.read_bytes() if file.exists() else b""
    return data[: data.rfind(b"\n") + 1].splitlines()


def stored(path: Path) -> dict[tuple[bytes, int], list[tuple[int, int]]]:
    """(producer, number) -> where it is."""
    reader = SqliteBroker(path).reader()
    reader.assign([TopicPartition(TOPIC, n) for n in range(PARTITIONS)])
    found: dict[tuple[bytes, int], list[tuple[int, int]]] = {}
    while records := reader.poll(0):
        for record in records:
            name, number = (record.value or b"").split(b" ")[:2]
            place = (record.partition, record.offset)
            found.setdefault((name, int(number)), []).append(place)
    reader.close()
    return found


def test_a_killed_producer_loses_nothing_that_was_acknowledged(path: Path, tmp_path: Path) -> None:
    for turn in range(3):
        noted = tmp_path / f"acknowledged-{turn}"
        with running(produce, str(path), f"p{turn}", 1_000_000, str(noted)) as process:
            until(lambda noted=noted: len(lines(noted)) > 100)  # type: ignore[misc]
            process.kill()
            process.join()
        found = stored(path)
        assert all((b"p%d" % turn, int(number)) in found for number in lines(noted))
        assert all(len(places) == 1 for places in found.values())
    for partition in range(PARTITIONS):
        offsets = sorted(
            offset for places in stored(path).values() for p, offset in places if p == partition
        )
        assert offsets == list(range(len(offsets)))  # no holes, no repetitions


def test_many_writers_wait_for_each_other(path: Path, tmp_path: Path) -> None:
    with (
        running(produce, str(path), "a", 150, str(tmp_path / "a")) as one,
        running(produce, str(path), "b", 150, str(tmp_path / "b")) as two,
        running(produce, str(path), "c", 150, str(tmp_path / "c")) as three,
    ):
        for process in (one, two, three):
            process.join(PATIENCE_S)
            assert process.exitcode == 0
    found = stored(path)
    assert len(found) == 450
    for name in (b"a", b"b", b"c"):  # order per partition as sent
        for partition in range(PARTITIONS):
            places = [
                place[1]
                for number in range(150)
                for place in found[name, number]
                if place[0] == partition
            ]
            assert places == sorted(places)


def test_killed_members_are_replaced_and_nothing_is_committed_twice(
    path: Path, tmp_path: Path
) -> None:
    seen = [tmp_path / f"seen-{n}" for n in range(4)]
    producer, admin = SqliteBroker(path).producer(), SqliteBroker(path).admin()
    numbers = itertools.count()

    def fed() -> bool:
        """There is work in every partition: a member that comes late must find some, too. And not
        more, or those who are left cannot catch up."""
        if min(admin.group_lag(GROUP, TOPIC).values()) < 10:
            for number in itertools.islice(numbers, 10 * PARTITIONS):
                partition = number % PARTITIONS
                producer.send(TOPIC, key=b"k", value=b"p %d" % number, partition=partition)
            assert producer.flush(60)
        return True

    def committed() -> list[tuple[int, int, int]]:
        rows = [tuple(map(int, line.split())) for file in seen for line in lines(file)]
        return [(a, b, c) for a, b, c in rows]

    with (
        running(consume, str(path), str(seen[0]), 3) as first,
        running(consume, str(path), str(seen[1]), 3),
    ):
        until(lambda: fed() and len(lines(seen[0])) > 5)
        first.kill()
        first.join()
        with running(consume, str(path), str(seen[2]), 3) as third:
            until(lambda: fed() and len(lines(seen[2])) > 5)
            third.kill()
            third.join()
            with running(consume, str(path), str(seen[3]), 50):
                total = next(numbers)
                producer.close(5)
                until(lambda: sum(admin.group_lag(GROUP, TOPIC).values()) == 0)
                admin.close()
    covered = [(p, n) for p, start, stop in committed() for n in range(start, stop + 1)]
    assert len(covered) == len(set(covered))
    missing = total - len(covered)
    assert missing <= 2 * 50  # a kill between a commit and its note in the file


def test_a_stopped_member_is_expelled_and_then_fenced(path: Path) -> None:
    """The member in this process plays the successor; the stopped one is another process."""
    broker = SqliteBroker(path, session_timeout_s=15)  # its own, however slow this process is
    successor = broker.consumer(GROUP)
    successor.subscribe([TOPIC], on_assigned=lambda _: None, on_revoked=lambda _: None)
    everything = frozenset(TopicPartition(TOPIC, n) for n in range(PARTITIONS))
    with running(consume, str(path), os.devnull, 1) as process:
        until(lambda: polled(successor) and 0 < len(successor.assignment()) < PARTITIONS)
        assert process.pid is not None
        stop_outside_a_transaction(path, process.pid)
        until(lambda: polled(successor) and successor.assignment() == everything)
        successor.commit({tp: Commit(0, "mine") for tp in everything})
        os.kill(process.pid, signal.SIGCONT)  # it joins again and gets its share, not before
        until(lambda: polled(successor) and 0 < len(successor.assignment()) < PARTITIONS)
    (lost, *_) = everything - successor.assignment()
    with pytest.raises(Fenced):
        successor.commit({lost: Commit(1)})
    successor.close()


def stop_outside_a_transaction(path: Path, pid: int) -> None:
    """SIGSTOP while the write lock is ours: a process stopped with the lock holds up all."""
    with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        os.kill(pid, signal.SIGSTOP)
        os.waitid(os.P_PID, pid, os.WSTOPPED)  # until its last thread stands still
        lock.execute("ROLLBACK")


class ByHand(ManualClock):
    """Sessions in virtual time, but threads that wait do wait."""

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def test_a_busy_member_is_not_expelled(path: Path) -> None:
    """Nobody polls for it, and it is heard of; two sessions go by."""
    clock, session_s = ByHand(), 0.6
    broker = SqliteBroker(path, session_timeout_s=session_s, clock=clock)
    busy, other = broker.consumer(GROUP), broker.consumer(GROUP)
    for member in (busy, other):
        member.subscribe([TOPIC], on_assigned=lambda _: None, on_revoked=lambda _: None)
    until(lambda: polled(busy, 0) and polled(other, 0) and len(busy.assignment()) == 2)
    mine = busy.assignment()
    group = SqliteStore(connect(path))
    for _ in range(6):
        clock.advance(session_s / 3)
        heard_of = clock.monotonic() + session_s
        until(
            lambda heard_of=heard_of: (
                polled(other, 0)  # type: ignore[misc]
                and all(m.deadline >= heard_of for m in group.peek(GROUP).members.values())
            )
        )
    busy.commit({tp: Commit(0, "done") for tp in mine})
    for client in (group, busy, other):
        client.close()


def polled(member: SqliteConsumer, seconds: float = 0.05) -> bool:
    member.poll(seconds)
    return True

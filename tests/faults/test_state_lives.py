"""The state processor as a process among others, killed again and again: the embedded bus, the
real engine, the real folds."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.base.clock import SystemClock
from pipeline.broker.open import open_broker
from pipeline.broker.protocol import TopicPartition
from pipeline.console.embedded import PROCESS_STATE, EmbeddedPipeline, Inputs
from pipeline.console.folds import open_folds
from pipeline.contract.facts import EPISODE, decode_fact, encode_fact
from pipeline.contract.state import TICK, StateEvent, encode_state
from pipeline.contract.topics import FACTS, STATE
from pipeline.eventlog.rows import decode
from pipeline.store.clickhouse import open_store
from tests.cases.all import CASES
from tests.cases.case import told
from tests.cases.rig import T0
from tests.chaos.broker import BusLock

KILLS = 8


def log(pipeline: EmbeddedPipeline, topic: str) -> list:
    broker = open_broker(pipeline.broker)
    reader = broker.reader()
    try:
        tp = TopicPartition(topic, 0)
        reader.assign([tp])
        end, records = reader.end_offset(tp), []
        while reader.position(tp) < end:
            records += reader.poll(0.2)
        return records
    finally:
        reader.close()
        broker.close()


def end(pipeline: EmbeddedPipeline) -> int:
    broker = open_broker(pipeline.broker)
    reader = broker.reader()
    try:
        reader.assign([TopicPartition(STATE, 0)])
        return reader.end_offset(TopicPartition(STATE, 0))
    finally:
        reader.close()
        broker.close()


def confirmed(pipeline: EmbeddedPipeline, clock: SystemClock, timeout_s: float = 90) -> None:
    """All that is in the log by now. Ticks go on coming: there may be no moment without a lag."""
    upto, deadline = end(pipeline), clock.monotonic() + timeout_s
    while end(pipeline) - pipeline.state_lag() < upto:
        pipeline.check()
        assert clock.monotonic() < deadline, "the state processor does not finish"
        clock.sleep(0.1)


def moved(event: StateEvent, number: int, by: int) -> StateEvent:
    """The recording, now: times are those of the wall clock, as the ticks between them."""
    return StateEvent(event.kind, event.t + by, event.by, f"{number}/{event.id}", event.body)


@pytest.mark.slow
@pytest.mark.timeout(900)  # its parts have limits of their own
def test_killed_again_and_again(tmp_path: Path) -> None:
    clock, chance = SystemClock(), random.Random(11)
    (tmp_path / "pods").mkdir()
    inputs = Inputs((tmp_path / "pods",), "node-a")
    settings = {PROCESS_STATE: {"tick_s": 1, "snapshots": {"events": 40, "every_s": 2}}}
    case = next(case for case in CASES if case.name == "runtime_is_stopped")
    events = [event for event in told(case)[1].events if event.kind != TICK]
    data = tmp_path / "data"
    with EmbeddedPipeline(data, inputs, clock=clock, settings=settings) as pipeline:
        broker = open_broker(pipeline.broker)
        producer = broker.producer()
        by = clock.wall_ns() // 1_000_000 - T0
        lives = len(events) // (KILLS + 1)
        for number, event in enumerate(events):
            if number % lives == 1:  # it works again; now it is in the middle of something
                confirmed(pipeline, clock)
            value, headers = encode_state(moved(event, number, by))
            producer.send(STATE, key=b"-", value=value, headers=headers).result(60)
            clock.sleep(0.05)
            pipeline.check()
            if number % lives == lives - 1 and number < KILLS * lives:
                clock.sleep(chance.random())
                assert pipeline.kill(PROCESS_STATE)
        confirmed(pipeline, clock)
        producer.close(60)
        broker.close()
        _account(pipeline, clock)
    assert list((data / "state").glob("snapshot-*.zst"))
    said = (data / "log" / "process-state.log").read_text()
    assert "Traceback" not in said
    assert '"snapshot.loaded"' in said
    assert '"damaged"' not in said


@pytest.mark.slow
@pytest.mark.timeout(900)  # its parts have limits of their own
def test_stopped_replaced_and_back(tmp_path: Path) -> None:
    """SIGSTOP in the middle of a batch: a second process takes over; the first comes back, finds
    that it lost the partition, stores nothing more of it, and goes on when the second leaves."""
    clock = SystemClock()
    (tmp_path / "pods").mkdir()
    case = next(case for case in CASES if case.name == "runtime_is_stopped")
    events = [event for event in told(case)[1].events if event.kind != TICK]
    data = tmp_path / "data"
    settings = {PROCESS_STATE: {"tick_s": 1}}
    inputs = Inputs((tmp_path / "pods",), "node-a")
    with EmbeddedPipeline(data, inputs, clock=clock, settings=settings) as pipeline:
        broker = open_broker(pipeline.broker)
        producer = broker.producer()
        by = clock.wall_ns() // 1_000_000 - T0
        second = None
        try:
            for number, event in enumerate(events):
                if number == len(events) // 4:
                    confirmed(pipeline, clock)
                    second = _second(data, tmp_path)
                elif number == len(events) // 2:
                    _stop(pipeline, data / "bus.db")
                elif number == len(events) * 3 // 4:
                    confirmed(pipeline, clock)  # by the second
                    assert pipeline.resume(PROCESS_STATE)
                elif number == len(events) - 1:
                    confirmed(pipeline, clock)  # by either
                    assert second is not None
                    second.terminate()
                    assert second.wait(60) == 0
                value, headers = encode_state(moved(event, number, by))
                producer.send(STATE, key=b"-", value=value, headers=headers).result(60)
                clock.sleep(0.02)
            confirmed(pipeline, clock)  # by the first, which is back
            _account(pipeline, clock)
        finally:
            producer.close(60)
            broker.close()
            if second is not None:
                second.terminate()
                second.wait(60)
    first, other = data / "log" / "process-state.log", tmp_path / "second.log"
    assert '"working"' in other.read_text()
    assert "Traceback" not in first.read_text() + other.read_text()


def _stop(pipeline: EmbeddedPipeline, bus: Path) -> None:
    """Between two of its writes to the embedded bus: in the middle of one it would hold up
    everybody, for as long as it stands."""
    lock = BusLock(bus)
    while True:
        assert pipeline.pause(PROCESS_STATE)
        pid = pipeline.pid(PROCESS_STATE)
        assert pid is not None
        os.waitid(os.P_PID, pid, os.WSTOPPED)
        if lock.take():
            lock.release()
            return
        assert pipeline.resume(PROCESS_STATE)


def _second(data: Path, work: Path) -> "subprocess.Popen[bytes]":
    """Another member of the group, with a directory of its own."""
    config = yaml.safe_load((data / "config" / "process-state.yaml").read_text())
    config |= {"health": "127.0.0.1:0", "state_dir": str(work / "second")}
    path = work / "process-state.yaml"
    path.write_text(yaml.safe_dump(config))
    words = [sys.executable, "-m", "kubeledger", "process", "state", "--config", str(path)]
    with (work / "second.log").open("wb") as out:
        return subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT)


def _account(pipeline: EmbeddedPipeline, clock: SystemClock) -> None:
    """Rows, facts on the topic and facts in the table are those of a fold that never died.

    Ticks go on coming, and facts with them: what follows from the events up to here must be there,
    and nothing may be there that does not follow from all events, read last."""
    until = len(log(pipeline, STATE))
    confirmed(pipeline, clock)
    sent: dict[str, set[bytes]] = {}
    for record in log(pipeline, FACTS):
        sent.setdefault(decode_fact(record.value).id, set()).add(record.value)
    rows, stored = _tables(pipeline)

    fold, due, expected, kinds = open_folds(), {}, {}, []
    for number, record in enumerate(log(pipeline, STATE)):
        event = decode(record.value)
        kinds.append(event.kind)
        facts = {fact.id: encode_fact(fact)[1] for fact in fold.apply(event, record.offset)}
        expected |= facts
        due |= facts if number < until else {}
    assert set(due) <= set(sent) <= set(expected)
    assert {name: {expected[name]} for name in sent} == sent
    assert any(decode_fact(value).kind == EPISODE for value in due.values())
    assert rows == sum(kind not in ("tick", "synced") for kind in kinds)
    assert set(stored) <= set(expected)
    assert stored == {name: json.loads(expected[name])["body"] for name in stored}


def _tables(pipeline: EmbeddedPipeline) -> tuple[int, dict[str, object]]:
    """How many events are stored, each once; the facts by id, each once."""
    store = open_store(pipeline.store)
    try:
        total = 0
        for table in ("node_samples", "objects", "k8s_events", "signals"):
            rows, distinct = store.query(f"SELECT count(), uniqExact(ko) FROM {table}").rows[0]
            assert rows == distinct, table
            total += rows
        stored = store.query("SELECT id, body FROM facts").rows
    finally:
        store.close()
    bodies = {name: json.loads(body) for name, body in stored}
    assert len(stored) == len(bodies)
    return total, bodies

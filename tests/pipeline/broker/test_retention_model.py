"""Retention and compaction against lists, memory and SQLite: what may go goes, what must stay
stays where it was, and readers and commits survive both."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from pipeline.base.clock import ManualClock
from pipeline.broker import sqlite_producer
from pipeline.broker.memory import MemoryBroker
from pipeline.broker.protocol import Record, TopicPartition
from pipeline.broker.sqlite import SqliteBroker
from pipeline.contract.topics import TopicSpec

AGED, LATEST = TopicPartition("aged", 0), TopicPartition("latest", 0)
HOUR_S = 3600
KEYS = (b"a", b"b", b"c")
Written = tuple[int, bytes, bytes | None]  # time in ms, key, value


class RetentionModel(RuleBasedStateMachine):
    """`aged` keeps an hour, `latest` the last value of each key."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.broker: Any = self.open()
        admin = self.broker.admin()
        admin.ensure(
            [TopicSpec("aged", 1, 1, compacted=False), TopicSpec("latest", 1, 0, compacted=True)],
            create=True,
        )
        admin.close()
        self.producer = self.broker.producer()
        self.written: dict[TopicPartition, list[Written]] = {AGED: [], LATEST: []}
        self.reader = self.broker.reader()
        self.reader.assign([AGED])

    def open(self) -> Any:
        return MemoryBroker(clock=self.clock)

    def _send(self, tp: TopicPartition, key: bytes, value: bytes | None) -> None:
        log = self.written[tp]
        future = self.producer.send(tp.topic, key=key, value=value)
        assert future.result(60) == (0, len(log))
        log.append((self._now_ms(), key, value))

    def _now_ms(self) -> int:
        return self.clock.wall_ns() // 1_000_000

    @rule(count=st.integers(1, 90))
    def append(self, count: int) -> None:
        for _ in range(count):
            self._send(AGED, b"k", b"%d" % len(self.written[AGED]))

    @rule(key=st.sampled_from(KEYS), versions=st.integers(1, 3), gone=st.booleans())
    def update(self, key: bytes, versions: int, gone: bool) -> None:
        for number in range(versions):
            last = number == versions - 1
            value = None if gone and last else b"%d" % len(self.written[LATEST])
            self._send(LATEST, key, value)

    @rule(minutes=st.sampled_from([1, 20, 59, 61]))
    def wait(self, minutes: int) -> None:
        self.clock.advance(minutes * 60)

    @rule(minutes=st.sampled_from([0, 1, 20, 59, 60, 61]))
    def maintain(self, minutes: int) -> None:
        self.clock.advance(minutes * 60)
        self.broker.maintain()
        old = self._now_ms() - HOUR_S * 1000
        log = self.written[AGED]
        young = next((n for n, (at, *_) in enumerate(log) if at >= old), len(log))
        assert [record.offset for record in self._all(AGED)] == list(range(young, len(log)))

    @rule()
    def everything_that_must_be_there_is(self) -> None:
        old = self._now_ms() - HOUR_S * 1000
        offsets = [record.offset for record in self._all(AGED)]
        assert offsets == list(range(len(self.written[AGED]) - len(offsets), self._end(AGED)))
        must = {n for n, (at, *_) in enumerate(self.written[AGED]) if at >= old}
        assert must <= set(offsets)
        last = {key: n for n, (_, key, _) in enumerate(self.written[LATEST])}
        kept = {n for n in last.values() if self.written[LATEST][n][2] is not None}
        assert kept <= {record.offset for record in self._all(LATEST)}

    @rule()
    def a_day_later_nothing_else_is_kept(self) -> None:
        self.clock.advance(26 * HOUR_S)
        self.broker.maintain()
        last = {key: n for n, (_, key, _) in enumerate(self.written[LATEST])}
        kept = sorted(n for n in last.values() if self.written[LATEST][n][2] is not None)
        assert [record.offset for record in self._all(LATEST)] == kept
        assert self._all(AGED) == []

    @rule()
    def a_slow_reader_goes_on(self) -> None:
        """From where it was, or from what is left."""
        position = self.reader.position(AGED)
        beginning = self.reader.beginning_offset(AGED)
        found = self.reader.poll(0)
        if found:
            assert found[0].offset == max(position, beginning)
            self._compare(AGED, found)

    @precondition(lambda self: self.written[AGED])
    @rule()
    def offsets_never_go_back(self) -> None:
        assert self._end(AGED) == len(self.written[AGED])
        assert self._end(LATEST) == len(self.written[LATEST])

    def _end(self, tp: TopicPartition) -> int:
        return int(self.reader.end_offset(tp))

    def _all(self, tp: TopicPartition) -> list[Record]:
        reader = self.broker.reader()
        reader.assign([tp])
        found: list[Record] = []
        while records := reader.poll(0):
            found += records
        reader.close()
        self._compare(tp, found)
        return found

    def _compare(self, tp: TopicPartition, found: list[Record]) -> None:
        """What is read is what was written there, in order."""
        offsets = [record.offset for record in found]
        assert offsets == sorted(set(offsets))
        for record in found:
            _, key, value = self.written[tp][record.offset]
            assert (record.key, record.value) == (key, value)

    def teardown(self) -> None:
        self.reader.close()
        self.producer.close(5)
        self.broker.close()


class SqliteModel(RetentionModel):
    def open(self) -> Any:
        self.directory = tempfile.TemporaryDirectory()
        return SqliteBroker(
            Path(self.directory.name) / "bus.db", clock=self.clock, heartbeats=False
        )

    def teardown(self) -> None:
        super().teardown()
        self.directory.cleanup()


@pytest.mark.parametrize(("model", "examples"), [(RetentionModel, 150), (SqliteModel, 12)])
def test_against_the_model(
    model: type[RetentionModel], examples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing goes but in `maintain`: a producer's thread would do its part at any moment, also
    between two questions of ours (test_sqlite_file.py has that)."""
    monkeypatch.setattr(sqlite_producer, "sweep", lambda *_: False)
    run_state_machine_as_test(
        model,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

"""Signals on their way from the log processor to the event log: never behind the rows, never
lost without a word, never in the way of logs for ever."""

from concurrent.futures import Future

import pytest

from pipeline.base.errors import Fatal, Rejected
from pipeline.contract.metrics import SIGNALS, SIGNALS_UNSENT
from pipeline.contract.record import decode_dead
from pipeline.contract.state import StateEvent, decode_state
from pipeline.contract.topics import DEAD, STATE
from pipeline.logs_config import SignalsSetting
from pipeline.processor.signals import UNSENT
from pipeline.readiness.finder import SignalFinder
from pipeline.readiness.signals import load_signals
from pipeline.replay import replay_dead
from tests.models.processor_rig import (
    SIDECAR,
    Crash,
    World,
    check_exactly_once,
    settings,
    signals_of_rows,
)

READY = b"2026-11-23T05:35:03.1Z stdout F Envoy proxy is NOT ready: workers have not yet started\n"
BEGUN = b"2026-11-23T05:35:33.1Z stdout P Envoy proxy is NOT rea\n"
ENDED = b"2026-11-23T05:35:33.2Z stdout F dy: failed to get readiness stats\n"
OTHER = b"2026-11-23T05:36:03.1Z stdout F [2026-11-23] GET / 200\n"
WANTED = {"istio.not-ready", "istio.not-live"}


def world(**changes) -> World:
    return World(partitions=1, config=settings(**changes))


def events(found: World) -> list[StateEvent]:
    return [decode_state(record.value) for record in found.records(STATE)]


class Deaf:
    """A producer whose sends to the event log come to nothing, in one way or another."""

    def __init__(self, inner, error: BaseException | None) -> None:
        self.inner, self.error = inner, error
        self.pending: list[tuple[Future, dict]] = []

    def send(self, topic, **record):
        if topic != STATE:
            return self.inner.send(topic, **record)
        future: Future = Future()
        if self.error is not None:
            future.set_exception(self.error)
        else:
            self.pending.append((future, record))
        return future


def test_signals_name_row_pod_and_time():
    it = world()
    it.write(SIDECAR, OTHER + READY + BEGUN + ENDED)
    it.member()
    it.settle()
    check_exactly_once(it)
    first, *_ = found = events(it)
    assert {event.body["pattern"] for event in found} == WANTED
    assert len(found) == 4
    assert first.t == 1_795_412_103_100
    body = first.body
    assert (body["namespace"], body["pod"], body["container"]) == ("shop", "web-1", "istio-proxy")
    assert (body["node"], body["off"], int(body["file"], 16)) == ("node-1", len(OTHER), SIDECAR)
    assert {e.body["off"] for e in found} == {len(OTHER), len(OTHER + READY)}, "joined parts"
    assert it.telemetry.values[SIGNALS.name, ("istio.not-ready",)] == 2


def test_other_containers_have_none_and_they_can_be_switched_off():
    it = world()
    it.write(2, READY)
    it.member()
    it.settle()
    assert not events(it)
    it = world(signals=SignalsSetting(enabled=False))
    it.write(SIDECAR, READY)
    it.member()
    it.settle()
    assert not events(it)
    check_exactly_once(it)


@pytest.mark.parametrize("effect", range(1, 16))
def test_a_crash_anywhere_leaves_no_row_without_its_signals(effect):
    it = world()
    it.write(SIDECAR, READY + OTHER)
    it.write(SIDECAR, BEGUN + ENDED)
    it.fail(effect, Crash())
    if not it.step(it.member(), 40):
        assert signals_of_rows(it) <= {event.id for event in events(it)}
        it.clock.advance(60)
        it.member()
    it.settle()
    check_exactly_once(it)
    ids = [event.id for event in events(it)]
    assert len(set(ids)) == 4
    assert len(ids) <= 12, "one repetition, and one more where the store lost what it had taken"
    again = {event.id: event for event in events(it)}
    assert all(again[event.id] == event for event in events(it)), "the same id, the same words"


@pytest.mark.parametrize("error", [Rejected("too large"), Fatal("no topic kubeledger.state")])
def test_what_the_event_log_refuses_is_kept_and_logs_flow(error):
    it = world()
    it.write(SIDECAR, READY)
    member = it.member()
    member.crew.deliverer.signals.producer = Deaf(member.crew.producer, error)
    it.settle()
    check_exactly_once(it)
    rows = it.store.rows("dead_letters")
    assert {(row["reason"], row["file_id"], row["nbytes"]) for row in rows} == {
        (UNSENT.encode(), 0, 0)
    }
    assert len(rows) == len(it.records(DEAD)) == 2
    assert it.telemetry.values[SIGNALS_UNSENT.name, ("istio.not-ready",)] == 1
    letter = decode_dead(it.records(DEAD)[0].headers)
    assert str(error) in letter.detail
    assert replay_dead(it.bus, reason=UNSENT) == {UNSENT: 2}
    assert {event.body["pattern"] for event in events(it)} == WANTED
    assert signals_of_rows(it) == {event.id for event in events(it)}


def test_an_event_log_that_does_not_answer_holds_logs_up_once():
    it = world(signals=SignalsSetting(wait_s=5))
    member = it.member()
    deaf = member.crew.deliverer.signals.producer = Deaf(member.crew.producer, None)
    it.write(SIDECAR, READY)
    started = it.clock.monotonic()
    for _ in range(10):
        it.step(member)
        it.clock.advance(0.1)
    waited = it.clock.monotonic() - started
    assert 5 <= waited < 20
    it.write(SIDECAR, READY.replace(b"05:35:03", b"05:35:04"))
    it.settle()
    assert len(deaf.pending) == 2, "while it is stuck, nothing more is sent that way"
    assert len(it.records(DEAD)) == 4
    for future, record in deaf.pending:
        future.set_result(member.crew.producer.send(STATE, **record).result(0))
    it.write(SIDECAR, READY.replace(b"05:35:03", b"05:35:05"))
    member.crew.deliverer.signals.producer = member.crew.producer
    it.settle()
    check_exactly_once(it)
    assert len(events(it)) == 4
    assert len(it.records(DEAD)) == 4, "it takes them again"
    replay_dead(it.bus)
    assert signals_of_rows(it) == {event.id for event in events(it)}


def test_times_are_the_lines_own_however_old():
    old = READY.replace(b"2026-", b"2025-")
    it = world()
    it.write(SIDECAR, old)
    it.member()
    it.settle()
    (row,) = it.store.rows()
    assert row["ts_shift"] < 0
    assert {event.t for event in events(it)} == {1_763_876_103_100}


def test_rows_of_other_logs_cost_no_search():
    """The finder must not even see them."""

    class Counting(SignalFinder):
        seen = 0

        def find(self, source, file_id, **lines):
            Counting.seen += len(lines["bodies"])
            return super().find(source, file_id, **lines)

    it = world()
    member = it.member()
    member.crew.deliverer.signals.finder = Counting(load_signals())
    for file_id in (2, 3, 4):
        it.write(file_id, OTHER * 5)
    it.write(SIDECAR, OTHER * 2)
    it.settle()
    assert Counting.seen == 2

"""The fold at an offset: the same records give the same, from every point, however delivered."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.clock import ManualClock
from pipeline.base.fold import Folds, pack, unpack
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.broker.protocol import Record
from pipeline.contract.facts import encode_fact
from pipeline.contract.metrics import STATE_EVENTS, STATE_GONE, STATE_REPEATED
from pipeline.contract.state import EVENT, SAMPLE, StateEvent, encode_state
from pipeline.contract.topics import STATE
from pipeline.eventlog.machine import Item, Machine
from pipeline.eventlog.seen import Generations
from tests.models.state_rig import TRIPS, ChainFold


def machine(fold=ChainFold) -> Machine:
    return Machine(
        lambda tripped: Folds({"toy": fold()}, tripped),
        telemetry=RecordingTelemetry(),
        clock=ManualClock(),
    )


def record(offset: int, kind: str, name: str, *, reason: str = "") -> Record:
    body = {"node": "n", "part": "host", "outcome": "ok"}
    if kind == EVENT:
        body = {"uid": name, "reason": reason}
    value, headers = encode_state(StateEvent(kind, offset, "t", name, body))
    return Record(STATE, 0, offset, offset, b"-", value, headers)


logs = st.lists(
    st.tuples(
        st.sampled_from([SAMPLE, SAMPLE, EVENT]),
        st.integers(0, 25),
        st.sampled_from(["", "", "", TRIPS]),
    ),
    max_size=40,
).map(
    lambda found: [
        record(offset, kind, f"{kind}-{number}", reason=reason)
        for offset, (kind, number, reason) in enumerate(found)
    ]
)


def said(items: list[Item]) -> list[object]:
    """All that becomes visible of these records."""
    return [
        (item.offset, item.row, [encode_fact(fact) for fact in item.facts], item.dead)
        for item in items
    ]


@given(log=logs)
def test_from_every_point_the_rest_is_the_same(log: list[Record]) -> None:
    whole = machine()
    items = whole.take(log)
    part = machine()
    for at in range(len(log)):
        dump = part.dump()
        other = machine()
        other.restore(at, dump)
        assert other.dump() == dump
        assert said(other.take(log[at:])) == said(items[at:])
        assert other.dump() == whole.dump()
        part.take([log[at]])


@given(log=logs, cuts=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=8))
def test_however_it_is_delivered(log: list[Record], cuts: list[tuple[int, int]]) -> None:
    """Any pieces, overlapping, again and again: a record is folded once and in order."""
    whole, pieces = machine(), machine()
    expected, found = whole.take(log), []
    for start, stop in [*cuts, (0, len(log))]:
        if start <= pieces.next:
            found += pieces.take(log[start:stop])
    assert said(found) == said(expected)
    assert pieces.dump() == whole.dump()


def test_an_id_that_came_before_has_no_second_row() -> None:
    made = machine()
    log = [record(0, SAMPLE, "a"), record(1, EVENT, "b"), record(2, SAMPLE, "a"),
           record(3, EVENT, "b"), record(4, SAMPLE, "b")]  # fmt: skip
    assert [item.row is not None for item in made.take(log)] == [True, True, False, False, True]
    assert made._telemetry.values[STATE_REPEATED.name, (EVENT,)] == 1
    assert made._telemetry.values[STATE_EVENTS.name, (SAMPLE,)] == 3


def test_a_fold_that_trips_keeps_nothing_that_a_restart_would_not_have() -> None:
    """`half_done` is in no dump; were it kept, members would disagree from here on."""
    made = machine()
    bad, after = record(0, EVENT, "x", reason=TRIPS), record(1, EVENT, "y")
    (item,) = made.take([bad])
    assert [dead.reason for dead in item.dead] == ["fold-error"]
    assert "toy: KeyError: 'what this fold never thought of'" in item.dead[0].detail
    assert item.row is not None
    restarted = machine()
    restarted.restore(1, made.dump())
    assert said(restarted.take([after])) == said(made.take([after]))
    assert restarted.dump() == made.dump()


def test_the_other_folds_go_on() -> None:
    good = machine(ChainFold)._folds
    told = []
    folds = Folds({"bad": Tripping(), "good": ChainFold()}, lambda *what: told.append(what[0]))
    for number in range(3):
        event = StateEvent(SAMPLE, 1, "t", f"i{number}", {})
        assert folds.apply(event, number) == good.apply(event, number)
    assert told == ["bad"] * 3
    with pytest.raises(KeyError):
        Folds({"bad": Tripping()}).apply(event, 0)


class Tripping(ChainFold):
    def apply(self, event: StateEvent, offset: int) -> list:
        raise KeyError(event.id)


def test_records_that_are_gone_are_counted_and_told() -> None:
    made = machine()
    made.take([record(0, SAMPLE, "a"), record(5, SAMPLE, "b")])
    assert made.next == 6
    assert made._telemetry.values[STATE_GONE.name, ("folded",)] == 4
    assert [fields["last"] for name, fields in made._telemetry.events] == [4]


def test_a_dump_of_other_folds_is_refused() -> None:
    with pytest.raises(ValueError, match="the dump is of toy, not of other"):
        Folds({"other": ChainFold()}).restore(Folds({"toy": ChainFold()}).dump())
    with pytest.raises(ValueError, match="parts of 3 bytes"):
        unpack(b"".join(pack({"a": b"123"})) + b"4")


@given(names=st.lists(st.integers(0, 30), max_size=200), cut=st.integers(0, 200))
def test_ids_are_remembered_for_a_bounded_time(names: list[int], cut: int) -> None:
    """Against a plain list: what came within the last `capacity` new ids is known for sure, what
    is more than twice as far back is not."""
    memory, fresh = Generations(5), []
    for at, number in enumerate(names):
        if at == cut:
            again = Generations(5)
            again.restore(memory.dump())
            assert again.dump() == memory.dump()
            memory = again
        first = memory.first(str(number))
        if number in fresh[-5:]:
            assert not first
        if number not in fresh[-10:]:
            assert first
        if first:
            fresh.append(number)


def test_the_event_reader_takes_what_our_writer_makes() -> None:
    """A log line that is no text travels as half surrogates, which the fast reader refuses."""
    made = machine()
    value, _ = encode_state(StateEvent(EVENT, 1, "t", "i", {"uid": "u", "message": "\udcff"}))
    with pytest.raises(UnicodeDecodeError):
        json.loads(value.decode())
    (item,) = made.take([Record(STATE, 0, 0, 0, None, value, ())])
    assert item.row is not None
    assert not item.dead

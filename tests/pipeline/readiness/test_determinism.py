"""The same recording gives the same facts, byte for byte: twice, from every snapshot, and with
events that are delivered again."""

import random

import pytest

from pipeline.base.errors import UsageError
from pipeline.base.fold import Folds
from pipeline.base.seen import Seen
from pipeline.contract.facts import encode_fact
from pipeline.contract.state import StateEvent, decode_state, encode_state
from tests.cases.all import CASES
from tests.cases.case import Case, told
from tests.cases.rig import new_fold

SNAPSHOTS = 12


def fresh() -> Folds:
    return Folds({"readiness": new_fold()}, seen=Seen())


def folded(fold: Folds, events: list[tuple[int, StateEvent]]) -> list[tuple[bytes, bytes, object]]:
    return [encode_fact(fact) for offset, event in events for fact in fold.apply(event, offset)]


def recorded(case: Case) -> list[tuple[int, StateEvent]]:
    """Through the wire format, as a processor reads it."""
    _, rig = told(case)
    return [(n, decode_state(encode_state(event)[0])) for n, event in enumerate(rig.events)]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_twice_and_from_snapshots(case: Case) -> None:
    events = recorded(case)
    whole = folded(fresh(), events)
    assert folded(fresh(), events) == whole

    step = max(1, len(events) // SNAPSHOTS)
    first = fresh()
    done: list[tuple[bytes, bytes, object]] = []
    for start in range(0, len(events), step):
        snapshot = first.dump()
        second = fresh()
        second.restore(snapshot)
        assert second.dump() == snapshot
        assert done + folded(second, events[start:]) == whole
        done += folded(first, events[start : start + step])


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_delivered_again(case: Case) -> None:
    """A producer's retry puts an event there twice; a recovering one repeats a stretch."""
    chance = random.Random(case.name)
    events = recorded(case)
    whole = folded(fresh(), events)
    again: list[tuple[int, StateEvent]] = []
    for number, pair in enumerate(events):
        again.append(pair)
        if chance.random() < 0.2:
            again.append(pair)
        if chance.random() < 0.05:
            again += events[max(0, number - 5) : number + 1]
    assert folded(fresh(), again) == whole


def test_a_snapshot_of_another_version_is_refused() -> None:
    with pytest.raises(UsageError, match="fold again from the beginning"):
        new_fold().restore(b'{"version": 0}')

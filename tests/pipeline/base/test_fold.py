"""Several folds as one: who sees which event, and how often."""

from collections.abc import Sequence
from typing import Any

import pytest

from pipeline.base.fold import Folds
from pipeline.base.seen import Seen
from pipeline.contract.facts import Fact
from pipeline.contract.state import (
    ADDED,
    EVENT,
    KINDS,
    OBJECT,
    OK,
    SAMPLE,
    SYNCED,
    TICK,
    StateEvent,
)


class Listening:
    """Remembers what it was shown."""

    def __init__(self, *kinds: str) -> None:
        self.KINDS = frozenset(kinds or KINDS)
        self.shown: list[tuple[str, list[str]]] = []

    def apply(self, event: StateEvent, offset: int, gone: Sequence[StateEvent] = ()) -> list[Fact]:
        self.shown.append((event.id, [g.body["object"]["metadata"]["uid"] for g in gone]))
        return []

    def dump(self) -> bytes:
        return b""

    def restore(self, data: bytes) -> None:
        pass


def pod(uid: str, version: int) -> StateEvent:
    meta = {"uid": uid, "resourceVersion": str(version), "namespace": "shop", "name": uid}
    body = {"resource": "pods", "type": ADDED, "object": {"metadata": meta}}
    return StateEvent(OBJECT, version, "watch", f"{uid}:{version}", body)


def event(kind: str, t: int, **body: Any) -> StateEvent:
    return StateEvent(kind, t, "test", f"{kind}:{t}", body)


LISTED = event(SYNCED, 9, resource="pods", version="9", count=1, outcome=OK, uids=["a"])


def test_each_sees_what_it_reads_and_nothing_twice() -> None:
    every, some = Listening(), Listening(OBJECT, TICK)
    folds = Folds({"every": every, "some": some}, seen=Seen())
    sample = event(SAMPLE, 2, node="n", part="host")
    for each in (pod("a", 1), sample, event(EVENT, 3), event(TICK, 4)):
        folds.apply(each, 0)
        folds.apply(each, 1)
    assert [name for name, _ in every.shown] == ["a:1", "sample:2", "event:3", "tick:4"]
    assert [name for name, _ in some.shown] == ["a:1", "tick:4"]


def test_what_a_list_does_not_have_is_gone_for_all_and_once() -> None:
    folds = {"one": Listening(), "other": Listening()}
    together = Folds(folds, seen=Seen())
    again = StateEvent(SYNCED, 10, "watch", "again", LISTED.body)
    for each in (pod("a", 1), pod("b", 2), LISTED, again):
        together.apply(each, 0)
    for fold in folds.values():
        assert fold.shown == [("a:1", []), ("b:2", []), (LISTED.id, ["b"]), ("again", [])]


def test_what_was_seen_is_part_of_the_dump() -> None:
    first, second = Folds({"f": Listening()}, seen=Seen()), Listening()
    for each in (pod("a", 1), pod("b", 2)):
        first.apply(each, 0)
    restored = Folds({"f": second}, seen=Seen())
    restored.restore(first.dump())
    assert restored.dump() == first.dump()
    for each in (pod("a", 1), LISTED):
        restored.apply(each, 0)
    assert second.shown == [(LISTED.id, ["b"])]
    with pytest.raises(ValueError, match="the dump is of f, seen, not of f"):
        Folds({"f": Listening()}).restore(first.dump())


def test_an_event_that_cannot_be_told_from_others_reaches_nobody() -> None:
    fold, told = Listening(), list[str]()
    folds = Folds({"f": fold}, lambda *what: told.append(what[0]), seen=Seen())
    folds.apply(event(SAMPLE, 1, node="n"), 0)  # of which part?
    folds.apply(event(SAMPLE, 1, node="n", part="host"), 1)
    assert (told, len(fold.shown)) == (["seen"], 1)
    with pytest.raises(KeyError):
        Folds({"f": fold}, seen=Seen()).apply(event(SAMPLE, 1), 0)

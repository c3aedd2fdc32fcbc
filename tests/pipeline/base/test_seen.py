"""What was folded before, and what a complete list says about existence."""

from typing import Any

from pipeline.base.seen import Seen, SeenState
from pipeline.contract.state import ADDED, DELETED, MODIFIED, OBJECT, SYNCED, StateEvent

Version = tuple[str, int]


def obj(uid: str, version: int, kind: str = MODIFIED, namespace: str = "shop") -> StateEvent:
    meta = {"uid": uid, "resourceVersion": str(version), "namespace": namespace, "name": uid}
    body = {"resource": "pods", "type": kind, "object": {"metadata": meta}}
    return StateEvent(OBJECT, version, "watch", f"{uid}:{version}", body)


def synced(version: int, *uids: str, **more: Any) -> StateEvent:
    body = {"resource": "pods", "version": str(version), "count": 1, "outcome": "ok",
            "uids": list(uids), "after": "", "upto": ""} | more  # fmt: skip
    return StateEvent(SYNCED, version, "watch", f"synced:{version}", body)


def seen(*events: StateEvent) -> Seen:
    fresh = Seen(SeenState())
    for event in events:
        fresh.repeats(event)
    return fresh


def gone(found: list[StateEvent]) -> list[str]:
    assert all(event.body["type"] == DELETED for event in found)
    return [event.body["object"]["metadata"]["uid"] for event in found]


def test_older_and_equal_versions_repeat() -> None:
    known = seen(obj("a", 5, ADDED))
    assert known.repeats(obj("a", 5))
    assert known.repeats(obj("a", 4))
    assert not known.repeats(obj("a", 6))


def test_a_deleted_object_stays_deleted() -> None:
    known = seen(obj("a", 5), obj("a", 6, DELETED))
    assert known.repeats(obj("a", 6, DELETED))
    assert known.repeats(obj("a", 7)), "a uid never comes back"


def test_a_list_says_what_is_gone() -> None:
    known = seen(obj("a", 5), obj("b", 6), obj("c", 30))
    assert gone(known.vanished(synced(20, "a"))) == ["b"], "c is newer than the list"
    assert known.repeats(obj("x", 19)), "older than the list, and not in it"
    assert not known.repeats(obj("x", 21))


def test_ranges_and_scopes_speak_for_themselves_only() -> None:
    known = seen(obj("a", 1), obj("c", 2), obj("e", 3), obj("f", 4, namespace="other"))
    assert gone(known.vanished(synced(9, "a", after="", upto="b"))) == []
    assert gone(known.vanished(synced(9, after="b", upto="d"))) == ["c"]
    assert gone(known.vanished(synced(9, namespace="other"))) == ["f"]


def test_without_uids_or_with_a_failure_it_says_nothing() -> None:
    known = seen(obj("a", 1))
    plain = synced(9)
    assert known.vanished(StateEvent(SYNCED, 9, "w", "s", {
        k: v for k, v in plain.body.items() if k != "uids"})) == []  # fmt: skip
    assert known.vanished(synced(9, outcome="forbidden")) == []


def test_what_is_gone_and_what_has_its_name_now() -> None:
    known = Seen()
    for uid, version in (("old", 1), ("other", 2), ("new", 3)):
        meta = {"uid": uid, "resourceVersion": str(version), "namespace": "", "name": "a"}
        meta["name"] = "b" if uid == "other" else "a"
        body = {"resource": "nodes", "type": "ADDED", "object": {"metadata": meta}}
        known.repeats(StateEvent(OBJECT, version, "w", f"{uid}:{version}", body))
    told = {"resource": "nodes", "version": "9", "outcome": "ok", "uids": ["new"]}
    found = known.gone(StateEvent(SYNCED, 9, "w", "s", told))
    assert [
        (event.body["object"]["metadata"]["uid"], event.body.get("replaced")) for event in found
    ] == [("old", True), ("other", None)]


def test_a_name_that_is_no_text_does_not_spoil_the_snapshot() -> None:
    known = Seen()
    for uid, name in (("a", None), ("b", {}), ("c", 3)):
        meta = {"uid": uid, "resourceVersion": "1", "namespace": name, "name": name}
        body = {"resource": "nodes", "type": "ADDED", "object": {"metadata": meta}}
        assert not known.repeats(StateEvent(OBJECT, 1, "w", uid, body))
    again = Seen()
    again.restore(known.dump())
    assert again.dump() == known.dump()

"""One scope in virtual time, step by step: what is asked, when, and what is said."""

import json
from random import Random

import pytest

from collectors.cluster.known import Known
from collectors.cluster.ports import Broken, Ended, Instant, List, Opened, Refused, Watch
from collectors.cluster.resource import ResourceWatch
from collectors.cluster.resources import RESOURCES, Scope
from pipeline.contract import state
from pipeline.contract.state import StateEvent

T0 = 1_795_000_000.0


def scope(name: str, namespace: str = "") -> Scope:
    resource = next(r for r in RESOURCES if r.name == name)
    return Scope(resource, namespace or resource.namespace)


class Driver:
    """A scope, and the answers that a test gives."""

    def __init__(self, name: str = "pods", *, page: int = 500, namespace: str = "") -> None:
        self.now = Instant.at(T0)
        self.watch = ResourceWatch(
            scope(name, namespace), Known(), start_s=T0, random=Random(7), page=page
        )
        self.events: list[StateEvent] = []

    def ask(self) -> List | Watch:
        """Whatever comes next, as soon as it is due."""
        self.now = Instant.at(max(self.now.mono, self.watch.due))
        request = self.watch.request(self.now)
        assert request is not None
        return request

    def feed(self, *pieces: object) -> list[StateEvent]:
        events: list[StateEvent] = []
        for piece in pieces:
            events += self.watch.fed(piece, self.now)  # type: ignore[arg-type]
        self.events += events
        return events

    def listed(self, *items: dict, version: int = 100, token: str = "") -> list[StateEvent]:
        request = self.ask()
        assert isinstance(request, List)
        meta = {"resourceVersion": str(version), **({"continue": token} if token else {})}
        body = json.dumps({"kind": "PodList", "metadata": meta, "items": list(items)})
        return self.feed(body[:20].encode(), body[20:].encode(), Ended())

    def after(self, seconds: float) -> None:
        self.now = Instant.at(self.now.mono + seconds)


def pod(name: str, version: int, **more: object) -> dict:
    meta = {"name": name, "namespace": "shop", "uid": f"uid-{name}"}
    return {"metadata": {**meta, "resourceVersion": str(version)}, **more}


def lease(version: int, renewed: str) -> dict:
    found = pod("node-a", version, spec={"renewTime": renewed})
    return {**found, "metadata": {**found["metadata"], "namespace": "kube-node-lease"}}


def line(kind: str, shown: dict) -> bytes:
    return json.dumps({"type": kind, "object": shown}).encode() + b"\n"


def params(request: List | Watch) -> dict[str, str]:
    return dict(request.params)


def told(events: list[StateEvent]) -> list[tuple[str, str]]:
    return [
        (e.body["type"], e.id) if e.kind == "object" else (e.kind, e.body.get("outcome", ""))
        for e in events
    ]


def test_list_then_watch_from_there() -> None:
    driver = Driver()
    events = driver.listed(pod("a", 90), pod("b", 95))
    assert told(events) == [
        ("MODIFIED", "uid-a:90"),
        ("MODIFIED", "uid-b:95"),
        ("synced", "ok"),
    ]
    body = events[-1].body
    assert (body["version"], body["count"], body["uids"]) == ("100", 2, ["uid-a", "uid-b"])
    assert (body["after"], body["upto"]) == ("", "")
    watch = driver.ask()
    assert watch.path == "/api/v1/pods"
    assert params(watch)["resourceVersion"] == "100"
    assert params(watch)["allowWatchBookmarks"] == "true"
    assert 300 <= int(params(watch)["timeoutSeconds"]) <= 600
    assert told(driver.feed(Opened(), line("ADDED", pod("c", 101)))) == [("ADDED", "uid-c:101")]
    assert told(driver.feed(line("DELETED", pod("a", 102)))) == [("DELETED", "uid-a:deleted")]


def test_pages() -> None:
    driver = Driver(page=2)
    events = driver.listed(pod("a", 90), pod("b", 91), token="more")
    assert "synced" not in dict(told(events)), "not before the last page"
    request = driver.ask()
    assert params(request) == {"limit": "2", "continue": "more"}
    driver.feed(Refused(410, b"expired"))
    request = driver.ask()
    assert params(request) == {}, "the token has expired: all in one answer"


def test_a_line_that_did_not_end_does_not_count() -> None:
    driver = Driver()
    driver.listed(pod("a", 90))
    driver.ask()
    whole, half = line("MODIFIED", pod("a", 101)), line("MODIFIED", pod("a", 102))[:-9]
    assert told(driver.feed(whole + half)) == [("MODIFIED", "uid-a:101")]
    driver.feed(Broken(state.UNREACHABLE))
    again = driver.ask()
    assert isinstance(again, Watch)
    assert params(again)["resourceVersion"] == "101"
    assert told(driver.feed(line("MODIFIED", pod("a", 102)))) == [("MODIFIED", "uid-a:102")]


def test_bookmarks_move_the_version_and_are_no_objects() -> None:
    driver = Driver("nodes")
    driver.listed(pod("a", 90))
    driver.ask()
    empty = {"kind": "Node", "metadata": {"resourceVersion": "555"}, "spec": {}, "status": {}}
    assert driver.feed(line("BOOKMARK", empty)) == []
    driver.feed(Ended())
    assert params(driver.ask())["resourceVersion"] == "555"


def test_what_came_before_an_unreadable_line_counts() -> None:
    driver = Driver()
    driver.listed(pod("a", 90))
    driver.ask()
    events = driver.feed(line("MODIFIED", pod("a", 101)) + b"<html>\n" + line("ADDED", pod("b", 9)))
    assert told(events) == [("MODIFIED", "uid-a:101"), ("synced", state.UNREADABLE)]
    assert driver.watch.deaf
    driver.feed(Ended())
    assert isinstance(driver.ask(), List)


def test_after_410_only_differences_are_told() -> None:
    driver = Driver()
    driver.listed(pod("a", 90), pod("b", 91), pod("c", 92))
    driver.ask()
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    assert driver.feed(line("ERROR", gone)) == []
    driver.feed(Ended())
    events = driver.listed(pod("a", 90), pod("b", 191), pod("d", 192), version=200)
    assert told(events) == [
        ("MODIFIED", "uid-b:191"),
        ("ADDED", "uid-d:192"),
        ("DELETED", "uid-c:deleted"),
        ("synced", "ok"),
    ]
    deleted = events[2].body
    assert deleted["inferred"] is True
    assert deleted["object"]["metadata"] == {
        "name": "c", "namespace": "shop", "uid": "uid-c", "resourceVersion": "92"
    }  # fmt: skip
    assert "uids" not in events[-1].body


def test_what_was_made_anew_while_nobody_looked_replaces_the_old() -> None:
    driver = Driver()
    driver.listed(pod("a", 90), pod("b", 91))
    driver.ask()
    driver.feed(Refused(410), Ended())
    again = pod("a", 150)
    again["metadata"]["uid"] = "uid-new"
    events = driver.listed(again, version=200)
    assert told(events) == [
        ("ADDED", "uid-new:150"),
        ("DELETED", "uid-a:deleted"),
        ("DELETED", "uid-b:deleted"),
        ("synced", "ok"),
    ]
    assert [event.body.get("replaced") for event in events[1:3]] == [True, None]


def test_410_for_every_watch_does_not_list_without_pause() -> None:
    driver = Driver()
    began = driver.now.mono
    for _ in range(6):
        driver.listed(pod("a", 90))
        driver.ask()
        driver.feed(Refused(410, b""))
    assert driver.now.mono - began > 10


def denied(driver: Driver, seconds: float) -> list[List | Watch]:
    """Denied for so long: what was asked meanwhile."""
    began, asked = driver.now.mono, []
    while not asked or driver.watch.due - began < seconds:
        asked.append(driver.ask())
        driver.feed(Refused(403, b'{"message": "pods is forbidden"}'))
    return asked


def test_denied_is_said_once_and_asked_more_and_more_rarely() -> None:
    driver = Driver()
    pauses = []
    for _ in range(12):
        assert isinstance(driver.ask(), List)
        driver.feed(Refused(403, b'{"message": "pods is forbidden"}'))
        pauses.append(driver.watch.due - driver.now.mono)
    for number, pause in enumerate(pauses):
        assert 0.5 <= pause / min(1.5 * 2**number, 300) <= 1.5, number
    [said] = driver.events
    assert said.body["outcome"] == state.FORBIDDEN
    assert 'resources: ["pods"], verbs: ["list", "watch"]' in said.body["detail"]
    assert told(driver.listed())[-1] == ("synced", "ok"), "rights were given"


def test_permission_that_is_never_given_costs_little() -> None:
    assert len(denied(Driver(), 86_400)) < 400, "a day"


@pytest.mark.parametrize("status", [403, 404])
def test_a_watch_that_is_denied_shortly_goes_on_from_its_version(status: int) -> None:
    """As a server does whose RBAC rules and APIs are not there yet."""
    driver = Driver()
    driver.listed(pod("a", 90))
    driver.ask()
    driver.feed(line("MODIFIED", pod("a", 101)), Broken(state.UNREACHABLE))
    for _ in range(3):
        assert isinstance(driver.ask(), Watch)
        driver.feed(Refused(status))
    again = driver.ask()
    assert isinstance(again, Watch)
    assert params(again)["resourceVersion"] == "101"
    assert told(driver.feed(Opened(), line("MODIFIED", pod("a", 102)))) == [
        ("synced", "ok"),
        ("MODIFIED", "uid-a:102"),
    ]
    driver.feed(Ended())
    driver.ask()
    driver.feed(Refused(status))
    assert driver.watch.due - driver.now.mono < 3, "well in between: begins with short pauses"


def test_a_watch_that_is_denied_for_long_begins_with_a_list() -> None:
    driver = Driver()
    driver.listed(pod("a", 90))
    driver.ask()
    driver.after(10)
    driver.feed(Opened(), Ended())
    asked = denied(driver, 400)
    assert [type(request) for request in asked[:3]] == [Watch] * 3
    assert isinstance(asked[-1], List)
    assert told(driver.listed(pod("a", 105), version=200)) == [
        ("MODIFIED", "uid-a:105"),
        ("synced", "ok"),
    ]


def test_where_watching_alone_is_denied_there_is_one_list() -> None:
    driver = Driver()
    driver.listed(pod("a", 90))
    assert {type(request) for request in denied(driver, 7_200)} == {Watch}
    assert told(driver.events)[1:] == [("synced", "ok"), ("synced", state.FORBIDDEN)]


def test_another_version_of_the_api_goes_on_from_the_same_version() -> None:
    """An upgraded server no longer has the one that was watched."""
    driver = Driver("poddisruptionbudgets")
    driver.listed(pod("a", 90))
    driver.ask()
    driver.feed(Refused(404))
    again = driver.ask()
    assert (again.path, params(again)["resourceVersion"]) == (
        "/apis/policy/v1beta1/poddisruptionbudgets",
        "100",
    )
    assert told(driver.events)[1:] == [("synced", "ok")], "nothing was missed"


def test_api_that_is_not_served_then_installed() -> None:
    driver = Driver("nodepools")
    paths = []
    for _ in range(4):
        paths.append(driver.ask().path)
        driver.feed(Refused(404, b"404 page not found"))
    assert paths == ["/apis/karpenter.sh/v1/nodepools", "/apis/karpenter.sh/v1beta1/nodepools"] * 2
    [said] = driver.events
    assert (said.body["outcome"], said.body["status"]) == (state.STATUS, 404)
    assert "not served" in said.body["detail"]


def test_retry_after_and_growing_pauses() -> None:
    driver = Driver()
    pauses = []
    for _ in range(8):
        driver.ask()
        driver.feed(Broken(state.REFUSED, "connection refused"))
        pauses.append(driver.watch.due - driver.now.mono)
    assert pauses[0] < 2 < pauses[4]
    assert max(pauses) <= 45
    driver.ask()
    driver.feed(Refused(429, b"", 77.0))
    assert driver.watch.due - driver.now.mono >= 77
    assert told(driver.events) == [("synced", state.REFUSED), ("synced", state.STATUS)]


def test_an_outage_of_a_watch_is_told_with_its_end() -> None:
    driver = Driver()
    driver.listed(pod("a", 90))
    driver.ask()
    assert driver.feed(Opened(), Broken(state.TIMEOUT, "silent")) == [], "dropped: go on"
    driver.ask()
    assert told(driver.feed(Broken(state.REFUSED, "x"))) == [("synced", state.REFUSED)]
    driver.ask()
    [back] = driver.feed(Opened())
    assert (back.body["outcome"], back.body["version"]) == ("ok", "100")
    assert "uids" not in back.body


def test_a_version_from_which_nothing_comes_is_given_up() -> None:
    driver = Driver()
    driver.listed(pod("a", 90))
    for _ in range(3):
        assert isinstance(driver.ask(), Watch)
        driver.feed(Refused(504, b"Too large resource version"))
    assert isinstance(driver.ask(), List)


def test_a_server_that_is_away_for_long_is_not_met_with_lists() -> None:
    driver = Driver()
    driver.listed(pod("a", 90))
    for piece in [Broken(state.REFUSED, "x"), Refused(503), Refused(401)] * 5:
        assert isinstance(driver.ask(), Watch)
        driver.feed(piece)
    assert isinstance(driver.ask(), Watch)


def test_everything_is_written_again_once_a_day() -> None:
    driver = Driver()
    driver.listed(pod("a", 90))
    driver.ask()
    driver.feed(Opened())
    driver.after(86_400)
    driver.feed(Ended())
    events = driver.listed(pod("a", 90), pod("b", 300), version=400)
    assert told(events)[:2] == [("MODIFIED", "uid-a:90"), ("MODIFIED", "uid-b:300")]
    assert events[-1].body["uids"] == ["uid-a", "uid-b"]


def test_uids_come_in_ranges_that_speak_for_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.cluster.said.UIDS_A_RECORD", 2)
    driver = Driver()
    events = driver.listed(*(pod(name, 90) for name in "edcba"))
    parts = [(e.body["after"], e.body["uids"], e.body["upto"]) for e in events[5:]]
    assert parts == [
        ("", ["uid-a", "uid-b"], "uid-b"),
        ("uid-b", ["uid-c", "uid-d"], "uid-d"),
        ("uid-d", ["uid-e"], ""),
    ]
    assert len({e.id for e in events}) == len(events)


def test_one_namespace_says_which() -> None:
    driver = Driver(namespace="shop")
    events = driver.listed(pod("a", 90))
    assert events[-1].body["namespace"] == "shop"
    assert driver.ask().path == "/api/v1/namespaces/shop/pods"


# Leases


def test_a_lease_is_sampled_and_its_last_renewal_is_told() -> None:
    driver = Driver("leases")
    driver.listed(lease(90, "r0"))
    driver.ask()
    driver.feed(Opened())
    for number in range(1, 4):  # at 10, 20, 30 s; then the kubelet dies
        driver.after(10)
        driver.events += driver.watch.tick(driver.now)
        driver.feed(line("MODIFIED", lease(90 + number, f"r{number}")))
    for _ in range(30):
        driver.after(1)
        driver.events += driver.watch.tick(driver.now)
    written = [e for e in driver.events if e.kind == "object"]
    assert [e.body["object"]["spec"]["renewTime"] for e in written] == ["r0", "r1", "r3"]
    times = [e.t / 1000 - T0 for e in written]
    assert times == [0, 20, 40], "every 20 s at most"
    assert [e.body.get("seen_ms", e.t) / 1000 - T0 for e in written] == [0, 10, 30]


def pulses(events: list[StateEvent]) -> list[float]:
    return [event.t / 1000 - T0 for event in events if "next_ms" in event.body]


def test_while_leases_are_watched_there_is_a_pulse() -> None:
    driver = Driver("leases")
    driver.listed(lease(90, "r0"))
    assert driver.watch.tick(driver.now) == [], "not before the watch is open"
    driver.ask()
    driver.feed(Opened())
    for _ in range(12):
        assert driver.watch.due <= driver.now.mono + 5
        driver.events += driver.watch.tick(driver.now)
        driver.after(1)
    assert pulses(driver.events) == [0, 5, 10]
    (first, *_) = [event.body for event in driver.events if "next_ms" in event.body]
    assert (first["outcome"], first["next_ms"], first["count"]) == ("ok", 5000, 1)
    driver.feed(Ended())
    driver.after(5)
    assert driver.watch.tick(driver.now) == [], "not while it is not open"
    driver.ask()
    driver.feed(Opened())
    assert pulses(driver.watch.tick(driver.now)) == [17]


def test_other_resources_have_no_pulse() -> None:
    driver = Driver("pods")
    driver.listed(pod("a", 90))
    driver.ask()
    driver.feed(Opened())
    driver.after(60)
    assert driver.watch.tick(driver.now) == []
    assert driver.watch.due == float("inf")


def test_a_lease_that_changes_without_being_renewed_is_not_written() -> None:
    driver = Driver("leases")
    driver.listed(lease(90, "r0"))
    driver.ask()
    driver.after(60)
    assert driver.feed(line("MODIFIED", lease(91, "r0"))) == []


def test_a_renewal_told_late_begins_a_new_wait() -> None:
    """The ticker is late: a renewal is written at its own time, and the next one not at once."""
    driver = Driver("leases")
    driver.listed(lease(90, "r0"))
    driver.ask()
    driver.after(10)
    driver.feed(line("MODIFIED", lease(91, "r1")))
    driver.after(12)
    assert len(driver.feed(line("MODIFIED", lease(92, "r2")))) == 1
    driver.after(5)
    driver.feed(line("MODIFIED", lease(93, "r3")))
    assert [e for e in driver.watch.tick(driver.now) if e.kind == "object"] == []
    driver.after(15)
    assert len([e for e in driver.watch.tick(driver.now) if e.kind == "object"]) == 1


def test_a_watch_that_lived_goes_on_at_once_one_that_does_not_live_is_given_up() -> None:
    driver = Driver()
    driver.listed(pod("a", 90))
    for _ in range(20):
        driver.ask()
        driver.after(30)
        driver.feed(Opened(), Ended())
        assert driver.watch.due - driver.now.mono <= 1
    pauses = []
    for _ in range(3):
        assert isinstance(driver.ask(), Watch)
        driver.feed(Opened(), Ended())
        pauses.append(driver.watch.due - driver.now.mono)
    assert pauses[2] > 1.5
    assert isinstance(driver.ask(), List)

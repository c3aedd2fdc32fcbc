"""The watcher over real sockets: what it writes, and what it survives."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.base.errors import Fatal
from pipeline.broker.memory import MemoryBroker
from pipeline.contract import state
from pipeline.contract.state import DELETED, EVENT, OBJECT, SYNCED
from tests.collectors.cluster.fake_api import FakeApi, Fault
from tests.collectors.cluster.fake_store import TWIN, FakeStore, Reply, status
from tests.collectors.cluster.reader import Reader
from tests.collectors.cluster.watcher_rig import (
    EVENTS,
    NODES,
    PODS,
    RunningWatcher,
    agrees,
    believed,
    bus,
    events_of,
    truth,
    until,
    watched,
)


@pytest.fixture
def api() -> Iterator[FakeApi]:
    store = FakeStore()
    for number in range(7):
        store.put(PODS, f"web-{number}", "shop", spec={"nodeName": "node-a"}, status={})
    store.put(NODES, "node-a", spec={}, status={"images": [{"names": ["huge"]}]})
    with FakeApi(store) as running:
        yield running


def change_pod(api: FakeApi, name: str, **fields: object) -> str:
    with api.changing():
        version = api.store.put(PODS, name, "shop", **fields)["metadata"]["resourceVersion"]
    return str(version)


def delete_pod(api: FakeApi, name: str) -> None:
    with api.changing():
        api.store.delete(PODS, name)


def synced(broker: object, resource: str) -> list[dict]:
    return [
        dict(event.body)
        for event in events_of(broker)  # type: ignore[arg-type]
        if event.kind == SYNCED and event.body["resource"] == resource
    ]


def test_what_is_there_and_what_changes_is_on_the_log(api: FakeApi, tmp_path: Path) -> None:
    broker = bus()
    with RunningWatcher.on(api, tmp_path, broker) as watcher:
        until(lambda: synced(broker, "pods"))
        change_pod(api, "new", spec={"nodeName": "node-b"}, status={"phase": "Pending"})
        delete_pod(api, "web-3")
        until(lambda: agrees(api, broker))
    assert api.tokens == {"Bearer s3cret"}
    assert "s3cret" not in watcher.log.getvalue()
    kinds = [e.body["type"] for e in events_of(broker) if e.kind == OBJECT]
    assert kinds.count(DELETED) == 1
    assert kinds.count("ADDED") == 1, "new; all that was there already is MODIFIED"
    objects = [e.body for e in events_of(broker) if e.kind == OBJECT]
    nodes = [body["object"] for body in objects if body["resource"] == "nodes"]
    assert nodes[0]["status"] == {}, "images are not kept"


def test_both_event_apis_give_one_event(api: FakeApi, tmp_path: Path) -> None:
    broker = bus()
    about = {"kind": "Pod", "namespace": "shop", "name": "web-0", "fieldPath": "spec"}
    shown = {"reason": "Failed", "message": "no", "type": "Warning", "involvedObject": about}
    api.faults = {EVENTS: Fault(brief=True), TWIN: Fault(brief=True)}
    with RunningWatcher.on(api, tmp_path, broker):
        until(lambda: watched(api, EVENTS, TWIN))
        for count in (1, 2):
            with api.changing():
                api.store.put(EVENTS, "e", "shop", **shown, count=count)
        until(lambda: {EVENTS, TWIN} <= read_by_the_watcher(api))
    found = [event.body for event in events_of(broker) if event.kind == EVENT]
    assert [body["count"] for body in found] == [1, 2], "each version, once, whoever showed it"
    assert {body["message"] for body in found} == {"no"}
    assert found[0]["object"] == {
        "kind": "Pod", "namespace": "shop", "name": "web-0", "field": "spec"
    }  # fmt: skip


def read_by_the_watcher(api: FakeApi) -> set[str]:
    """Paths that were resumed at the newest version: what was told before has been read."""
    return {path for path, version in list(api.watched_from) if version >= api.store.version}


def test_streams_cut_in_the_middle_of_a_line_lose_nothing(api: FakeApi, tmp_path: Path) -> None:
    broker = bus()
    api.once[PODS] = deque(Fault(cut_after=at, watches_only=True) for at in (1, 130, 300, 777))
    with RunningWatcher.on(api, tmp_path, broker):
        until(lambda: synced(broker, "pods"))
        for number in range(12):
            change_pod(api, "web-0", spec={"n": number}, status={})
        until(lambda: agrees(api, broker))
        until(lambda: not api.once[PODS])
        until(lambda: agrees(api, broker))
    assert api.asked[f"list {PODS}"] == 1, "a dropped watch goes on, it does not begin anew"
    uid = api.store.objects[PODS, "web-0"]["metadata"]["uid"]
    versions = [int(v) for v in Reader().read(events_of(broker)).versions[uid]]
    assert versions == sorted(versions)
    assert len(versions) == 13, "each version, once"


@pytest.mark.parametrize("inside", [False, True], ids=["answer", "in the stream"])
def test_410_lists_again_and_finds_what_is_gone(api: FakeApi, tmp_path: Path, inside: bool) -> None:
    broker = bus()
    with RunningWatcher.on(api, tmp_path, broker):
        until(lambda: agrees(api, broker) and watched(api, PODS))
        with api.changing():
            api.store.delete(PODS, "web-1")
            api.store.put(PODS, "web-2", "shop", spec={"n": 2}, status={})
            api.store.compact()
            api.generation += not inside  # dropped without a word, the watch is asked for again
        until(lambda: agrees(api, broker))
    found = [e for e in events_of(broker) if e.body.get("inferred")]
    assert [e.body["object"]["metadata"]["name"] for e in found] == ["web-1"]
    assert found[0].body["object"].keys() == {"kind", "metadata"}


def knows(broker: MemoryBroker, resource: str) -> dict[str, str]:
    return believed(Reader().read(events_of(broker)), resource)


def forbids(resource: str) -> Reply:
    words = f'{resource} is forbidden: User "watch" cannot list resource "{resource}"'
    return status(403, "Forbidden", words)


def test_what_rbac_denies_is_said_once_with_the_rule(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.cluster.resource.DENIED_FIRST_S", 0.02)
    broker = bus()
    api.faults[NODES] = Fault(reply=forbids("nodes"))
    with RunningWatcher.on(api, tmp_path, broker) as watcher:
        until(lambda: api.asked[f"list {NODES}"] >= 3 and synced(broker, "pods"))
        change_pod(api, "web-0", spec={"n": 1})
        until(lambda: synced(broker, "leases") and knows(broker, "pods") == truth(api, PODS))
    [said] = synced(broker, "nodes")
    assert (said["outcome"], said["status"], said["count"]) == (state.FORBIDDEN, 403, 0)
    assert 'resources: ["nodes"], verbs: ["list", "watch"]' in said["detail"]
    assert "nodes is forbidden: User" in said["detail"]
    assert watcher.log.getvalue().count("watch-failed") == 1


def test_a_restarted_server_is_watched_again_soon_and_without_lists(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It drops all streams, and denies everything until its RBAC rules and APIs are loaded."""
    monkeypatch.setattr("collectors.cluster.resource.DENIED_FIRST_S", 0.02)
    broker = bus()
    with RunningWatcher.on(api, tmp_path, broker):
        until(lambda: agrees(api, broker) and watched(api, PODS))
        unready = Fault(reply=status(404, "NotFound", "the server could not find it"))
        api.once[PODS] = deque([Fault(reply=forbids("pods")), unready, unready])
        with api.changing():
            api.store.delete(PODS, "web-1")
            api.store.put(PODS, "web-2", "shop", spec={"n": 2}, status={})
            api.generation += 1
        until(lambda: not api.once[PODS] and agrees(api, broker))
        until(lambda: synced(broker, "pods")[-1]["outcome"] == state.OK)
    assert api.asked[f"list {PODS}"] == 1
    outcomes = [said["outcome"] for said in synced(broker, "pods")]
    assert outcomes == [state.OK, state.FORBIDDEN, state.STATUS, state.OK]
    assert not [e for e in events_of(broker) if e.body.get("inferred")]


def test_a_server_in_trouble_is_said_and_healed(api: FakeApi, tmp_path: Path) -> None:
    broker = bus()
    api.once[PODS] = deque(
        [
            Fault(reply=Reply(429, b"too many requests", (("Retry-After", "1"),))),
            Fault(reply=status(500, "InternalError", "etcdserver: leader changed")),
            Fault(pause_s=0.001),
            Fault(reply=Reply(503, b"<html>no backend</html>"), watches_only=True),
        ]
    )
    with RunningWatcher.on(api, tmp_path, broker):
        until(lambda: agrees(api, broker))
        until(lambda: len(synced(broker, "pods")) >= 4)
    outcomes = [said["outcome"] for said in synced(broker, "pods")]
    assert outcomes == [state.STATUS, state.OK, state.STATUS, state.OK], "once each, and its end"
    assert "too many requests" in synced(broker, "pods")[0]["detail"]


def test_a_stream_that_trickles_is_read(api: FakeApi, tmp_path: Path) -> None:
    broker = bus()
    api.faults[PODS] = Fault(pause_s=0.005)
    with RunningWatcher.on(api, tmp_path, broker):
        until(lambda: synced(broker, "pods"))
        change_pod(api, "web-5", spec={"nodeName": "x" * 300}, status={})
        until(lambda: agrees(api, broker))


def test_a_certificate_that_is_not_trusted_gets_no_token(
    certificates: tuple[Path, Path], tmp_path: Path
) -> None:
    broker = bus()
    with (
        FakeApi(FakeStore(), certificate=certificates) as api,
        RunningWatcher.on(api, tmp_path, broker),
    ):
        until(lambda: synced(broker, "pods"))
    assert {said["outcome"] for said in synced(broker, "pods")} == {state.CERTIFICATE}
    assert not api.tokens
    with (
        FakeApi(FakeStore(), certificate=certificates) as api,
        RunningWatcher.on(api, tmp_path, broker, ca=certificates[0]),
    ):
        until(lambda: synced(broker, "pods")[-1]["outcome"] == state.OK)


def test_while_the_bus_is_away_reading_stops_and_nothing_is_lost(
    api: FakeApi, tmp_path: Path
) -> None:
    broker = bus()
    limits = {"start_spread_s": 0, "unacked_records": 5}
    with RunningWatcher.on(api, tmp_path, broker, limits=limits) as watcher:
        until(lambda: agrees(api, broker))
        broker.available = False
        for number in range(60):
            change_pod(api, f"late-{number % 9}", spec={"n": number}, status={})
        until(lambda: watcher.telemetry.registry() is not None and waiting(watcher) >= 5)
        broker.available = True
        until(lambda: agrees(api, broker))


def waiting(watcher: RunningWatcher) -> float:
    from pipeline.contract.metrics import WATCH_UNACKED

    return watcher.telemetry.value(WATCH_UNACKED)


def test_a_record_that_is_refused_ends_the_watcher(api: FakeApi, tmp_path: Path) -> None:
    watcher = RunningWatcher.on(api, tmp_path, MemoryBroker())  # without topics
    watcher.__enter__()
    until(lambda: not watcher.alive())
    assert isinstance(watcher.failure, Fatal)
    assert "kubeledger migrate" in str(watcher.failure)

"""Statuses of LogConfigs: what they say, and that nothing is said twice."""

import time
from pathlib import Path
from typing import Any

import pytest

from collectors.cluster.log_status import LATELY_MS, StatusBook
from collectors.cluster.resources import NAMES, RESOURCES
from pipeline.contract.configs import encode_config, errors_in, log_errors
from pipeline.contract.metrics import WATCH_EVENTS
from pipeline.contract.state import DELETED, MODIFIED, OBJECT, StateEvent
from pipeline.contract.topics import CONFIGS
from tests.collectors.cluster.fake_api import FakeApi
from tests.collectors.cluster.fake_store import FakeStore
from tests.collectors.cluster.watcher_rig import PODS, RunningWatcher, bus, events_of, until

ROWS = {resource.name: resource for resource in RESOURCES}
LOG_CONFIGS = "/apis/kubeledger.io/v1alpha1/logconfigs"
CONTAINERS = [{"name": "main", "image": "x"}]


def see(book: StatusBook, resource: str, name: str, kind: str = MODIFIED, **fields: Any) -> None:
    meta = {"name": name, "namespace": "shop", "uid": f"{resource}-{name}", "generation": 3,
            "labels": fields.pop("labels", {})}  # fmt: skip
    body = {"resource": resource, "type": kind,
            "object": ROWS[resource].trimmed({"metadata": meta, **fields})}  # fmt: skip
    book.see(StateEvent(OBJECT, 1, "watch", "x", body))


def said(book: StatusBook, now_ms: int = 60_000) -> dict[str, dict[str, Any]]:
    """Status by name; conditions as {type: (status, message)}."""
    return {
        config.name: {
            **status,
            "conditions": {c["type"]: (c["status"], c["message"]) for c in status["conditions"]},
        }
        for config, _, status in book.due(now_ms)
    }


def test_conditions_say_what_became_of_each() -> None:
    book = StatusBook()
    for n in range(3):
        see(book, "pods", f"web-{n}", labels={"app": "web"}, spec={"containers": CONTAINERS})
    see(book, "pods", "done", labels={"app": "web"}, spec={"containers": CONTAINERS},
        status={"phase": "Succeeded"})  # fmt: skip
    see(book, "logconfigs", "a", spec={"selector": {"matchLabels": {"app": "web"}},
                                       "parse": {"format": "json"}})  # fmt: skip
    see(book, "logconfigs", "b", spec={"parse": {"format": "klog"}})
    see(book, "logconfigs", "c", spec={"prase": {}})
    found = said(book)
    assert {name: one["matchedPods"] for name, one in found.items()} == {"a": 3, "b": 3, "c": 0}
    assert {found[name]["conditions"].pop("Errors") for name in "abc"} == {("False", "")}
    assert found["a"]["conditions"] == {
        "Accepted": ("True", ""),
        "Conflicting": ("True", "parse: LogConfig shop/b does not count"),
    }
    assert found["b"]["conditions"]["Conflicting"] == ("True", "parse: LogConfig shop/a counts")
    assert found["c"]["conditions"]["Accepted"] == (
        "False", "prase: unknown key; did you mean `parse`?",
    )  # fmt: skip
    assert found["a"]["observedGeneration"] == 3
    assert said(book) == {}


def test_only_what_changed_is_said_and_times_move_with_the_status() -> None:
    book = StatusBook()
    see(book, "logconfigs", "a", spec={})
    ((_, resource, first),) = book.due(60_000)
    assert resource == "logconfigs"
    see(book, "pods", "web-0", spec={"containers": CONTAINERS})
    assert book.dirty
    ((_, _, second),) = book.due(120_000)
    assert second["matchedPods"] == 1
    assert [c["lastTransitionTime"] for c in second["conditions"]] == ["1970-01-01T00:01:00Z"] * 3
    see(book, "logconfigs", "a", spec={}, status=second)  # our own write, seen again
    assert list(book.due(180_000)) == []
    see(book, "logconfigs", "a", DELETED)
    assert list(book.due(180_000)) == []
    assert first["matchedPods"] == 0


def test_errors_are_shown_with_a_sample_for_as_long_as_they_are_of_lately() -> None:
    book = StatusBook()
    see(book, "logconfigs", "a", spec={"parse": {"format": "json"}})
    assert said(book)["a"]["conditions"]["Errors"] == ("False", "")
    told = errors_in(log_errors("LogConfig shop/a", 120_000, 1234, "no JSON"))
    assert told is not None
    book.failed(told)
    status, message = said(book, 130_000)["a"]["conditions"]["Errors"]
    assert (status, message) == ("True", "lately 1,234 lines are not as written, such as: no JSON")
    assert not book.calmed(130_000)
    assert book.calmed(120_000 + LATELY_MS + 1)
    assert said(book, 2_000_000)["a"]["conditions"]["Errors"] == ("False", "")


def test_the_watcher_shows_what_processors_tell(tmp_path: Path) -> None:
    store, broker = FakeStore(), bus()
    store.put(LOG_CONFIGS, "a", "shop", spec={"parse": {"format": "json"}})
    without = [name for name in NAMES if name != "logconfigs"]

    def failing() -> object:
        with api.changing():
            status = store.objects[LOG_CONFIGS, "a"].get("status", {})
        found = [c for c in status.get("conditions", ()) if c["type"] == "Errors"]
        return found and found[0]["status"] == "True" and "no JSON" in found[0]["message"]

    with (
        FakeApi(store) as api,
        RunningWatcher.on(api, tmp_path, broker, without=without, log_status_s=0.1),
    ):
        version = log_errors("LogConfig shop/a", int(time.time() * 1000), 7, "no JSON")
        producer = broker.producer()
        producer.send(CONFIGS, key=version.key, value=encode_config(version), headers=())
        until(failing)


def test_the_watcher_writes_statuses_and_comes_to_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An answer that is late is no refusal: after one it would rest for minutes.
    monkeypatch.setattr("collectors.cluster.status_writer._DEADLINE_S", 60.0)
    store, broker = FakeStore(), bus()
    store.put(LOG_CONFIGS, "a", "shop", spec={"exclude": "stderr"})
    without = [name for name in NAMES if name not in ("pods", "logconfigs")]

    def rests(pods: int) -> bool:
        """So many are shown, and the watcher has taken note of what it wrote itself."""
        with api.changing():
            shown = store.objects[LOG_CONFIGS, "a"]
        matched = shown.get("status", {}).get("matchedPods")
        seen = [e.body for e in events_of(broker) if e.body.get("resource") == "logconfigs"]
        noted = watcher.telemetry.value(WATCH_EVENTS, resource="logconfigs") == len(seen)
        versions = [b["object"]["metadata"]["resourceVersion"] for b in seen if "object" in b]
        return noted and matched == pods and versions[-1] == shown["metadata"]["resourceVersion"]

    with (
        FakeApi(store) as api,
        RunningWatcher.on(api, tmp_path, broker, without=without, log_status_s=0.1) as watcher,
    ):
        for number in range(3):
            until(lambda pods=number: rests(pods))
            with api.changing():
                store.put(PODS, f"web-{number}", "shop", spec={"containers": CONTAINERS})
        until(lambda: rests(3))
        until(lambda: len(api.patched) >= 4)
    assert len(api.patched) == 4, "one for each that there is to say"

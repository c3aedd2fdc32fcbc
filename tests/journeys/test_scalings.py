"""Real scale-ups through the real collectors and the real fold, against the raw watch streams: the
times of every pod are computed here once more, from the recorded lines alone."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from pipeline.console.recording import verify
from pipeline.contract.facts import SCALING
from tests.journeys.command import run
from tests.journeys.recordings import EXPECTED, events, folder, replayed

CONDITIONS = {
    "PodScheduled": "scheduled",
    "PodReadyToStartContainers": "sandbox",
    "Initialized": "initialized",
    "Ready": "ready",
}
SAID_S = 10.0  # versions are at most so far apart
EVENT_MS = 150  # the scheduler writes its Event so much after the condition, at most


@dataclass(slots=True)
class Raw:
    """A pod in the recorded lines: of each step the stamp and when it was received, seconds."""

    stamps: dict[str, float] = field(default_factory=dict)
    received: dict[str, float] = field(default_factory=dict)
    scheduled: float = 0.0  # eventTime of the scheduler's Event, exact


def lines(name: str, stream: str) -> Iterator[tuple[float, dict[str, Any]]]:
    file = folder() / name / f"watch-{stream}.jsonl.gz"
    if not file.exists():
        return
    with gzip.open(file, "rt") as found:
        for line in found:
            row = json.loads(line)
            if row.get("event", {}).get("type") in ("ADDED", "MODIFIED"):
                yield row["t"], row["event"]["object"]


def seconds(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0


@cache
def end_of(name: str) -> float:
    return float(json.loads((folder() / name / "index.json").read_text())["end"])


@cache
def raw_pods(name: str) -> dict[str, Raw]:
    end = end_of(name)
    pods: dict[str, Raw] = {}
    for t, obj in lines(name, "pods"):
        if t > end:
            break
        pod = pods.setdefault(obj["metadata"]["uid"], Raw())
        for step, stamp in raw_steps(obj):
            if step not in pod.received:
                pod.received[step], pod.stamps[step] = t, stamp
    for t, obj in lines(name, "events-events.k8s.io"):
        uid = obj.get("regarding", {}).get("uid")
        if t <= end and obj.get("reason") == "Scheduled" and uid in pods:
            pods[uid].scheduled = seconds(obj.get("eventTime"))
    return pods


def raw_steps(pod: dict[str, Any]) -> Iterator[tuple[str, float]]:
    yield "created", seconds(pod["metadata"]["creationTimestamp"])
    status = pod.get("status", {})
    for condition in status.get("conditions", []):
        if condition["type"] in CONDITIONS and condition["status"] == "True":
            yield CONDITIONS[condition["type"]], seconds(condition["lastTransitionTime"])
    states = [c.get("state", {}) for c in status.get("containerStatuses", [])]
    started = [
        seconds((s.get("running") or s.get("terminated") or {}).get("startedAt")) for s in states
    ]
    if started and all(started):
        yield "started", max(started)


def scalings(name: str, workload: str = "") -> list[dict[str, Any]]:
    found = replayed(name).document()["scalings"]
    return [body for body in found if not workload or body["workload"] == workload]


def spans(name: str, workload: str) -> list[tuple[int, int]]:
    return [(body["from"], body["to"]) for body in scalings(name, workload)]


def after(name: str, action: str, ms: int | None) -> float:
    """Seconds since somebody did this."""
    assert ms is not None
    index = json.loads((folder() / name / "index.json").read_text())
    done = next(t for t, text in index["measured"]["actions"] if text.startswith(action))
    return float(ms / 1000 - index["start"] - done)


@pytest.mark.parametrize("name", EXPECTED)
def test_every_pod_has_one_cause_or_a_reason_for_none(name: str) -> None:
    document = replayed(name).document()
    caused = [pod["uid"] for body in document["scalings"] for pod in body["pods"]]
    excused = {pod["uid"]: pod["reason"] for pod in document["not_caused_by_scaling"]}
    assert Counter([*caused, *excused]) == Counter(dict.fromkeys(raw_pods(name), 1))
    assert all(excused.values())
    assert "not decided yet" not in excused.values()


@pytest.mark.parametrize("name", EXPECTED)
def test_the_times_are_those_of_the_raw_streams(name: str) -> None:
    compared = 0
    for body in scalings(name):
        for pod in body["pods"]:
            raw = raw_pods(name)[pod["uid"]]
            for step in ("created", "scheduled", "sandbox", "initialized", "started", "ready"):
                compared += _agrees(pod, step, raw, end_of(name))
            if raw.scheduled:
                told = pod["times"]["scheduled"]["t"]
                assert told == pytest.approx(raw.scheduled * 1000, abs=EVENT_MS)
    assert compared or not any(body["pods"] for body in scalings(name))


def _agrees(pod: dict[str, Any], step: str, raw: Raw, end: float) -> int:
    """A time lies between its stamp and its record, and its uncertainty reaches the stamp. What
    happened in the last moments was not said any more."""
    told = pod["times"][step]
    if told is None:
        over = pod["status"] in ("deleted", "failed", "finished")
        assert over or raw.received.get(step, end) > end - SAID_S, (pod["name"], step)
        return 0
    stamp, received = raw.stamps[step] * 1000, raw.received[step] * 1000
    assert told["t"] <= received + 1000 or stamp > received, (pod["name"], step)
    if step not in ("sandbox", "initialized"):  # a later step may show that it was earlier
        assert told["t"] + 2 >= stamp or stamp > received, (pod["name"], step)
        earliest = told["t"] - told["uncertainty_ms"]
        assert earliest <= stamp + 1000 + EVENT_MS, (pod["name"], step)
    assert told["uncertainty_ms"] > 0
    assert told["source"]["offset"] >= 0
    return 1


def test_an_hpa_scales_up_and_down() -> None:
    name, web = "hpa-scale-up", "deployment/el-a/web"
    assert spans(name, web) == [(0, 1), (1, 5), (5, 6), (6, 5), (5, 1)]
    _, up, more, *down = scalings(name, web)
    assert {body["by"] for body in (up, more, *down)} == {"hpa"}
    assert {body["who"] for body in (up, more, *down)} == {"hpa/el-a/web"}
    assert after(name, "load on", up["decided_at"]) == pytest.approx(27.7, abs=0.5)
    first = min(pod["ready_at"] for pod in up["pods"])
    assert after(name, "load on", first) == pytest.approx(30.8, abs=0.5)
    assert after(name, "load on", more["decided_at"]) == pytest.approx(162.7, abs=0.5)
    assert (len(up["pods"]), len(more["pods"])) == (4, 1)
    assert not any(body["pods"] for body in down)
    assert all(body["status"] == "done" for body in (up, more, *down))


def test_slow_pods_are_told_from_a_slow_decision() -> None:
    name = "hpa-slow-pods"
    _, up, *_ = scalings(name, "deployment/el-g/web")
    assert (up["from"], up["to"], up["longest"]) == (1, 4, "ready")
    assert up["segments"]["ready"] == pytest.approx(21_000, abs=1_500)
    assert up["segments"]["init"] == pytest.approx(10_000, abs=1_500)
    assert up["segments"]["decision"] < 1_000
    assert {pod["longest"] for pod in up["pods"]} == {"ready"}


def test_a_node_had_to_be_made() -> None:
    name = "karpenter-scale-up"
    up, *down = scalings(name, "deployment/el-e/batch")
    assert [(b["from"], b["to"]) for b in (up, *down)] == [(0, 5), (5, 2), (2, 0)]
    assert up["longest"] == "provision"
    expected = {"unschedulable": 1.5, "autoscaler": 2.2, "node_created": 17.5, "scheduled": 17.7,
                "node_ready": 23.5}  # fmt: skip
    for pod in up["pods"]:
        for step, at in expected.items():
            told = pod["times"][step]
            assert after(name, "create deployment", told["t"]) == pytest.approx(at, abs=0.7), step
        assert pod["segments"]["scheduling"] < -5_000, "bound before the node was Ready: said so"
        assert pod["node_pool"] == "default"
        assert pod["times"]["sandbox"] is None, "kwok says nothing of it: unknown, not 0"
        assert pod["segments"]["sandbox"] is None
    ready = sorted(after(name, "create deployment", pod["ready_at"]) for pod in up["pods"])
    assert ready[0] == pytest.approx(21.5, abs=0.5)
    assert ready[-1] == pytest.approx(27.9, abs=0.5)
    reasons = [p["reason"] for p in replayed(name).document()["not_caused_by_scaling"]]
    assert sum("EvictionByEvictionAPI" in reason for reason in reasons) == 2, "consolidation"


def test_a_slow_start_and_one_after_the_other() -> None:
    name = "rollout-slow-start"
    created, first, second = scalings(name, "deployment/el-i/slow")
    assert (created["by"], created["from"], created["to"]) == ("create", 0, 6)
    assert [body["by"] for body in (first, second)] == ["rollout", "rollout"]
    at = [after(name, "create deployment", pod["ready_at"]) for pod in created["pods"]]
    assert max(at) == pytest.approx(31, abs=1)
    assert created["segments"]["init"] == pytest.approx(10_500, abs=1_500)
    assert created["segments"]["ready"] == pytest.approx(15_500, abs=1_000)
    assert (len(first["pods"]), first["status"], second["ready"]) == (6, "done", 0)
    ordered = scalings(name, "statefulset/el-i/ordered")[0]["pods"]
    for pod, follower in pairwise(ordered):
        assert follower["times"]["created"]["t"] >= pod["ready_at"] - 1_000
        assert follower["longest"] == "decision"


def test_scaling_by_hand_and_bare_pods() -> None:
    assert spans("healthy", "deployment/shop/web") == [(0, 1), (1, 5), (5, 2), (2, 1)]
    assert {body["by"] for body in scalings("healthy")} == {"create", "manual"}
    assert {p["reason"] for p in replayed("healthy").document()["not_caused_by_scaling"]} == {
        "no controller made it"
    }


def test_a_number_that_was_raised_and_pods_that_did_not_come() -> None:
    name = "scale-blocked"
    big = scalings(name, "deployment/el-q-b/big")[-1]
    assert (big["status"], big["count"], big["ready"]) == ("open", 3, 1)
    assert big["waits_in"] == "queue"
    assert [p["waits_in"] for p in big["pods"] if p["status"] == "pending"] == ["queue"] * 2
    [huge] = scalings(name, "deployment/el-q-c/huge")
    assert (huge["to"], huge["due"], huge["pods"]) == (2, 2, [])
    assert huge["waits_in"] == "decision", "its pods are not even made"
    web = scalings(name, "deployment/el-q/web")[1]
    assert web["longest"] == "decision", "the quota held the pods back"


def test_jobs_of_a_cronjob_and_their_retries() -> None:
    name = "cronjob-scale"
    assert {body["by"] for body in scalings(name, "cronjob/el-s/up")} == {"job"}
    assert spans(name, "deployment/el-s/web") == [(1, 3)]
    reasons = [p["reason"] for p in replayed(name).document()["not_caused_by_scaling"]]
    assert sum("which was failed" in reason for reason in reasons) == 6


def test_a_drained_pod_is_replaced_not_scaled() -> None:
    document = replayed("hpa-and-drain").document()
    assert document["scalings"] == []
    assert any(
        "EvictionByEvictionAPI" in pod["reason"] for pod in document["not_caused_by_scaling"]
    )


def test_the_versions_of_a_decision_are_few() -> None:
    for name in EXPECTED:
        versions = Counter(f.body["id"] for f in replayed(name).facts if f.kind == SCALING)
        pods = {body["id"]: body["count"] for body in scalings(name)}
        assert all(versions[uid] <= 4 + 2 * count for uid, count in pods.items()), name


@pytest.mark.parametrize("name", ["karpenter-scale-up", "rollout-slow-start", "cronjob-scale"])
def test_replays_are_byte_identical(name: str) -> None:
    assert "verified" in verify(list(events(name)), replayed(name))


def test_the_command() -> None:
    said = run("replay", folder() / "hpa-scale-up")
    assert "deployment/el-a/web 1 -> 5 by hpa (hpa/el-a/web), ready 4/4 after" in said

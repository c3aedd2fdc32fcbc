"""Real outages through the real collectors and the real folds: one incident each, the right cause,
its evidence quoted, early enough."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from collectors.recording.layout import open_recording
from collectors.recording.play import Play
from pipeline.console.recording import events_of, lead_s, replay_events, verify
from tests.journeys.command import run
from tests.journeys.recordings import EXPECTED, NODE, events, folder, replayed, verdicts


def incident(name: str, entity: str) -> dict[str, Any]:
    return next(body for body in replayed(name).incidents if body["entity"] == entity)


def cause_at(name: str, entity: str, verdict: str) -> int:
    """Unix ms at which the cause was first given."""
    return next(
        fact.t
        for fact in replayed(name).facts
        if fact.entity == entity and fact.body.get("verdict") == verdict
    )


@pytest.mark.parametrize("name", EXPECTED)
def test_the_right_incidents_and_no_others(name: str) -> None:
    assert verdicts(name) == EXPECTED[name]
    for body in replayed(name).incidents:
        print(f"{name}: {body['entity']} {body['verdict']} {body['confidence']}, "
              f"lead {lead_s(replayed(name), body)} s")  # fmt: skip
        roles = {evidence["role"] for evidence in body["evidence"] if evidence["quote"]}
        assert roles & {"proof", "required"}, "the evidence is quoted"


@pytest.mark.parametrize("name", ["pleg-hang-runtime", "pleg-hang-cri-pods"])
def test_hangs_are_reported_a_minute_before_the_node_says_so(name: str) -> None:
    body = incident(name, NODE)
    lead = lead_s(replayed(name), body)
    assert lead is not None
    assert lead >= 60


@pytest.mark.parametrize(
    ("name", "verdict"),
    [("pleg-hang-runtime", "pleg.runtime-hang"), ("pleg-hang-cri-pods", "pleg.stuck-pod")],
)
def test_the_cause_is_named_before_the_node_says_pleg(name: str, verdict: str) -> None:
    said = next(
        event.t
        for event in events(name)
        if event.kind == "object"
        and event.body["resource"] == "nodes"
        and "PLEG is not healthy" in json.dumps(event.body["object"]["status"])
    )
    assert cause_at(name, NODE, verdict) < said


def test_the_stuck_pods_are_named() -> None:
    body = incident("pleg-hang-cri-pods", NODE)
    assert body["affected"][:2] == ["shop/stuckpod1", "shop/stuckpod2"]


def test_the_pod_that_filled_the_disk_is_named() -> None:
    assert incident("disk-eviction", NODE)["affected"] == ["shop/filler"]


def test_the_runtime_is_named_and_all_its_pods_are_affected() -> None:
    body = incident("pleg-hang-runtime", NODE)
    assert {"shop/plain", "shop/born-in-hang", "shop/fast"} <= set(body["affected"])
    assert any("containerd" in evidence["quote"] for evidence in body["evidence"])


def test_a_silent_kubelet_is_told_from_one_that_says_no() -> None:
    body = incident("kubelet-stopped", NODE)
    quotes = " ".join(evidence["quote"] for evidence in body["evidence"])
    assert "lease renewed" in quotes
    assert "NodeStatusUnknown" in quotes
    assert "container runtime is down" not in body["title"]


@pytest.mark.parametrize(
    ("name", "entity", "because"),
    [
        ("pleg-hang-one-container", "pod/shop/stuckshim", "runtime.stuck-shim"),
        ("runc-hang", "pod/shop/hangcreate", "runc.create-hang"),
        ("scale-blocked", "deployment/el-q/web", "quota"),
        ("scale-blocked", "deployment/el-q-c/huge", "limit-range"),
        ("pods-gone-wrong", "pod/broken/oom", "container.oom-killed"),
        ("pods-gone-wrong", "pod/broken/liveness", "probe.liveness"),
    ],
)
def test_why_more_narrowly(name: str, entity: str, because: str) -> None:
    assert incident(name, entity)["because"] == because


def test_many_nodes_are_one_incident_with_all_of_them() -> None:
    body = incident("many-nodes-notready", "cluster/-")
    assert sum(entity.startswith("node/fake-") for entity in body["affected"]) == 24


@pytest.mark.parametrize("name", ["pleg-hang-runtime", "many-nodes-notready", "pods-gone-wrong"])
def test_replays_are_byte_identical(name: str) -> None:
    assert "verified" in verify(list(events(name)), replayed(name))


LESS = {
    "no process table": ("processes*",),
    "no logs of daemons": ("processes*", "*.log.gz"),
    "no growth of logs": ("processes*", "*.log.gz", "pod-log-files*"),
    "the API server alone": ("processes*", "*.log.gz", "pod-log-files*", "kubelet-*"),
}


@pytest.mark.parametrize("missing", LESS)
@pytest.mark.parametrize(
    "name", ["pleg-hang-runtime", "pleg-hang-cri-pods", "kubelet-stopped",
             "pleg-hang-one-container", "runc-hang"]
)  # fmt: skip
def test_with_less_evidence_right_or_unknown_and_never_wrong(
    name: str, missing: str, tmp_path: Path
) -> None:
    less = tmp_path / name
    shutil.copytree(folder() / name, less, ignore=shutil.ignore_patterns(*LESS[missing]))
    happenings = Play(open_recording(less)).happenings()
    found = replay_events(events_of(happenings), name=name).incidents
    [(entity, right)] = EXPECTED[name].items()
    assert [body["entity"] for body in found] == [entity]
    assert found[0]["cause"] in (right, "unknown")


def test_the_command(tmp_path: Path) -> None:
    recording, capsule = folder() / "runc-hang", tmp_path / "capsule"
    document = json.loads(run("replay", recording, "--json", "--events", capsule))
    [found] = document["incidents"]
    assert (found["entity"], found["cause"]) == ("pod/shop/hangcreate", "pod.create-hang")
    assert found["opened_at"] <= found["detected_at"]
    assert json.loads(run("replay", capsule, "--json"))["incidents"] == document["incidents"]
    assert "pod.create-hang, because runc.create-hang" in run("replay", recording, "--verify")


def test_what_a_fold_cannot_read_is_told_and_the_rest_is_folded(tmp_path: Path) -> None:
    def version(n: int, status: dict[str, Any]) -> str:
        meta = {"name": "bad", "namespace": "shop", "uid": "u", "resourceVersion": str(n)}
        odd = {"kind": "Pod", "metadata": meta, "status": status}
        return json.dumps({"t": 1000 + n, "event": {"type": "MODIFIED", "object": odd}}) + "\n"

    (tmp_path / "index.json").write_text('{"start": 1000, "end": 1100}')
    odd = {"phase": "Running", "containerStatuses": [{"name": "a", "restartCount": "x"}]}
    image = {"name": "a", "state": {"waiting": {"reason": "InvalidImageName"}}}
    rows = version(8, odd) + version(9, {"phase": "Pending", "containerStatuses": [image]})
    (tmp_path / "watch-pods.jsonl").write_text(rows)
    document = json.loads(run("replay", tmp_path, "--json"))
    [told] = document["tripped"]
    assert "(object u:8): readiness: TypeError" in told
    assert [found["cause"] for found in document["incidents"]] == ["pod.image-name"]
    assert "1 events could not be read" in run("replay", tmp_path)
    assert "pod.image-name" in run("replay", tmp_path, "--verify")


INDEX = ("index.json", b'{"start": 1, "end": 2}')


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (None, "no such directory"),
        ([], "index.json is missing"),
        ([("index.json", b"{")], "cannot be read"),
        ([("index.json", b"{}")], "Unix seconds"),
        ([INDEX], "nothing to replay: it has none of state.jsonl.zst, watch-*.jsonl"),
        ([INDEX, ("state.jsonl.gz", b"")], "nothing to replay"),
        ([INDEX, ("watch-nodes.jsonl", b'{"t": 1}\nnonsense\n')], "watch-nodes.jsonl:2: not JSON"),
        ([INDEX, ("kubelet-metrics.jsonl.gz", b"nonsense")], "kubelet-metrics.jsonl.gz: damaged"),
        ([INDEX, ("state.jsonl.zst", b"nonsense")], "damaged behind line 0"),
    ],
)
def test_what_is_no_recording(
    tmp_path: Path, files: list[tuple[str, bytes]] | None, says: str
) -> None:
    made = tmp_path / "found"
    if files is not None:
        made.mkdir()
        for name, content in files:
            (made / name).write_bytes(content)
    assert says in run("replay", made, code=2)

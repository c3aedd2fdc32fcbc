"""The commands that explain, as a person runs them: a real recording goes over a bus through the
state processor with all its folds, then each of them asks the store."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kubeledger
from pipeline.base.clock import ManualClock
from pipeline.base.errors import UsageError
from pipeline.base.lifecycle import Stop
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.broker.memory import MemoryBroker
from pipeline.console.folds import FOLDED_BY, open_folds
from pipeline.contract.state import encode_state
from pipeline.contract.topics import STATE, STATE_GROUP, topic_specs
from pipeline.eventlog.fingerprint import fingerprint
from pipeline.eventlog.ledger import StoreLedger
from pipeline.state import StateProcessor
from pipeline.state_config import StateProcessorConfig
from pipeline.store.clickhouse import ClickHouseStore, open_store
from pipeline.store.migrate import migrate
from tests.journeys.command import run
from tests.journeys.recordings import events
from tests.pipeline.store.running import Running

NAME, AGO = "scale-blocked", ("--since", "3650d")
WEB = "deployment/el-q/web"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Laid out as `up` does it, while its store runs."""
    folder = tmp_path_factory.mktemp("explained")
    running = Running(folder / "store").start()
    store = open_store(running.config)
    migrate(store, running.config)
    _process(store, folder / "state")
    store.close()
    yield folder
    running.stop()


def _process(store: ClickHouseStore, directory: Path) -> None:
    recorded = list(events(NAME))
    clock = ManualClock(recorded[-1].t * 1_000_000)
    bus = MemoryBroker(clock=clock)
    bus.admin().ensure(topic_specs(1), create=True)
    producer = bus.producer()
    for event in recorded:
        value, headers = encode_state(event)
        producer.send(STATE, key=b"-", value=value, headers=headers).result(0)
    processor = StateProcessor(
        StateProcessorConfig(state_dir=directory),
        broker=bus,
        store=store,
        ledger=StoreLedger(store),
        folds=open_folds,
        fingerprint=fingerprint(*FOLDED_BY),
        telemetry=RecordingTelemetry(),
        stop=Stop(),
        clock=clock,
    )
    processor.wait_for_store()
    processor.join()
    processor.step(0.0)
    while bus.admin().group_lag(STATE_GROUP, STATE) != {0: 0}:
        processor.step(0.1)
        clock.advance(0.1)
    processor.finish()
    processor.close()


def told(data: Path, capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    """What the command says to a program; in this process, for each of another costs seconds."""
    kubeledger.cli([*map(str, words), "--data", str(data), "--json"], standalone_mode=False)
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_from_a_decision_to_the_quota_that_held_it_up(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The way of somebody on call: what was slow, which hop, and why."""
    assert "decision 7" in run("scale", "--data", data, "--workload", "web", *AGO)
    listed = told(data, capsys, "scale", "--workload", "web", *AGO)
    [found] = [body for body in listed if (body["from"], body["to"]) == (1, 5)]
    assert (found["longest"], found["segments"]["decision"] > 60_000) == ("decision", True)
    whole = told(data, capsys, "explain", "scale", found["id"])
    [incident] = [i for i in whole["incidents"] if i["entity"] == WEB]
    assert (incident["verdict"], incident["because"]) == ("workload.create-failed", "quota")
    assert f"meanwhile: {WEB}" in run("explain", "scale", found["id"], "--data", data)
    assert "exceeded quota" in run("explain", incident["id"], "--data", data)
    late = max(whole["pods"], key=lambda pod: pod["total_ms"])
    name = f"{late['namespace']}/{late['name']}"
    story = run("explain", "pod", name, "--data", data)
    assert story.startswith("timeline: 81")
    assert "exceeded quota" in story
    timeline = told(data, capsys, "explain", "pod", name)["timeline"]
    assert (timeline["longest"], timeline["scaling"]["id"]) == ("decision", found["id"])
    assert timeline["times"]["created"]["source"]["what"] == "metadata.creationTimestamp"
    spans = told(data, capsys, "scale", "--percentiles", *AGO)
    assert {body["workload"] for body in spans} >= {WEB}


@pytest.mark.slow
def test_a_pod_that_waits_and_a_node(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = told(data, capsys, "scale", "--workload", "big", *AGO)
    big = next(body for body in listed if body["to"] == 4)
    pods = told(data, capsys, "explain", "scale", big["id"])["pods"]
    waits = next(f"el-q-b/{pod['name']}" for pod in pods if pod["status"] == "pending")
    document = told(data, capsys, "explain", "pod", waits)
    said = {(hop["step"], hop["kind"]) for hop in document["chain"]}
    wanted = {("scheduler", "capacity"), ("autoscaler", "silent"), ("limits", "not-recorded")}
    assert wanted <= said
    assert document["timeline"]["total_ms"] is None, "not yet is not nothing"
    assert document["timeline"]["waits_in"] == "queue"
    assert "waits for a node" in run("explain", "pod", waits, "--data", data)
    assert "node-a" in run("explain", "node", "node-a", "--data", data, code=2)


@pytest.mark.slow
def test_what_if_of_what_is_stored(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("whatif", "hpa", "el-q/web", "--max", "20", *AGO)
    document = told(data, capsys, *words)
    assert document["recorded"]["refused_s"] > 0
    assert document["settings"]["max"] == 20
    assert any("ResourceQuota pods stands" in text for text in document["assumptions"])
    assert "kept back by a quota" in run(*words, "--data", data)


@pytest.mark.slow
def test_bad_input_is_said(data: Path) -> None:
    for words, said in (
        (("explain", "scale", "zzz"), "no scaling decision 'zzz'"),
        (("explain", "pod", "web"), "'web' is not NAMESPACE/NAME"),
        (("explain", "pod", "el-q/nobody"), "nothing to explain"),
        (("explain", "zzz"), "zzz"),
        (("scale", "--since", "soon"), "soon"),
        (("whatif", "hpa", "el-q/nobody", *AGO), "HPA el-q/nobody"),
        (("drain", "node-z", "--settle", "0"), "no file of node 'node-z'"),
    ):
        with pytest.raises(UsageError, match=said):
            kubeledger.cli([*words, "--data", str(data)], standalone_mode=False)
    said = run("drain", "node-z", "--settle", "0", "--data", data, code=2)
    assert "kubeledger query" in said, "and what to do"

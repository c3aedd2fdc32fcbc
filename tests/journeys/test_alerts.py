"""A recorded outage through everything that `up` runs: a webhook is told why, the table knows, and
the rules over history say the same."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.broker.config import BrokerConfig
from pipeline.broker.open import open_broker
from pipeline.contract.state import encode_state
from pipeline.contract.topics import STATE
from tests.alerts.sinks import HttpSink, http_sink
from tests.journeys.command import query, run, serving, up, wait_for
from tests.journeys.recordings import events

NAME = "kubelet-stopped"
BROKEN_MS = 1_795_413_490_000  # the kubelet is continued a second later


@pytest.mark.slow
def test_from_the_event_log_to_a_webhook_and_back_by_history(tmp_path: Path) -> None:
    data, config = tmp_path / "data", tmp_path / "alert.yaml"
    (tmp_path / "logs").mkdir()
    with http_sink() as sink:
        hook = {"name": "hook", "type": "webhook", "url": sink.url, "match": ["node=node-a"]}
        config.write_text(yaml.safe_dump({"receivers": [hook]}))
        with up("--data", data, "--logs", tmp_path / "logs", "--alerts", config):
            wait_for(lambda: serving(data), "the store")
            _put(data)
            # Old facts come in pieces here, and days of time pass between two of them: something
            # less may be told before.
            wait_for(lambda: bool(_told(sink)), "the webhook is told why", 90)
            told, alert = _told(sink)[0]
            wait_for(lambda: _rows(data) == [("NodeNotReady", "firing")], "the table knows", 60)
    assert alert["rule"] == "NodeNotReady"
    assert "kubelet" in told["text"]
    rules = Path(__file__).parents[2] / "alerts" / "rules" / "NodeNotReady.yaml"
    words = ["replay", "--since", "400d", "--rules", rules, "--data", data, "--json"]
    said = json.loads(run(*words))
    facts = [a for a in said["alerts"] if a["episode"]]
    assert [(a["rule"], a["fingerprint"], a["starts_at"]) for a in facts] == [
        ("NodeNotReady", alert["fingerprint"], alert["starts_at"])
    ]
    assert [a["rule"] for a in said["fired"] if a["episode"]] == ["NodeNotReady"]
    listed = run("silence", "add", "node=node-a", "--for", "2h", "--data", data)
    assert listed.split()[0] in run("silence", "list", "--data", data)
    assert "ended" in run("silence", "expire", listed.split()[0], "--data", data)
    assert run("silence", "list", "--data", data) == ""


def _told(sink: HttpSink) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Messages with an alert that the kubelet is down, and that alert."""
    return [
        (request.json, alert)
        for request in list(sink.got)
        for alert in request.json["alerts"]
        if alert["cause"] == "node.kubelet-down"
    ]


def _put(data: Path) -> None:
    broker = open_broker(BrokerConfig(url=f"sqlite:{data / 'bus.db'}"))
    producer = broker.producer()
    for event in events(NAME):
        if event.t > BROKEN_MS:
            break
        value, headers = encode_state(event)
        producer.send(STATE, key=b"-", value=value, headers=headers)
    assert producer.flush(60)
    producer.close(60)
    broker.close()


def _rows(data: Path) -> list[tuple[str, str]]:
    rows = query(data, "SELECT rule, status FROM alerts FINAL WHERE episode != '' ORDER BY rule")
    return [(row["rule"], row["status"]) for row in rows]

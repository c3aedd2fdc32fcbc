"""Facts of a recorded outage on the embedded bus, the evaluator as it runs, a real Alertmanager
behind it, and whoever it tells."""

import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alerts.config import AlertConfig
from alerts.service import run
from pipeline.base.clock import SystemClock
from pipeline.base.lifecycle import Stop
from pipeline.base.telemetry import ServiceTelemetry
from pipeline.broker.config import BrokerConfig
from pipeline.broker.open import open_broker
from pipeline.contract.facts import encode_fact
from pipeline.contract.topics import FACTS, topic_specs
from tests.alerts.material import facts_of
from tests.alerts.rig import episode
from tests.alerts.sinks import HttpSink, http_sink
from tests.real.alertmanager import Alertmanager, alertmanagers
from tests.real.kafka import RealPartMissing


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[list[Alertmanager], HttpSink]]:
    with http_sink() as sink:
        try:
            with alertmanagers(tmp_path, sink.url, 2) as found:
                yield found, sink
        except RealPartMissing as missing:
            if os.environ.get("CI") == "true":
                pytest.fail(f"CI must not skip the real parts: {missing}")
            pytest.skip(str(missing))


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def names(one: Alertmanager) -> set[str]:
    return {alert["labels"]["alertname"] for alert in one.alerts()}


@pytest.mark.real
def test_an_outage_reaches_every_alertmanager_and_is_told_once(
    pair: tuple[list[Alertmanager], HttpSink], tmp_path: Path
) -> None:
    cluster, sink = pair
    url = f"sqlite:{tmp_path / 'bus.db'}"
    broker = open_broker(BrokerConfig(url=url))
    broker.admin().ensure(topic_specs(1), create=True)
    producer = broker.producer()
    config = AlertConfig.model_validate(
        {
            "broker": {"url": url},
            "health": "127.0.0.1:0",
            "receivers": [
                {"name": "am", "type": "alertmanager", "urls": [one.url for one in cluster]}
            ],
        }
    )
    stop, clock = Stop(), SystemClock()
    telemetry = ServiceTelemetry("alert", stream=io.StringIO())
    thread = threading.Thread(
        target=run,
        args=(config, {}),
        kwargs={"broker": broker, "telemetry": telemetry, "stop": stop, "clock": clock},
    )
    # Old facts, all there before the evaluator is: were they to come in pieces, days of time would
    # pass between two of them, and nodes would be told before what explains them.
    for fact in facts_of("many-nodes-notready")[0]:
        key, value, headers = encode_fact(fact)
        producer.send(FACTS, key=key, value=value, headers=headers)
    assert producer.flush(30)
    thread.start()
    try:
        for one in cluster:
            wait_for(lambda one=one: names(one) == {"ZoneDisruption", "Watchdog"}, "told")
        (alert,) = [a for a in cluster[0].alerts() if a["labels"]["alertname"] == "ZoneDisruption"]
        assert alert["annotations"]["cause"] == "zone.disruption"
        assert alert["labels"]["severity"] == "critical"
        incident = alert["labels"]["incident"]
        wait_for(lambda: _told(sink, incident) == ["firing"], "Alertmanager tells it")
        end = max(fact.t for fact in facts_of("many-nodes-notready")[0]) / 1000
        over = episode(incident, 99, "zone.disruption", entity="cluster/-", status="closed",
                       s=end - 1_795_412_000 + 60)  # fmt: skip
        key, value, headers = encode_fact(over)
        producer.send(FACTS, key=key, value=value, headers=headers)
        wait_for(lambda: _told(sink, incident) == ["firing", "resolved"], "and its end")
    finally:
        stop.set()
        thread.join(30)
        producer.close(5)
        broker.close()


def _told(sink: HttpSink, incident: str) -> list[str]:
    return [
        request.json["status"]
        for request in list(sink.got)
        if request.json["groupLabels"].get("incident") == incident
    ]

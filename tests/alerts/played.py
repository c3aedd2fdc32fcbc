"""A recording played to the evaluator as it runs: its threads, the embedded bus, a receiver behind
HTTP. Time passes faster than it did, or as it did (KUBELEDGER_SPEED=1); it stands still for as long
as a fact of that moment is not yet on the bus, however slow the machine is."""

import io
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alerts.config import AlertConfig
from alerts.service import run
from pipeline.base.clock import SystemClock
from pipeline.base.lifecycle import Stop
from pipeline.base.telemetry import ServiceTelemetry
from pipeline.broker.config import BrokerConfig
from pipeline.broker.open import open_broker
from pipeline.contract.facts import Fact, encode_fact
from pipeline.contract.topics import FACTS, topic_specs
from tests.alerts.sinks import http_sink

Told = dict[str, dict[str, Any]]  # fingerprint -> the alert as it was told first


class PlayedClock(SystemClock):
    """The time of a recording. `gate`: what it does not pass yet, Unix ms."""

    def __init__(self, start: int, speed: float) -> None:
        self.gate = start
        self._speed = speed
        self._at = float(start)
        self._seen = time.monotonic()
        self._lock = threading.Lock()

    def wall_ns(self) -> int:
        with self._lock:
            now = time.monotonic()
            self._at = min(self._at + (now - self._seen) * 1000 * self._speed, self.gate)
            self._seen = now
            return int(self._at) * 1_000_000


@dataclass
class Played:
    """What the receiver was told. `after`: seconds from a fact on the bus to the first message of
    its incident, by group."""

    firing: Told = field(default_factory=dict)
    resolved: Told = field(default_factory=dict)
    groups: dict[str, set[str]] = field(default_factory=dict)  # fingerprint -> told in
    after: dict[str, float] = field(default_factory=dict)
    put: dict[str, float] = field(default_factory=dict)  # episode -> when its first fact was put

    def take(self, document: dict[str, Any]) -> None:
        group = document["group"]
        if group in self.put:
            self.after.setdefault(group, time.monotonic() - self.put[group])
        for alert in document["alerts"]:
            told = self.firing if alert["status"] == "firing" else self.resolved
            told.setdefault(alert["fingerprint"], alert)
            self.groups.setdefault(alert["fingerprint"], set()).add(group)


def play(facts: tuple[Fact, ...], end: int, *, folder: Path, speed: float) -> Played:
    """Until `end` (Unix ms of the recording) has passed and nothing more is told."""
    found = Played()
    clock = PlayedClock(min(fact.t for fact in facts) - 2_000, speed)
    url = f"sqlite:{folder / 'bus.db'}"
    broker = open_broker(BrokerConfig(url=url))
    broker.admin().ensure(topic_specs(1), create=True)
    producer = broker.producer()
    stop = Stop()
    with http_sink(heard=found.take) as sink:
        hook = {"name": "hook", "type": "webhook", "url": sink.url, "group_interval": "0s"}
        config = AlertConfig.model_validate(
            {"broker": {"url": url}, "health": "127.0.0.1:0", "receivers": [hook]}
        )
        telemetry = ServiceTelemetry("alert", stream=io.StringIO())
        thread = threading.Thread(target=run, args=(config, {}), kwargs={
            "broker": broker, "telemetry": telemetry, "stop": stop, "clock": clock,
        })  # fmt: skip
        thread.start()
        try:
            for fact in facts:
                _until(clock, fact.t)
                key, value, headers = encode_fact(fact)
                found.put.setdefault(str(fact.body.get("id")), time.monotonic())
                producer.send(FACTS, key=key, value=value, headers=headers).result(30)
            _until(clock, end)
        finally:
            stop.set()
            thread.join(30)
            producer.close(5)
            broker.close()
    return found


def _until(clock: PlayedClock, t: int) -> None:
    clock.gate = max(clock.gate, t)
    while clock.wall_ns() // 1_000_000 < t:
        time.sleep(0.005)

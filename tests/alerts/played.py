"""A recording played to the evaluator as it runs: its threads, the embedded bus, a receiver behind
HTTP. Time passes faster than it did, or as it did (KUBELEDGER_SPEED=1); it stands still for as long
as a fact of that moment is not yet on the bus, while a message is on its way, and while the
evaluator does not go on, however slow the machine is."""

import io
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alerts.config import AlertConfig
from alerts.service import POLL_S, open_evaluator
from pipeline.base.clock import SystemClock
from pipeline.base.lifecycle import Stop
from pipeline.base.telemetry import ServiceTelemetry
from pipeline.broker.config import BrokerConfig
from pipeline.broker.open import open_broker
from pipeline.broker.protocol import Broker
from pipeline.contract.facts import Fact, encode_fact
from pipeline.contract.topics import FACTS, topic_specs
from tests.alerts.noted import notices
from tests.alerts.rig import T0, episode
from tests.alerts.sinks import http_sink

Told = dict[str, dict[str, Any]]  # fingerprint -> the alert as it was told first

_LEAP_MS = 2_000  # most that passes between two looks of the evaluator at the clock
_LAST = "~"  # an incident of ours: of groups that are due together, it is told last


class PlayedClock(SystemClock):
    """The time of a recording. Only who works by it moves it on, by looking at it: so a thread
    that stands still does not miss what comes and goes. `gate`: what it does not pass yet, Unix
    ms. `delivering`: is a message on its way? An alert that came and went before its turn would
    not be told, and a second of an answer is many of the recording."""

    def __init__(self, start: int, speed: float) -> None:
        self.gate = start
        self.at = float(start)
        self.delivering: Callable[[], bool] = lambda: False
        self._speed = speed
        self._seen = time.monotonic()
        self._lock = threading.Lock()

    def wall_ns(self) -> int:
        with self._lock:
            now = time.monotonic()
            if not self.delivering():
                passed = min((now - self._seen) * 1000 * self._speed, _LEAP_MS)
                self.at = min(self.at + passed, self.gate)
            self._seen = now
            return int(self.at) * 1_000_000


@dataclass
class Played:
    """What the receiver was told. `after`: seconds of the recording from an incident's first fact
    to when its first message was due, by group."""

    firing: Told = field(default_factory=dict)
    resolved: Told = field(default_factory=dict)
    groups: dict[str, set[str]] = field(default_factory=dict)  # fingerprint -> told in
    after: dict[str, float] = field(default_factory=dict)
    over: bool = False

    def take(self, document: dict[str, Any]) -> None:
        group = document["group"]
        if group == _LAST:
            self.over = True
            return
        for alert in document["alerts"]:
            told = self.firing if alert["status"] == "firing" else self.resolved
            told.setdefault(alert["fingerprint"], alert)
            self.groups.setdefault(alert["fingerprint"], set()).add(group)


def play(facts: tuple[Fact, ...], end: int, *, folder: Path, speed: float) -> Played:
    """Until `end` (Unix ms of the recording) has passed and all is told that was due before."""
    found = Played()
    clock = PlayedClock(min(fact.t for fact in facts) - 2_000, speed)
    url = f"sqlite:{folder / 'bus.db'}"
    broker = open_broker(BrokerConfig(url=url))
    broker.admin().ensure(topic_specs(1), create=True)
    producer = broker.producer()
    stop = Stop()
    with http_sink(heard=found.take) as sink:
        hook = {"name": "hook", "type": "webhook", "url": sink.url, "group_interval": "0s"}
        config = AlertConfig.model_validate({"broker": {"url": url}, "receivers": [hook]})
        thread = threading.Thread(target=_evaluate, args=(config, broker, stop, clock))
        thread.start()

        def until(condition: Callable[[], bool]) -> None:
            while not condition():
                assert thread.is_alive(), "the evaluator has ended"
                time.sleep(0.005)

        def reach(t: int) -> None:
            clock.gate = max(clock.gate, t)
            until(lambda: clock.at >= t)

        try:
            for fact in (*facts, _last(end - 5_000)):
                reach(fact.t)
                key, value, headers = encode_fact(fact)
                producer.send(FACTS, key=key, value=value, headers=headers).result(60)
            reach(end)
            until(lambda: found.over)
            found.after = _after(facts, broker)
        finally:
            stop.set()
            thread.join(60)
            producer.close(5)
            broker.close()
    return found


def _evaluate(config: AlertConfig, broker: Broker, stop: Stop, clock: PlayedClock) -> None:
    """As the service does, until asked to stop."""
    telemetry = ServiceTelemetry("alert", stream=io.StringIO())
    evaluator = open_evaluator(config, {}, broker=broker, telemetry=telemetry, clock=clock)
    clock.delivering = lambda: any(courier.busy for courier in evaluator._couriers)
    try:
        evaluator.join()
        while not stop.is_set():
            evaluator.step(POLL_S)
    finally:
        evaluator.close()


def _last(t: int) -> Fact:
    return episode(_LAST, 1, entity=f"node/{_LAST}", s=(t - T0) / 1000)


def _after(facts: tuple[Fact, ...], broker: Broker) -> dict[str, float]:
    begun: dict[str, int] = {}
    for fact in facts:
        begun.setdefault(str(fact.body.get("id")), fact.t)
    after: dict[str, float] = {}
    for group, notice in notices(broker):
        if group in begun and notice.at:
            after.setdefault(group, (notice.at - begun[group]) / 1000)
    return after

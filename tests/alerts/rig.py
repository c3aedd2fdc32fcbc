"""Evaluators on a bus in memory, in virtual time, with receivers that write down what they get."""

import queue
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from alerts.config import AlertConfig, RetryLimits
from alerts.couriers import Courier, Outcome
from alerts.evaluator import Evaluator
from alerts.load import load_rules
from alerts.model import Rule
from alerts.notify import Message, Target
from alerts.silences import Silence
from pipeline.base.clock import ManualClock
from pipeline.base.errors import KubeledgerError
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.broker.memory import MemoryBroker
from pipeline.contract.alerts import encode_change
from pipeline.contract.facts import EPISODE, TRANSITION, Fact, encode_fact
from pipeline.contract.topics import ALERTS, FACTS, topic_specs

T0 = 1_795_412_000_000


@cache
def shipped() -> tuple[Rule, ...]:
    return tuple(file.rule for file in load_rules())


def rule(name: str, **changes: Any) -> Rule:
    found = next(one for one in shipped() if one.name == name)
    return found.model_copy(update=changes)


def episode(
    name: str,
    version: int,
    verdict: str = "pleg.runtime-hang",
    *,
    entity: str = "node/node-a",
    s: float = 0,
    status: str = "open",
    affected: Sequence[str] = (),
) -> Fact:
    t = T0 + int(s * 1000)
    body = {
        "id": name, "version": version, "entity": entity, "status": status, "cause": verdict,
        "verdict": verdict, "because": "", "confidence": "certain", "title": "It hangs",
        "opened_at": t, "detected_at": t, "closed_at": 0 if status == "open" else t,
        "evidence": [{"atom": "a", "role": "proof", "subject": "", "first": t, "last": t,
                      "count": 1, "quote": "containerd is in state T", "offset": 1}],
        "candidates": [], "affected": list(affected), "merged_into": "",
    }  # fmt: skip
    return Fact(EPISODE, t, entity, f"{name}:{version}", body)


def moved(node: str, old: str, new: str, s: float) -> Fact:
    t = T0 + int(s * 1000)
    body = {"machine": "node", "from": old, "to": new, "reason": "r", "message": "", "source": t}
    return Fact(TRANSITION, t, f"node/{node}", f"{t}:node:0", body)


@dataclass
class Sink:
    """A receiver. `fails`: what it raises, once each."""

    got: list[Message] = field(default_factory=list)
    fails: list[KubeledgerError] = field(default_factory=list)

    def send(self, message: Message) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self.got.append(message)

    def told(self) -> list[tuple[list[str], list[str]]]:
        """Rules told as firing, and as resolved, message by message."""
        return [([a.rule for a in m.firing], [a.rule for a in m.resolved]) for m in self.got]


class AtOnce(Courier):
    """Delivers on the caller's thread."""

    def start(self) -> None:
        pass

    def submit(self, message: Message) -> None:
        self.busy = True
        self._outcomes.put(self._deliver(message))

    def stop(self, timeout_s: float) -> None:
        pass


class World:
    """One bus, one sink, members that come and go."""

    def __init__(self, rules: Sequence[Rule] | None = None, **target: Any) -> None:
        self.clock = ManualClock(T0 * 1_000_000)
        self.bus = MemoryBroker(clock=self.clock, session_timeout_s=5)
        self.bus.admin().ensure(topic_specs(1), create=True)
        self.sink = Sink()
        self.rules = list(rules if rules is not None else shipped())
        self.target = Target(**({"name": "sink", "group_interval_ms": 0} | target))
        self.telemetry = RecordingTelemetry()
        self.producer = self.bus.producer()

    def member(self, **settings: Any) -> Evaluator:
        outcomes: queue.Queue[Outcome] = queue.Queue()
        config = AlertConfig(retry=RetryLimits(first_s=1, longest_s=4, give_up="1m"), **settings)
        evaluator = Evaluator(
            config,
            rules=self.rules,
            couriers=[AtOnce(self.target, self.sink, outcomes)],
            outcomes=outcomes,
            broker=self.bus,
            librarian=None,
            telemetry=self.telemetry,
            clock=self.clock,
        )
        evaluator.join()
        return evaluator

    def put(self, *facts: Fact) -> None:
        for fact in facts:
            key, value, headers = encode_fact(fact)
            self.producer.send(
                FACTS, key=key, value=value, headers=headers, timestamp_ms=fact.t
            ).result(0)

    def silence(self, silence: Silence) -> None:
        key, value, headers = encode_change(silence.change())
        self.producer.send(ALERTS, key=key, value=value, headers=headers, partition=0).result(0)

    def run(self, *members: Evaluator, seconds: float) -> None:
        """Step by step of half a second."""
        until = self.clock.monotonic() + seconds
        while self.clock.monotonic() < until:
            for member in members:
                member.step(0.0)
            self.clock.advance(0.5)

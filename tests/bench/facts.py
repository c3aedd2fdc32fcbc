"""How long a fact takes: from the record of its event in the bus to the fact in the bus, through
the embedded pipeline at rest and while a fleet of 200 nodes reports. The fold says one fact for
each transition of a node's Ready condition."""

import json
import statistics
from pathlib import Path

from pipeline.base.clock import SystemClock
from pipeline.broker.open import open_broker
from pipeline.broker.protocol import Producer, TopicPartition
from pipeline.console.embedded import EmbeddedPipeline, Inputs
from pipeline.contract.state import MODIFIED, OBJECT, StateEvent, encode_state
from pipeline.contract.topics import FACTS, STATE
from tests.bench.fleet import Fleet
from tests.bench.report import at_most, emit

TIMES, NODES = 40, 200


def run(work: Path) -> None:
    clock = SystemClock()
    (work / "pods").mkdir()
    with EmbeddedPipeline(work / "data", Inputs((work / "pods",), "n"), clock=clock) as pipeline:
        broker = open_broker(pipeline.broker)
        producer = broker.producer()
        _settle(pipeline, producer, clock)
        for name, nodes in (("rest", 0), ("fleet", NODES)):
            delays = _delays(pipeline, producer, clock, name, nodes)
            emit(
                f"facts.{name}.delay",
                [statistics.median(delays)],
                "s",
                target=at_most(1.0),
                max=round(max(delays), 3),
                facts=len(delays),
            )
        producer.close(5)
        broker.close()


def _delays(
    pipeline: EmbeddedPipeline, producer: Producer, clock: SystemClock, name: str, nodes: int
) -> list[float]:
    """Of each change of a node: the fact's time stamp less the record's."""
    fleet = Fleet(max(nodes, 1), 10, seed=len(name))
    rounds = fleet.rounds(TIMES) if nodes else iter(())
    for number in range(TIMES):
        node = f"{name}-node"
        for event in (event for _, event in zip(range(nodes * 5), rounds, strict=False)):
            _send(producer, event)
        t = clock.wall_ns() // 1_000_000
        _send(producer, _ready(node, number, t, name))
        clock.sleep(0.5)
        pipeline.check()
    _settle(pipeline, producer, clock)
    stamps = {
        json.loads(record.value)["id"]: record.timestamp_ms for record in _log(pipeline, STATE)
    }
    seen: list[float] = []
    for record in _log(pipeline, FACTS):
        fact = json.loads(record.value)
        if fact["entity"] == f"node/{name}-node" and fact["kind"] == "transition":
            cause = f"object/{name}/{fact['t']}"
            seen.append((record.timestamp_ms - stamps[cause]) / 1000)
    return seen


def _ready(node: str, number: int, t: int, name: str) -> StateEvent:
    status = "True" if number % 2 else "False"
    condition = {"type": "Ready", "status": status, "reason": "Kubelet", "message": "as it is",
                 "lastTransitionTime": "2026-11-23T12:00:00Z"}  # fmt: skip
    document = {
        "metadata": {"name": node, "uid": node, "resourceVersion": str(1000 + number)},
        "spec": {},
        "status": {"conditions": [condition]},
    }
    body = {"resource": "nodes", "type": MODIFIED, "object": document}
    return StateEvent(OBJECT, t, "watch", f"object/{name}/{t}", body)


def _send(producer: Producer, event: StateEvent) -> None:
    value, headers = encode_state(event)
    producer.send(STATE, key=b"-", value=value, headers=headers)


def _settle(pipeline: EmbeddedPipeline, producer: Producer, clock: SystemClock) -> None:
    """The state processor works, and has nothing left to do."""
    _send(producer, StateEvent("tick", 0, "bench", f"settle/{clock.wall_ns()}", {}))
    producer.flush(10)
    while pipeline.state_lag():
        pipeline.check()
        clock.sleep(0.2)


def _log(pipeline: EmbeddedPipeline, topic: str) -> list:
    broker = open_broker(pipeline.broker)
    reader = broker.reader()
    try:
        tp = TopicPartition(topic, 0)
        reader.assign([tp])
        end, records = reader.end_offset(tp), []
        while reader.position(tp) < end:
            records += reader.poll(0.2)
        return records
    finally:
        reader.close()
        broker.close()

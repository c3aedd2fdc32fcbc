"""The flight recorder: 2,000 pods created in one burst, from their creation until they are ready.
Events per CPU-second, without decoding and with it; how late the facts are, in event time; memory.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import orjson

from pipeline.base.garbage import collect_rarely
from pipeline.contract.facts import Fact
from pipeline.contract.state import OBJECT, StateEvent, decode_state, encode_state
from pipeline.elasticity.scaling.fold import Scaling
from tests.bench.measure import memory_mib
from tests.bench.report import at_least, at_most, emit
from tests.pipeline.elasticity.scaling.toy import Toy

PODS = 2_000
BURST_MS = 5_000  # of watching each of their four steps
RUNS = 3


def run(work: Path) -> None:
    runs = [_child() for _ in range(RUNS)]
    sized = {"pods": PODS, "events": runs[0]["events"], "facts": runs[0]["facts"]}
    emit("scaling.burst.rate", [r["rate"] for r in runs], "events/CPU-s",
         target=at_least(20_000), **sized)  # fmt: skip
    emit("scaling.burst.decoded-rate", [r["decoded"] for r in runs], "events/CPU-s", **sized)
    emit("scaling.burst.lag", [r["lag_s"] for r in runs], "s of event time", target=at_most(2))
    emit("scaling.burst.memory", [r["grown"] for r in runs], "MiB more", pods=PODS)


def _child() -> dict[str, float]:
    program = "from tests.bench.scaling import measured; measured()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def measured() -> None:
    """Prints the figures of one run, in a process that is set as the state processor is."""
    collect_rarely()
    events = burst()
    values = [encode_state(event)[0] for event in events]
    figures: dict[str, float] = {"events": len(events)}
    facts, took = _folded(events)
    figures["rate"] = len(events) / took
    figures["facts"] = len(facts)
    figures["lag_s"] = _lag(events, facts) / 1000
    before = memory_mib(_self(), "VmRSS")
    started = time.process_time()
    again, fold = [decode_state(value, orjson.loads) for value in values], Scaling()
    for offset, event in enumerate(again):
        fold.apply(event, offset)
    figures["decoded"] = len(values) / (time.process_time() - started)
    del again
    figures["grown"] = memory_mib(_self(), "VmRSS") - before
    print(json.dumps(figures))


def burst() -> list[StateEvent]:
    """What a watcher tells of it: each pod comes, is bound, starts and gets ready."""
    toy = Toy()
    told = toy.create("web", PODS)
    for pod in told.live:
        toy.step(pod, told, "PodScheduled")
    for pod in told.live:
        toy.step(pod, told, "PodReadyToStartContainers", "Initialized", "started")
    for pod in told.live:
        toy.step(pod, told, "Ready")
    toy.deliver_all("deployments", "replicasets")  # the fold of the toy is not the one measured
    step, start = BURST_MS * 4 / len(toy.events), toy.now
    paced = [
        StateEvent(e.kind, round(start + n * step), e.by, e.id, e.body)
        for n, e in enumerate(toy.events)
    ]
    toy.events.clear()
    toy.now = paced[-1].t
    toy.tick(1)
    return [*paced, *toy.events]


def _folded(events: list[StateEvent]) -> tuple[list[Fact], float]:
    fold, facts = Scaling(), []
    started = time.process_time()
    for offset, event in enumerate(events):
        facts += fold.apply(event, offset)
    return facts, time.process_time() - started


def _lag(events: list[StateEvent], facts: list[Fact]) -> int:
    """The longest time from a pod's ADDED to the first fact that names it."""
    came = {}
    for event in events:
        if event.kind == OBJECT and event.body["resource"] == "pods":
            came.setdefault(event.body["object"]["metadata"]["uid"], event.t)
    said: dict[str, int] = {}
    for fact in facts:
        for pod in fact.body["pods"]:
            said.setdefault(pod["uid"], fact.t)
    return max(said[uid] - t for uid, t in came.items())


def _self() -> int:
    return int(Path("/proc/self").resolve().name)

"""The folds as the service runs them: state events per CPU-second, decoding included, and the
memory of a large cluster. Each size in a process of its own, so that memory is its own."""

import json
import subprocess
import sys
import time
from pathlib import Path

import orjson

from pipeline.base.fold import Folds
from pipeline.base.garbage import collect_rarely
from pipeline.base.seen import Seen
from pipeline.console.folds import fresh_folds
from pipeline.contract.state import StateEvent, decode_state, encode_state
from pipeline.readiness.fold import Readiness
from tests.bench.cluster import Cluster
from tests.bench.measure import memory_mib
from tests.bench.report import at_least, at_most, emit

NODES, PODS = 5_000, 100
SECONDS = 20
SILENT = 1_000
RUNS = 3


def run(work: Path) -> None:
    runs = [_child() for _ in range(RUNS)]
    sized = {"nodes": NODES, "pods": NODES * PODS}
    emit(
        "fold.steady.rate",
        [r["steady"] for r in runs],
        "events/CPU-s",
        target=at_least(20_000),
        **sized,
    )
    emit(
        "fold.list.rate",
        [r["list"] for r in runs],
        "events/CPU-s",
        target=at_least(20_000),
        **sized,
    )
    emit("fold.memory", [r["memory"] for r in runs], "MiB", target=at_most(1024), **sized)
    emit("fold.snapshot.time", [r["dump_s"] for r in runs], "s", bytes=runs[0]["dump_bytes"])
    emit(
        "fold.1000-nodes-silent.rate",
        [r["silent"] for r in runs],
        "events/CPU-s",
        target=at_least(20_000),
        incidents=runs[0]["incidents"],
        facts=runs[0]["facts"],
    )


def _child() -> dict[str, float]:
    program = "from tests.bench.fold import measured; measured()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


class _Folded:
    """Events through encode, decode and fold; only the latter two are timed."""

    def __init__(self) -> None:
        folds = fresh_folds()
        assert isinstance(folds["readiness"], Readiness)
        self.readiness = folds["readiness"]
        self.fold = Folds(folds, seen=Seen())
        self.offset = 0
        self.facts = 0

    def rate(self, events: list[StateEvent]) -> float:
        values = [encode_state(event)[0] for event in events]
        start = time.process_time()
        for value in values:
            self.facts += len(self.fold.apply(decode_state(value, orjson.loads), self.offset))
            self.offset += 1
        return len(values) / (time.process_time() - start)


def measured() -> None:
    """Prints the figures of one run."""
    collect_rarely()  # as the service does
    cluster, folded = Cluster(NODES, PODS), _Folded()
    figures: dict[str, object] = {"list": _in_parts(cluster, folded)}
    figures["steady"] = folded.rate(list(cluster.steady(SECONDS)))
    figures["memory"] = memory_mib(_self(), "VmRSS")
    start = time.process_time()
    figures["dump_bytes"] = len(folded.fold.dump())
    figures["dump_s"] = time.process_time() - start
    folded.facts = 0
    silent = frozenset(range(SILENT))
    events = list(cluster.steady(60, silent=silent))
    events += [cluster.node(number, "Unknown") for number in sorted(silent)]
    events += list(cluster.steady(20, silent=silent))
    figures["silent"] = folded.rate(events)
    figures["facts"] = folded.facts
    figures["incidents"] = [f"{e.entity} {e.cause}" for e in folded.readiness.open()][:5]
    print(json.dumps(figures))


def _in_parts(cluster: Cluster, folded: _Folded) -> float:
    """The first list, 50,000 objects at a time: all at once would count as memory."""
    rates, part = [], []
    for event in cluster.objects():
        part.append(event)
        if len(part) == 50_000:
            rates.append(folded.rate(part))
            part = []
    rates.append(folded.rate(part))
    return sorted(rates)[len(rates) // 2]


def _self() -> int:
    return int(Path("/proc/self").resolve().name)

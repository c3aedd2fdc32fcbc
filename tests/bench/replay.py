"""Replaying a recording of 100 nodes for 24 hours, on one core.

Two hours are made, replayed from a capsule and counted twelve times: making a whole day takes
longer than replaying it. HOURS=24 in the environment does it all."""

import json
import os
import subprocess
import sys
from pathlib import Path

from pipeline.console.capsule import writing
from pipeline.contract.state import encode_state
from tests.bench.cluster import START_MS, Cluster
from tests.bench.report import at_most, emit

NODES, PODS = 100, 30
CALM = 3_000  # a change of some pod each second
DAY_H = 24
RUNS = 3


def run(work: Path) -> None:
    hours = float(os.environ.get("HOURS", "2"))
    capsule = work / "capsule"
    events = _make(capsule, hours)
    times = [_replay(capsule) * DAY_H / hours for _ in range(RUNS if hours < DAY_H else 1)]
    emit(
        "replay.100-nodes-24h",
        times,
        "CPU-s",
        target=at_most(60),
        events=round(events * DAY_H / hours),
        hours_measured=hours,
    )


def _make(capsule: Path, hours: float) -> int:
    capsule.mkdir()
    cluster, count = Cluster(NODES, PODS), 0
    with writing(capsule) as lines:
        for events in (cluster.objects(), cluster.steady(int(hours * 3600), calm=CALM)):
            for event in events:
                lines.write(encode_state(event)[0] + b"\n")
                count += 1
    index = {"start": START_MS / 1000, "end": cluster.now / 1000}
    (capsule / "index.json").write_text(json.dumps(index))
    return count


def _replay(capsule: Path) -> float:
    """CPU seconds of the command, start of Python included."""
    old = os.times()
    words = [sys.executable, "-m", "kubeledger", "replay", str(capsule), "--json"]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    after = os.times()
    return after.children_user + after.children_system - old.children_user - old.children_system

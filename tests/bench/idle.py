"""An idle node agent: 100 containers that have nothing to say."""

import time
from pathlib import Path

from tests.bench.agent import agent
from tests.bench.buses import EMBEDDED, KAFKA, bus
from tests.bench.report import at_most, emit, skipped
from tests.bench.tree import make_tree
from tests.real.kafka import RealPartMissing

CONTAINERS = 100
WINDOWS, WINDOW_S, SETTLE_S = 3, 5.0, 8.0


def run(work: Path) -> None:
    tree = make_tree(work / "tree", containers=CONTAINERS, size=1_000_000)
    for kind in (EMBEDDED, KAFKA):
        try:
            with (
                bus(kind, work / kind) as found,
                agent(tree.root, found.url, work / f"state-{kind}") as running,
            ):
                time.sleep(SETTLE_S)
                shares = []
                for _ in range(WINDOWS):
                    before = running.cpu_so_far()
                    time.sleep(WINDOW_S)
                    shares.append(100 * (running.cpu_so_far() - before) / WINDOW_S)
                resident = running.resident_mib()
                running.stop()
        except RealPartMissing as missing:
            skipped(f"idle.{kind}", str(missing))
            continue
        emit(f"idle.{kind}.cpu", shares, "% of a core", target=at_most(0.5), files=CONTAINERS)
        emit(f"idle.{kind}.rss", [resident], "MiB", target=at_most(48))

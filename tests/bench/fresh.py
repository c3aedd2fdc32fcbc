"""From the write of a line to its row: the whole embedded pipeline at a steady 10 MB/s.

The age is taken by the engine itself: `stored_at`, the moment at which it took the row, less the
time that the line carries."""

import time
from pathlib import Path

from pipeline.base.clock import SystemClock
from pipeline.console.embedded import EmbeddedPipeline, Inputs
from pipeline.store.clickhouse import open_store
from tests.bench.report import at_most, emit
from tests.bench.stores import number
from tests.bench.tree import container_directories
from tests.bench.writer import start_writer

MBPS, SECONDS, WARM_S, FILES = 10.0, 20.0, 3.0, 10
RUNS = 3
_AGES = (
    "SELECT quantileExact({part})(toUnixTimestamp64Milli(stored_at) - toUnixTimestamp64Milli(ts)) "
    "/ 1000 FROM logs WHERE ts >= (SELECT min(ts) + toIntervalSecond({warm}) FROM logs)"
)


def run(work: Path) -> None:
    runs = [_once(work / str(number)) for number in range(RUNS)]
    rows = min(count for *_, count in runs)
    emit("fresh.p50", [p50 for p50, *_ in runs], "s", rows=rows)
    emit("fresh.p99", [p99 for _, p99, _ in runs], "s", target=at_most(1.5), rows=rows)


def _once(work: Path) -> tuple[float, float, int]:
    """p50, p99, rows."""
    roots = work / "pods"
    container_directories(roots, FILES)
    inputs = Inputs((roots,), "bench")
    with EmbeddedPipeline(work / "data", inputs, clock=SystemClock()) as pipeline:
        time.sleep(WARM_S)
        start_writer(roots, mbps=MBPS, seconds=SECONDS).wait()
        time.sleep(WARM_S)
        store = open_store(pipeline.store)
        p50, p99 = (number(store, _AGES.format(part=q, warm=WARM_S)) for q in (0.5, 0.99))
        rows = int(number(store, "SELECT count() FROM logs"))
        store.close()
    return p50, p99, rows

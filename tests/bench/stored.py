"""Log processor with the embedded store: chunks that wait in the bus -> rows that can be queried.

`kubeledger process logs` and `kubeledger store` run as they do under `kubeledger up`, each a
process of its own; the bus is filled before they start."""

import time
from pathlib import Path

from pipeline.base.clock import SystemClock
from pipeline.console.embedded import PROCESS, STORE, EmbeddedPipeline, Inputs
from pipeline.contract import topics
from pipeline.contract.record import decode_headers
from pipeline.store.clickhouse import open_store
from tests.bench.buses import EMBEDDED, bus
from tests.bench.chunks import blocks, sealed
from tests.bench.engine import engine_rate
from tests.bench.measure import cpu_seconds
from tests.bench.report import emit
from tests.bench.stores import number
from tests.bench.tree import LogTree, make_tree

SIZE = 100_000_000
RUNS = 3
_TIMEOUT_S = 120.0


def run(work: Path) -> None:
    tree = make_tree(work / "tree", containers=10, size=SIZE)
    rates, processor, engine = [], [], []
    for attempt in range(RUNS):
        data = work / f"data{attempt}"
        data.mkdir()
        _fill(data, tree)
        rows, seconds, cpu = _drain(data, work)
        rates.append(rows / seconds)
        processor.append(rows / cpu[PROCESS])
        engine.append(rows / cpu[STORE])
    limit = engine_rate(work, blocks(sealed(tree.files)))
    emit("stored.rate", rates, "rows/s", raw_mb=SIZE / 1e6)
    emit("stored.processor", processor, "rows/CPU-s")
    emit("stored.engine", engine, "rows/CPU-s", limit=limit)


def _fill(data: Path, tree: LogTree) -> None:
    with bus(EMBEDDED, data) as found:
        producer = found.broker.producer()
        for headers, value in sealed(tree.files):
            key = decode_headers(headers).source.key
            producer.send(topics.LOGS, key=key, value=value, headers=headers)
        assert producer.flush(_TIMEOUT_S)
        producer.close(5.0)


def _drain(data: Path, work: Path) -> tuple[int, float, dict[str, float]]:
    """Rows, seconds from the first row to the last, CPU seconds of the two processes."""
    empty = work / "nothing"
    empty.mkdir(exist_ok=True)
    clock = SystemClock()
    with EmbeddedPipeline(data, Inputs((empty,), "bench"), clock=clock, partitions=3) as pipeline:
        start = time.perf_counter()
        store = open_store(pipeline.store)
        deadline = time.monotonic() + _TIMEOUT_S
        while pipeline.lag():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{pipeline.lag()} records still wait")
            time.sleep(0.1)
        seconds = time.perf_counter() - start
        rows = int(number(store, "SELECT count() FROM logs"))
        store.close()
        cpu = {name: cpu_seconds(pipeline.pid(name) or 0) for name in (PROCESS, STORE)}
    return rows, seconds, cpu

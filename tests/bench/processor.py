"""Log processor without the store: chunks -> the bytes of native blocks, rows per CPU-second of
one core. Unpacking, framing, joining, sorting and encoding are in it; the bus is not."""

import time
from pathlib import Path

from pipeline.contract.tables import LOGS
from pipeline.store.native import encode_block
from tests.bench.chunks import Sealed, blocks, sealed
from tests.bench.report import at_least, emit
from tests.bench.tree import make_tree, recorded_tree

SIZE = 150_000_000
RECORDED = 40_000_000
RUNS = 3
_REVISION = 54452


def run(work: Path) -> None:
    trees = {f"{n}-files": make_tree(work / f"tree{n}", containers=n, size=SIZE) for n in (10, 200)}
    trees["recorded"] = recorded_tree(work / "recorded", size=RECORDED)
    for name, tree in trees.items():
        records = list(sealed(tree.files))
        runs = [_rate(records) for _ in range(RUNS)]
        emit(
            f"processor.{name}.rate",
            [rate for rate, _ in runs],
            "rows/CPU-s",
            target=at_least(1_000_000),
            rows=runs[0][1],
            raw_mb_s=round(tree.size / 1e6 * runs[0][0] / runs[0][1]),
        )


def _rate(records: list[Sealed]) -> tuple[float, int]:
    types = {column.name: column.type for column in LOGS.written}
    rows, start = 0, time.process_time()
    for block in blocks(records):
        rows += len(block)
        encode_block(block, types, _REVISION)
    return rows / (time.process_time() - start), rows

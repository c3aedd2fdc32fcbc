"""The engine's own insert, from a file: the limit beside storing rows through the pipeline.

    python -m tests.bench.engine ENGINE_FOLDER FILE…

inserts each Native file into `kubeledger.logs` with the settings of the store's inserts and
prints the CPU seconds that the inserts took, merges that ran meanwhile included, as JSON. A
process of its own: the engine must never be loaded in one that forks.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.base.block import Block
from pipeline.contract.tables import LOGS
from pipeline.store.clickhouse import _INSERT_SETTINGS, _LATE_INDEXES
from pipeline.store.format import BLOCK_INFO
from pipeline.store.native import encode_block
from tests.bench.stores import store


def engine_rate(work: Path, blocks: Iterable[Block]) -> float:
    """Rows per CPU-second of a new engine that inserts these blocks from files."""
    data = work / "engine-limit"
    with store(data):
        pass  # tables are made, the engine is free again
    files, rows = [], 0
    for number, block in enumerate(blocks):
        files.append(work / f"block{number}.native")
        files[-1].write_bytes(native(block))
        rows += len(block)
    words = [sys.executable, "-m", "tests.bench.engine", str(data / "engine"), *map(str, files)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return rows / float(json.loads(done.stdout)["cpu_s"])


def native(block: Block) -> bytes:
    """A block in the form of `FORMAT Native`: as on the wire, without the packet's head."""
    pieces = encode_block(block, {column.name: column.type for column in LOGS.written}, 0)
    assert pieces[0] == BLOCK_INFO
    return b"".join(pieces[1:])


def insert(folder: str, files: Sequence[str]) -> float:
    from chdb import _chdb

    columns = ", ".join(f"`{column.name}`" for column in LOGS.written)
    late = {"exclude_materialize_skip_indexes_on_insert": _LATE_INDEXES["logs"]}
    settings = ", ".join(f"{k} = {v!r}" for k, v in {**_INSERT_SETTINGS, **late}.items())
    engine = _chdb.connect(folder)  # type: ignore[attr-defined]
    start = time.process_time()
    for path in files:
        engine.query(
            f"INSERT INTO kubeledger.logs ({columns}) SETTINGS {settings} "
            f"SELECT {columns} FROM file('{path}', 'Native')",
            "Null",
        )
    spent = time.process_time() - start
    engine.close()
    return spent


if __name__ == "__main__":
    print(json.dumps({"cpu_s": insert(sys.argv[1], sys.argv[2:])}))

"""Bytes stored per raw byte, by column: on the committed recording of a real kubelet's tree, and
on the generated one. Data only: indexes are told beside it."""

from pathlib import Path

from tests.bench.report import at_least, emit
from tests.bench.stores import fill, number, one_part, store
from tests.bench.tree import make_tree

SIZE = 100_000_000
RECORDING = Path(__file__).parents[1] / "recordings/healthy/container-logs"
_PARTS = "FROM system.parts WHERE database = currentDatabase() AND table = 'logs' AND active"
_COLUMNS = (
    "SELECT name, data_compressed_bytes FROM system.columns WHERE database = currentDatabase() "
    "AND table = 'logs' AND data_compressed_bytes > 0 ORDER BY 2 DESC"
)


def run(work: Path) -> None:
    tree = make_tree(work / "tree", containers=10, size=SIZE)
    # The generated lines carry more random ids than real ones: no promise is made for them.
    for name, root, promise in (
        ("recording", RECORDING, at_least(10)),
        ("generated", tree.root, None),
    ):
        with store(work / f"store-{name}") as (target, _):
            rows = fill(target, root)
            one_part(target)
            raw = number(target, "SELECT sum(nbytes) FROM logs")
            stored = number(target, f"SELECT sum(data_compressed_bytes) {_PARTS}")
            indexes = number(target, f"SELECT sum(secondary_indices_compressed_bytes) {_PARTS}")
            emit(
                f"size.{name}",
                [raw / stored],
                "raw bytes per stored byte",
                target=promise,
                raw=int(raw),
                rows=rows,
                stored=int(stored),
                indexes=int(indexes),
                bytes_per_row={
                    str(column): round(int(size) / rows, 3)
                    for column, size in target.query(_COLUMNS).rows
                },
            )

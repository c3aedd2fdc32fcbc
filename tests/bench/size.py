"""Bytes stored per raw byte, by column: on recordings of real kubelets' trees (tree.py), and on
the generated one. Data only: indexes are told beside it."""

from pathlib import Path

from tests.bench.report import at_least, emit
from tests.bench.stores import fill, number, one_part, store
from tests.bench.tree import RECORDINGS, make_tree

SIZE = 100_000_000
ENOUGH = 100_000  # bytes; of a few lines every column's head is most of what is stored
_PARTS = "FROM system.parts WHERE database = currentDatabase() AND table = 'logs' AND active"
_COLUMNS = (
    "SELECT name, data_compressed_bytes FROM system.columns WHERE database = currentDatabase() "
    "AND table = 'logs' AND data_compressed_bytes > 0 ORDER BY 2 DESC"
)


def run(work: Path) -> None:
    tree = make_tree(work / "tree", containers=10, size=SIZE)
    # The generated lines carry more random ids than real ones: no promise is made for them.
    recorded = [(f"recording-{number}", root) for number, root in enumerate(RECORDINGS)]
    for name, root, promise in (
        *((name, root, at_least(10)) for name, root in recorded),
        ("generated", tree.root, None),
    ):
        with store(work / f"store-{name}") as (target, _):
            # Large parts, as after a day, so that the engine tells the size of each column.
            target.command("ALTER TABLE logs MODIFY SETTING min_bytes_for_wide_part = 0")
            rows = fill(target, root)
            one_part(target)
            raw = number(target, "SELECT sum(nbytes) FROM logs")
            stored = number(target, f"SELECT sum(data_compressed_bytes) {_PARTS}")
            indexes = number(target, f"SELECT sum(secondary_indices_compressed_bytes) {_PARTS}")
            emit(
                f"size.{name}",
                [raw / stored],
                "raw bytes per stored byte",
                target=promise if raw >= ENOUGH else None,
                raw=int(raw),
                tree=root.parent.name,
                rows=rows,
                stored=int(stored),
                indexes=int(indexes),
                bytes_per_row={
                    str(column): round(int(size) / rows, 3)
                    for column, size in target.query(_COLUMNS).rows
                },
            )

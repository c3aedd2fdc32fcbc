"""An embedded store for a benchmark: `kubeledger store` and its tables, and rows put into it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.store.clickhouse import ClickHouseStore, open_store
from pipeline.store.config import StoreConfig
from pipeline.store.embedded.locate import opened
from pipeline.store.migrate import migrate
from tests.bench.chunks import blocks, log_files, sealed


@contextmanager
def store(data: Path) -> Iterator[tuple[ClickHouseStore, StoreConfig]]:
    with opened(data) as config:
        found = open_store(config)
        try:
            migrate(found, config)
            yield found, config
        finally:
            found.close()


def fill(target: ClickHouseStore, root: Path) -> int:
    """Every log file below `root`, as the processor would store it; rows."""
    rows = 0
    for number, block in enumerate(blocks(sealed(log_files(root)))):
        target.insert("logs", block, token=f"bench-{root.name}-{number}")
        rows += len(block)
    return rows


def one_part(target: ClickHouseStore) -> None:
    """As after a day: merged, indexes built."""
    target.command("OPTIMIZE TABLE logs FINAL")


def number(target: ClickHouseStore, sql: str) -> float:
    return float(target.query(sql).rows[0][0])

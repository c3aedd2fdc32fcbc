"""How a person's command reaches a store: a data directory, or a configuration."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field

from pipeline.base.config import Settings, load
from pipeline.base.errors import UsageError
from pipeline.store.clickhouse import ClickHouseStore, open_store
from pipeline.store.config import StoreConfig
from pipeline.store.embedded.locate import opened


class ReachConfig(Settings):
    """Configuration of `logs`, `query` and `audit` without `--data`."""

    store: StoreConfig = Field(default_factory=StoreConfig, description="The ClickHouse to ask.")


@contextmanager
def reach_store(
    data: Path | None, config: Path | None
) -> Iterator[tuple[ClickHouseStore, StoreConfig]]:
    """With `data`: the running store of that `kubeledger up` directory, or one opened for the
    time of the block. Otherwise the ClickHouse of the configuration."""
    if data is not None and config is not None:
        raise UsageError("--data and --config both name a store; give one")
    if data is None:
        settings = load(ReachConfig, service="client", path=config).store
        yield from _connected(settings)
        return
    directory = data / "store"
    if not directory.is_dir():
        raise UsageError(f"{data} is no data directory of `kubeledger up`: {directory} is missing")
    with opened(directory) as settings:
        yield from _connected(settings)


def _connected(settings: StoreConfig) -> Iterator[tuple[ClickHouseStore, StoreConfig]]:
    store = open_store(settings)
    try:
        yield store, settings
    finally:
        store.close()

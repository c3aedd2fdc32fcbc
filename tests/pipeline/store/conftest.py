"""One embedded store for the tests that only ask it; `fresh` ones for those that break it."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.store.clickhouse import ClickHouseStore, open_store
from pipeline.store.migrate import migrate
from tests.pipeline.store.running import Running, changed

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    store = Running(tmp_path_factory.mktemp("store") / "data").start()
    yield store
    store.stop()


@pytest.fixture
def store(running: Running) -> Iterator[ClickHouseStore]:
    """Migrated, in a database of its own."""
    config = changed(running.config, database=f"test_{next(_numbers)}")
    opened = open_store(config)
    migrate(opened, config)
    yield opened
    opened.command(f"DROP DATABASE {config.database} SYNC")
    opened.close()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Makes stores that are stopped at the end."""
    made: list[Running] = []

    def make(*arguments: str, data: Path | None = None) -> Running:
        store = Running(data or tmp_path / f"data{len(made)}")
        if arguments:
            store.arguments = arguments
        made.append(store)
        return store

    yield make
    for store in made:
        store.stop()

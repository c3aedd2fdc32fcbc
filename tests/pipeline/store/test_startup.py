"""A table altered by hand is found, and said what to do about."""

import pytest

from pipeline.base.errors import Fatal
from pipeline.store.clickhouse import ClickHouseStore
from pipeline.store.startup import check_version

ALTERATIONS = [
    (
        "ALTER TABLE gaps MODIFY COLUMN stop UInt32",
        r"table gaps, column stop: expected UInt64, found UInt32; .*MODIFY COLUMN stop UInt64",
    ),
    (
        "ALTER TABLE logs DROP COLUMN enriched",
        r"table logs, column enriched: expected UInt8, found none; .*ADD COLUMN enriched UInt8",
    ),
    (
        "ALTER TABLE logs MODIFY COLUMN level REMOVE DEFAULT",
        r"table logs, column level: expected a DEFAULT expression, found none",
    ),
    (
        "ALTER TABLE logs MODIFY COLUMN nbytes UInt32 DEFAULT 1",
        r"table logs, column nbytes: expected no DEFAULT expression, found DEFAULT",
    ),
    ("DROP TABLE files SYNC", r"table files is missing; run `kubeledger migrate`"),
    (
        "ALTER TABLE logs RESET SETTING non_replicated_deduplication_window",
        r"table logs: non_replicated_deduplication_window is not set, so a repeated insert would",
    ),
    (
        "ALTER TABLE gaps MODIFY SETTING non_replicated_deduplication_window = 0",
        r"table gaps: non_replicated_deduplication_window is 0",
    ),
]


@pytest.mark.parametrize(("sql", "found"), ALTERATIONS)
def test_alterations(store: ClickHouseStore, sql: str, found: str) -> None:
    store.command(sql)
    with pytest.raises(Fatal, match=found):
        store.check()


def test_the_remedy_mends(store: ClickHouseStore) -> None:
    store.command("ALTER TABLE logs DROP COLUMN enriched")
    with pytest.raises(Fatal) as caught:
        store.check()
    store.command(str(caught.value).split("`")[1])
    store.check()


def test_columns_that_somebody_added_do_no_harm(store: ClickHouseStore) -> None:
    store.command("ALTER TABLE logs ADD COLUMN team String ALIAS namespace")
    store.command("ALTER TABLE logs ADD COLUMN host LowCardinality(String)")
    store.check()


@pytest.mark.parametrize("version", ["26.2.19.43", "25.12.1.1", "18.16.1"])
def test_too_old(version: str) -> None:
    with pytest.raises(Fatal, match=rf"ClickHouse {version} is too old; 26.3 or newer"):
        check_version(version, "here")


@pytest.mark.parametrize("version", ["26.3.1.1", "26.10.1", "27.1.2.3"])
def test_new_enough(version: str) -> None:
    check_version(version, "here")

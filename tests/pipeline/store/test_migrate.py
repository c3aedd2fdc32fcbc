"""Migrations: once, in order, by one at a time; and the same text for one node and a cluster."""

import subprocess
import sys
import threading

import pytest

from pipeline.base.clock import ManualClock
from pipeline.base.errors import Fatal, KubeledgerError, Unavailable
from pipeline.contract.tables import ROLLUP_1M, TABLES
from pipeline.store.clickhouse import ClickHouseStore, open_store
from pipeline.store.config import StoreConfig
from pipeline.store.migrate import migrate, migrations, render
from tests.pipeline.store.rows import log_block
from tests.pipeline.store.running import FOR_EVER, Running, changed

SINGLE = StoreConfig(database="kubeledger", ttl_days=3)
CLUSTER = StoreConfig(database="kubeledger", cluster="main")


def config_of(store: ClickHouseStore, running: Running) -> StoreConfig:
    database = store.query("SELECT currentDatabase()").rows[0][0]
    return changed(running.config, database=database)


def test_again_does_nothing(store: ClickHouseStore, running: Running) -> None:
    config = config_of(store, running)
    store.insert("logs", log_block([b"kept"]), token="t")
    (line,) = migrate(store, config)
    assert line == f"store: {config.database} has all {len(migrations())} migrations"
    assert store.query("SELECT body FROM logs").rows == [("kept",)]


def test_finishes_what_another_left_half_done(store: ClickHouseStore, running: Running) -> None:
    config = config_of(store, running)
    store.command("TRUNCATE TABLE schema_migrations")
    store.command("DROP TABLE logs_1m_view SYNC")
    assert len(migrate(store, config)) == len(migrations())
    store.insert("logs", log_block([b"x"]), token="t")
    assert store.query(f"SELECT sum(rows) FROM {ROLLUP_1M}").rows == [(1,)]


def test_many_at_once(running: Running) -> None:
    config = changed(running.config, database="many_at_once")
    results: list[list[str]] = []
    errors: list[KubeledgerError] = []

    def run() -> None:
        store = open_store(config)
        try:
            results.append(migrate(store, config))
        except KubeledgerError as error:
            errors.append(error)
        finally:
            store.close()

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(len(lines) for lines in results) == [1, 1, 1, 1, len(migrations())]
    with running.store(database="many_at_once") as store:
        applied = store.query("SELECT number FROM schema_migrations ORDER BY number").rows
        assert applied == [(migration.number,) for migration in migrations()]
        store.command("DROP DATABASE many_at_once SYNC")


class Leaping(ManualClock):
    """The lock's age is the engine's: it must not be a minute old before the patience is over."""

    def sleep(self, seconds: float) -> None:
        self.advance(100 * seconds)


def test_a_held_lock_is_waited_for_and_named(store: ClickHouseStore, running: Running) -> None:
    config = config_of(store, running)
    store.command("CREATE TABLE schema_lock (x UInt8) ENGINE = Memory COMMENT 'somebody'")
    with pytest.raises(Unavailable, match="held by somebody"):
        migrate(store, config, clock=Leaping())
    store.command("DROP TABLE schema_lock SYNC")
    assert migrate(store, config)


def test_an_edited_migration_is_refused(store: ClickHouseStore, running: Running) -> None:
    config = config_of(store, running)
    store.command("ALTER TABLE schema_migrations UPDATE checksum = 'other' WHERE number = 1",
                  {"mutations_sync": 1})  # fmt: skip
    with pytest.raises(Fatal, match=r"0001_logs\.sql was applied with another text"):
        migrate(store, config)


def test_a_newer_database_is_refused(store: ClickHouseStore, running: Running) -> None:
    config = config_of(store, running)
    store.command("INSERT INTO schema_migrations (number, name) SELECT 9000, '9000_future.sql'")
    with pytest.raises(Fatal, match=r"9000_future\.sql, which this version does not know"):
        migrate(store, config)


def test_retention_follows_the_configuration(store: ClickHouseStore, running: Running) -> None:
    config = changed(config_of(store, running), ttl_days=3)
    lines = migrate(store, config)
    now, before = "3 (short 3, long 90)", f"{FOR_EVER} (short 3, long {FOR_EVER})"
    assert f"store: logs keeps {now} days now, before {before}" in lines
    text = store.query(
        "SELECT create_table_query FROM system.tables "
        "WHERE database = currentDatabase() AND name = 'logs'"
    ).rows[0][0]
    assert "multiIf(retention = 'short', 3, retention = 'long', 90, 3)" in text
    assert len(migrate(store, config)) == 1


def test_cluster_form() -> None:
    statements = [sql for m in migrations() for sql in render(m.text, CLUSTER)]
    text = "\n".join(statements)
    assert "${" not in text
    for sql in statements:
        assert "ON CLUSTER 'main'" in sql
        if "MergeTree" in sql:
            assert "ENGINE = Replicated" in sql
            assert "replicated_deduplication_window = 100000" in sql
            assert "non_replicated" not in sql
            assert "_local" in sql.splitlines()[0]
    names = [spec.name for spec in TABLES] + [ROLLUP_1M]
    for name in names:
        assert f"CREATE TABLE IF NOT EXISTS kubeledger.{name}_local" in text
        assert f"CREATE TABLE IF NOT EXISTS kubeledger.{name} ON CLUSTER" in text
        assert f"kubeledger, {name}_local, " in text


def test_single_form() -> None:
    text = "\n".join(sql for m in migrations() for sql in render(m.text, SINGLE))
    for word in ("${", "ON CLUSTER", "Replicated", "Distributed", "_local"):
        assert word not in text
    assert "toIntervalDay(3) DELETE" in text
    assert (
        text.count("non_replicated_deduplication_window = 100000") == len(TABLES) + 2
    )  # and logs_1m, expiring


def test_files_are_in_the_package() -> None:
    code = "from pipeline.store.migrate import migrations; print(len(migrations()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(migrations())

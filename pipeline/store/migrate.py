"""Migrations: numbered SQL files, applied once, in order, by one migrator at a time.

Each file is one text for both forms, a single node and a replicated, sharded cluster; see
`render`. Every statement is idempotent, so that a migrator that dies half-way is simply run
again. State: table `schema_migrations` (what was applied) and, while somebody migrates, table
`schema_lock`: creating it is atomic, and whoever created it holds the lock.
"""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources

from pipeline.base.clock import Clock, SystemClock
from pipeline.base.errors import Fatal, KubeledgerError, Unavailable
from pipeline.store.config import StoreConfig
from pipeline.store.protocol import Store

WINDOW = 100_000  # blocks whose tokens are remembered
WINDOW_SECONDS = 86_400
_KEPT_DAYS = 400  # roll-ups and the ledger are small, and a file's opening must outlive its rows
_TABLE_ALREADY_EXISTS = 57
_STALE_S = 60.0
_CLUSTER_ONLY = "-- cluster:"
_PLACE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """Of the text before rendering: retention and cluster may differ."""
        return sha256(self.text.encode()).hexdigest()[:16]


def migrations() -> list[Migration]:
    """All of them, in order. Numbers follow each other without gaps."""
    folder = resources.files("pipeline.store") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    found = [Migration(int(n[:4]), n, (folder / n).read_text("utf-8")) for n in names]
    if [m.number for m in found] != list(range(1, len(found) + 1)):
        raise Fatal(f"migrations are not numbered 1, 2, 3…: {', '.join(names)}")
    return found


def render(text: str, config: StoreConfig) -> list[str]:
    """Statements for this configuration. A statement under `-- cluster:` is left out on a
    single node. On a cluster the tables that hold rows are called `…_local`; the plain names
    are Distributed tables over all shards, for reading."""
    clustered = bool(config.cluster)
    window = f"non_replicated_deduplication_window = {WINDOW}"
    if clustered:
        window = (
            f"replicated_deduplication_window = {WINDOW}, "
            f"replicated_deduplication_window_seconds = {WINDOW_SECONDS}"
        )
    values = {
        "db": config.database,
        "local": "_local" if clustered else "",
        "cluster": config.cluster,
        "on_cluster": f" ON CLUSTER '{config.cluster}'" if clustered else "",
        "replicated": "Replicated" if clustered else "",
        "dedup_window": window,
        "ttl_days": str(config.ttl_days),
        "short_days": str(min(config.ttl_days, config.short_days)),
        "long_days": str(max(config.ttl_days, config.long_days)),
        "ledger_days": str(max(config.ttl_days + 7, config.long_days + 7, _KEPT_DAYS)),
        "rollup_days": str(max(config.ttl_days, _KEPT_DAYS)),
    }
    statements = []
    for part in re.split(r";\s*$", text, flags=re.MULTILINE):
        only_cluster = _CLUSTER_ONLY in part
        sql = "\n".join(line for line in part.splitlines() if not line.startswith("--")).strip()
        if sql and (clustered or not only_cluster):
            statements.append(_PLACE.sub(lambda found: values[found[1]], sql))
    return statements


def migrate(store: Store, config: StoreConfig, *, clock: Clock | None = None) -> list[str]:
    """Bring the database to the newest form. Returns a line per thing done; running it again
    does nothing. Raises Fatal when an applied migration's text has changed since, or when the
    database was migrated by a newer version."""
    clock = clock or SystemClock()
    for sql in render(_FOUNDATION, config):
        store.command(sql)
    with _lock(store, config, clock):
        done = _applied(store, config)
        known = migrations()
        _compare(known, done)
        lines = [_apply(store, config, m) for m in known if m.number not in done]
        lines += _retention(store, config)
    return lines or [f"store: {config.database} has all {len(known)} migrations"]


_FOUNDATION = """
CREATE DATABASE IF NOT EXISTS ${db}${on_cluster};
CREATE TABLE IF NOT EXISTS ${db}.schema_migrations${on_cluster}
(
    number UInt32,
    name String,
    checksum String,
    applied DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ${replicated}MergeTree
ORDER BY number;
"""


def _applied(store: Store, config: StoreConfig) -> dict[int, tuple[str, str]]:
    rows = store.query(
        f"SELECT number, name, checksum FROM {config.database}.schema_migrations ORDER BY applied"
    ).rows
    return {number: (name, checksum) for number, name, checksum in rows}


def _compare(known: list[Migration], done: dict[int, tuple[str, str]]) -> None:
    by_number = {m.number: m for m in known}
    for number, (name, checksum) in done.items():
        migration = by_number.get(number)
        if migration is None:
            raise Fatal(
                f"the database has migration {name}, which this version does not know; "
                "use the version that made it, or a newer one"
            )
        if migration.checksum != checksum:
            raise Fatal(f"migration {name} was applied with another text; it must not be edited")


def _apply(store: Store, config: StoreConfig, migration: Migration) -> str:
    for sql in render(migration.text, config):
        store.command(sql)
    store.command(
        f"INSERT INTO {config.database}.schema_migrations (number, name, checksum) "
        f"SELECT {migration.number}, '{migration.name}', '{migration.checksum}'"
    )
    return f"store: applied {migration.name}"


def _retention(store: Store, config: StoreConfig) -> list[str]:
    """Change the retention of tables that were made with other days."""
    wanted: dict[str, str] = {}  # table -> its newest TTL
    for sql in (sql for m in migrations() for sql in render(m.text, config)):
        table = re.search(r"(?:CREATE TABLE IF NOT EXISTS|ALTER TABLE) \S+?\.(\w+)", sql)
        ttl = re.search(r"^(?:TTL|ALTER .+ MODIFY TTL) (.+?)(?: DELETE)?$", sql, re.MULTILINE)
        if table and ttl:
            wanted[table[1]] = ttl[1]
    lines = []
    for name, ttl_text in wanted.items():
        found = store.query(
            "SELECT extract(create_table_query, ' TTL (.*?) SETTINGS ') "
            "FROM system.tables WHERE database = {db:String} AND name = {name:String}",
            {"db": config.database, "name": name},
        ).rows
        days, before = (_numbers(text) for text in (ttl_text, found[0][0] if found else ttl_text))
        if days != before:
            on_cluster = f" ON CLUSTER '{config.cluster}'" if config.cluster else ""
            store.command(f"ALTER TABLE {config.database}.{name}{on_cluster} MODIFY TTL {ttl_text}")
            lines.append(f"store: {name} keeps {_spoken(days)} days now, before {_spoken(before)}")
    return lines


def _numbers(ttl: str) -> list[str]:
    return re.findall(r"\b\d+\b", ttl)


def _spoken(numbers: list[str]) -> str:
    """The days; of `1 + multiIf(…short…, …long…, …)` those of each class."""
    if len(numbers) != 4:
        return ", ".join(numbers)
    return f"{numbers[3]} (short {numbers[1]}, long {numbers[2]})"


@contextmanager
def _lock(store: Store, config: StoreConfig, clock: Clock) -> Iterator[None]:
    """One migrator at a time. A lock older than a minute is a dead migrator's: statements are
    idempotent, so taking it over too early does no harm."""
    name = f"{config.database}.schema_lock"
    holder = f"{socket.gethostname()} process {os.getpid()}".replace("'", "")
    on_cluster = f" ON CLUSTER '{config.cluster}'" if config.cluster else ""
    deadline = clock.monotonic() + 2 * _STALE_S
    while not _created(
        store, f"CREATE TABLE {name}{on_cluster} (x UInt8) ENGINE = Memory COMMENT '{holder}'"
    ):
        age, other = _lock_age(store, config)
        if age > _STALE_S:
            store.command(f"DROP TABLE IF EXISTS {name}{on_cluster} SYNC")
        elif clock.monotonic() > deadline:
            raise Unavailable(f"{name} is held by {other}; if it is gone, drop that table")
        else:
            clock.sleep(0.2)
    try:
        yield
    finally:
        store.command(f"DROP TABLE IF EXISTS {name}{on_cluster} SYNC")


def _created(store: Store, sql: str) -> bool:
    try:
        store.command(sql)
    except KubeledgerError as error:
        if getattr(error.__cause__, "code", None) == _TABLE_ALREADY_EXISTS:
            return False
        raise
    return True


def _lock_age(store: Store, config: StoreConfig) -> tuple[float, str]:
    rows = store.query(
        "SELECT toFloat64(now() - metadata_modification_time), comment FROM system.tables "
        "WHERE database = {db:String} AND name = 'schema_lock'",
        {"db": config.database},
    ).rows
    return (float(rows[0][0]), str(rows[0][1])) if rows else (0.0, "nobody")

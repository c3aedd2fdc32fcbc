"""Start-up checks: is this a ClickHouse, and are these the tables, that the code was made for?

A difference is Fatal and names table, column, what is expected, what was found and the remedy:
going on would lose or repeat rows.
"""

import re
from collections.abc import Sequence
from typing import Any

from pipeline.base.errors import Fatal
from pipeline.contract.tables import TableSpec
from pipeline.store.config import StoreConfig
from pipeline.store.protocol import Store

OLDEST = (26, 3)
_WINDOWS = ("non_replicated_deduplication_window", "replicated_deduplication_window")


def inspect(store: Store, config: StoreConfig, tables: Sequence[TableSpec]) -> list[str]:
    """Lines saying what was found."""
    version = str(store.query("SELECT version()").rows[0][0])
    where = f"{config.host}:{config.port}"
    check_version(version, where)
    wrong: list[str] = []
    for spec in tables:
        wrong += _columns(store, config, spec)
    if not wrong:
        for spec in tables:
            wrong += _window(store, config, spec)
    if wrong:
        raise Fatal(f"{where}, database {config.database}:\n" + "\n".join(wrong))
    return [
        f"store: ClickHouse {version} at {where}",
        f"store: tables {', '.join(spec.name for spec in tables)} are as they should be",
    ]


def check_version(version: str, where: str) -> None:
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST:
        raise Fatal(
            f"{where}: ClickHouse {version} is too old; {OLDEST[0]}.{OLDEST[1]} or newer is "
            "needed (text index, deduplication of whole inserts)"
        )


def _columns(store: Store, config: StoreConfig, spec: TableSpec) -> list[str]:
    rows = store.query(
        "SELECT name, type, default_kind FROM system.columns "
        "WHERE database = {db:String} AND table = {table:String}",
        {"db": config.database, "table": spec.name},
    ).rows
    if not rows:
        return [f"  table {spec.name} is missing; run `kubeledger migrate`"]
    found = {name: (kind, default) for name, kind, default in rows}
    wrong = []
    for column in spec.columns:
        what = f"  table {spec.name}, column {column.name}: "
        if column.name not in found:
            remedy = f"ALTER TABLE {spec.name} ADD COLUMN {column.name} {column.type}"
            wrong.append(f"{what}expected {column.type}, found none; {_mend(remedy)}")
            continue
        kind, default = found.pop(column.name)
        if kind != column.type:
            remedy = f"ALTER TABLE {spec.name} MODIFY COLUMN {column.name} {column.type}"
            wrong.append(f"{what}expected {column.type}, found {kind}; {_mend(remedy)}")
        elif bool(default == "DEFAULT") != column.computed:
            wrong.append(
                f"{what}expected {'a' if column.computed else 'no'} DEFAULT expression, found "
                f"{default or 'none'}; restore it from the migrations"
            )
    return wrong + [_extra(spec, name, *kind) for name, kind in found.items() if _required(kind)]


def _required(kind: tuple[str, Any]) -> bool:
    """A column somebody added does no harm, unless it stands for something that rows must
    bring; ClickHouse fills the others with defaults."""
    return kind[1] not in ("", "DEFAULT", "ALIAS", "MATERIALIZED")


def _extra(spec: TableSpec, name: str, kind: str, default: str) -> str:
    return f"  table {spec.name}, column {name}: expected none, found {kind} {default}; drop it"


def _mend(statement: str) -> str:
    return f"somebody altered the table; mend it with `{statement}`"


def _window(store: Store, config: StoreConfig, spec: TableSpec) -> list[str]:
    table = f"{spec.name}_local" if config.cluster else spec.name
    rows = store.query(
        "SELECT engine, engine_full FROM system.tables "
        "WHERE database = {db:String} AND name = {table:String}",
        {"db": config.database, "table": table},
    ).rows
    if not rows:
        return [f"  table {table} is missing; run `kubeledger migrate`"]
    engine, text = rows[0]
    name = _WINDOWS[1] if str(engine).startswith("Replicated") else _WINDOWS[0]
    found = re.search(rf"\b{name} = (\d+)", str(text))
    if "MergeTree" in str(engine) and found is not None and int(found[1]) > 0:
        return []
    if "MergeTree" not in str(engine):
        return [f"  table {table}: expected a MergeTree engine, found {engine}"]
    remedy = f"ALTER TABLE {table} MODIFY SETTING {name} = 100000"
    return [
        f"  table {table}: {name} is {found[1] if found else 'not set'}, so a repeated insert "
        f"would be stored twice; {_mend(remedy)}"
    ]

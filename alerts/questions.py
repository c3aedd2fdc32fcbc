"""Rules that ask the store: the question with its time and parameters, and rows as plain fields."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from alerts.model import Rule, SqlSource
from pipeline.base.errors import Fatal
from pipeline.store.protocol import Store

_PLACE = re.compile(r"\{(\w+)\}")
NOW = "now"
_MOST_ROWS = 1_000  # conditions of one rule


def asked(
    source: SqlSource, parameters: Mapping[str, Any], now_ms: int
) -> tuple[str, dict[str, Any]]:
    """SQL with server-side parameters, and their values."""
    values = dict(source.parameters) | dict(parameters)
    types = {name: _type(value) for name, value in values.items()} | {NOW: "DateTime64(3, 'UTC')"}
    sql = _PLACE.sub(lambda found: f"{{{found[1]}:{types[found[1]]}}}", source.query)
    moment = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    used = {name: value for name, value in values.items() if f"{{{name}}}" in source.query}
    return f"SELECT * FROM ({sql}) LIMIT {_MOST_ROWS}", used | {NOW: moment}


def places(query: str) -> Iterator[str]:
    """Names of the places in a query."""
    for found in _PLACE.finditer(query):
        yield found[1]


def answer(
    store: Store, rule: Rule, parameters: Mapping[str, Any], now_ms: int
) -> list[dict[str, Any]]:
    """Rows by column name. Unavailable: ask again."""
    if rule.sql is None:
        raise Fatal(f"{rule.name} asks nothing")
    result = store.query(*asked(rule.sql, parameters, now_ms))
    return [
        {name: _plain(value) for name, value in zip(result.names, row, strict=True)}
        for row in result.rows
    ]


def _type(value: Any) -> str:
    return "String" if isinstance(value, str) else "Float64"


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    if value is None or isinstance(value, (int, float, str)):
        return value
    return str(value)

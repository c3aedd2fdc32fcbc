"""What the page's panels, menus and annotations ask of the store."""

import itertools
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.base.errors import UsageError
from pipeline.console.page.boards import Board
from pipeline.console.page.cells import cell, kind, rows
from pipeline.console.page.connections import Connections
from pipeline.console.page.macros import Asked, expand
from pipeline.store.protocol import Stream

MAX_ROWS = 20_000  # of a panel: what a browser draws without a pause
MAX_CHOICES = 1_000
_STEPS_MS = (1, 5, 10, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000,
             120_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 10_800_000,
             21_600_000, 43_200_000, 86_400_000, 604_800_000)  # fmt: skip
_INTERVAL = re.compile(r"^(\d+)(ms|s|m|h)$")
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_LATEST_MS = 4_102_444_800_000  # the year 2100

Query = Mapping[str, Sequence[str]]  # of the address: name -> values


def asked(board: Board, query: Query, *, panel: str = "") -> Asked:
    """From the address: from, to (Unix ms), width (points), var-NAME. Raises UsageError."""
    from_ms, to_ms = _number(query, "from"), _number(query, "to")
    if not 0 <= from_ms < to_ms <= _LATEST_MS:
        raise UsageError("`from` and `to` are Unix milliseconds, `from` the smaller one")
    points = max(20, min(_number(query, "width", 600), 2_000))
    step = (to_ms - from_ms) / points
    chosen = next((s for s in _STEPS_MS if s >= step), _STEPS_MS[-1])
    least = _least_interval(board, panel)
    known = {variable["name"] for variable in board.document["variables"]}
    given = {
        name[4:]: list(values)
        for name, values in query.items()
        if name.startswith("var-") and name[4:] in known
    }
    return Asked(from_ms, to_ms, max(chosen, least), given)


def _least_interval(board: Board, panel: str) -> int:
    for document in board.document["panels"]:
        if str(document["id"]) == panel and (
            found := _INTERVAL.match(document.get("interval") or "")
        ):
            return int(found[1]) * _UNITS[found[2]]
    return 1


def _number(query: Query, name: str, default: int | None = None) -> int:
    text = (query.get(name) or [""])[0]
    if not text and default is not None:
        return default
    if not re.fullmatch(r"-?\d{1,15}", text):
        raise UsageError(f"`{name}` is not a whole number")
    return int(text)


def panel(connections: Connections, board: Board, name: str, query: Query) -> dict[str, Any]:
    """Columns and rows; `more` if there were too many."""
    question = asked(board, query, panel=name)
    sql, parameters = expand(board.query("panel", name), question)
    begun = time.perf_counter()
    with connections.lent() as store:
        answer = store.stream(sql, parameters)
        found = _first(answer, MAX_ROWS + 1)
    return {
        "columns": [
            {"name": column, "kind": kind(type_)}
            for column, type_ in zip(answer.names, answer.types, strict=True)
        ],
        "rows": rows(found[:MAX_ROWS]),
        "more": len(found) > MAX_ROWS,
        "step": question.interval_ms,
        "ms": round((time.perf_counter() - begun) * 1000),
    }


def variable(connections: Connections, board: Board, name: str, query: Query) -> dict[str, Any]:
    """Values to choose from: [value, text], the text being the value where there is no other."""
    sql, parameters = expand(board.query("variable", name), asked(board, query))
    with connections.lent() as store:
        found = _first(store.stream(sql, parameters), MAX_CHOICES)
    return {"choices": [[cell(row[0]), cell(row[-1])] for row in found]}


def annotation(connections: Connections, board: Board, name: str, query: Query) -> dict[str, Any]:
    sql, parameters = expand(board.query("annotation", name), asked(board, query))
    with connections.lent() as store:
        answer = store.stream(sql, parameters)
        found = _first(answer, MAX_CHOICES)
    return {"events": [dict(zip(answer.names, row, strict=True)) for row in rows(found)]}


def _first(answer: Stream, limit: int) -> list[tuple[Any, ...]]:
    """The first rows; the rest is not read."""
    found = list(itertools.islice(answer.rows, limit))
    close = getattr(answer.rows, "close", None)
    if close is not None:
        close()
    return found


def span(connections: Connections) -> dict[str, Any]:
    """When the newest of what is stored happened: where to look first. Null in an empty store."""
    with connections.lent() as store:
        found = store.query(
            "SELECT max(t) FROM (SELECT toInt64(max(toUnixTimestamp(minute)) * 1000 + 60000) AS t "
            "FROM logs_1m HAVING count() > 0 UNION ALL SELECT toUnixTimestamp64Milli(max(ts)) AS t "
            "FROM node_samples HAVING count() > 0 UNION ALL SELECT "
            "toUnixTimestamp64Milli(max(ts)) AS t FROM facts HAVING count() > 0)"
        ).rows
    newest = int(found[0][0]) if found and found[0][0] else None
    return {"newest": newest}

"""`kubeledger query`: SQL on the store, as a table, JSON or CSV.

JSON is one array of objects, CSV has a header; both are written as rows arrive, in bounded memory.
When the server fails midway the output ends there, unfinished, and the command fails. Only
reading is allowed: a console that is given a store's address must not be able to drop a table by a
slip of the hand. The server's own client is there for that.
"""

import csv
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from pipeline.base.errors import UsageError
from pipeline.console.output import harmless, json_text
from pipeline.console.values import as_cell, plain
from pipeline.store.protocol import Row, Store, Stream

MAX_TABLE_ROWS = 1_000
MAX_CELL = 500
_READING = {"select", "with", "show", "describe", "desc", "explain", "exists", "("}
_COMMENT = re.compile(r"\s+|--[^\n]*(?:\n|$)|#[! ][^\n]*(?:\n|$)|/\*.*?\*/", re.DOTALL)
_NUMBER = re.compile(r"(?:Nullable\(|LowCardinality\()*(?:U?Int|Float|BFloat|Decimal)")


def run_query(store: Store, sql: str, *, format: str, out: TextIO) -> None:  # noqa: A002
    """Write the answer. `format` is table, json or csv. Raises UsageError for wrong SQL, with
    the server's words on one line."""
    write = _FORMATS.get(format)
    if write is None:
        raise UsageError(f"format {format!r} is not one of {', '.join(_FORMATS)}")
    _refuse_writing(sql)
    try:
        write(store.stream(sql), out)
    except UsageError as error:
        raise UsageError(" ".join(str(error).split())) from error


def _refuse_writing(sql: str) -> None:
    at = 0
    while match := _COMMENT.match(sql, at):
        at = match.end()
    found = re.compile(r"\w+|.", re.DOTALL).match(sql, at)
    word = found.group().lower() if found else ""
    if word not in _READING:
        shown = f"`{word.upper()}`" if word else "nothing"
        raise UsageError(
            f"query only reads (SELECT, WITH, SHOW, DESCRIBE, EXPLAIN, EXISTS), found {shown}; "
            "to change the store use ClickHouse's own client"
        )


def _distinct(names: list[str]) -> list[str]:
    """Objects cannot hold a name twice: the second is `name_2`."""
    found: list[str] = []
    for name in names:
        number = itertools.count(2)
        candidate = name
        while candidate in found:
            candidate = f"{name}_{next(number)}"
        found.append(candidate)
    return found


def _json(stream: Stream, out: TextIO) -> None:
    names = _distinct(stream.names)
    start = "[\n"
    for row in stream.rows:
        document = dict(zip(names, map(plain, row), strict=True))
        out.write(start + json_text(document))
        start = ",\n"
    out.write("[]\n" if start == "[\n" else "\n]\n")


def _csv(stream: Stream, out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(stream.names)
    writer.writerows(map(as_cell, row) for row in stream.rows)


def _table(stream: Stream, out: TextIO) -> None:
    """Rich draws it: as wide as the terminal, or as wide as needed when there is none."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = list(itertools.islice(stream.rows, MAX_TABLE_ROWS + 1))
    more = len(rows) > MAX_TABLE_ROWS
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name, type_ in zip(stream.names, stream.types, strict=True):
        table.add_column(
            Text(harmless(name)),
            justify="right" if _NUMBER.match(type_) else "left",
            overflow="fold",
        )
    for row in rows[:MAX_TABLE_ROWS]:
        table.add_row(*(Text(_short(value)) for value in row))
    width = None if out.isatty() else _natural_width(stream.names, rows)
    console = Console(file=out, width=width, highlight=False)
    console.print(table)
    if more:
        _abandon(stream.rows)
        console.print(f"… more than {MAX_TABLE_ROWS:,} rows: --format json or csv has them all")


def _natural_width(names: list[str], rows: list[Row]) -> int:
    """Nothing is folded where no terminal limits the width."""
    widths = [len(name) for name in names]
    for row in rows:
        widths = [max(width, len(_short(v))) for width, v in zip(widths, row, strict=True)]
    return 2 * sum(widths) + 4 * len(widths) + 80  # wide characters take two places


def _short(value: Any) -> str:
    text = harmless(as_cell(value))
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def _abandon(rows: Iterator[Row]) -> None:
    """Let the store stop sending, where it can."""
    close = getattr(rows, "close", None)
    if close is not None:
        close()


_FORMATS: dict[str, Callable[[Stream, TextIO], None]] = {
    "table": _table,
    "json": _json,
    "csv": _csv,
}

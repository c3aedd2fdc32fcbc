"""Search in the logs for the page: newest first, a bounded number at a time, each page beginning
where the one before ended; the neighbours of a line; and what arrives."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pipeline.base.clock import Clock
from pipeline.base.errors import UsageError
from pipeline.base.lifecycle import Stop
from pipeline.console.follow import tails
from pipeline.console.log_query import LogQuery, select, select_context, where
from pipeline.console.output import LogRow
from pipeline.console.page.asking import Query
from pipeline.console.page.cells import text
from pipeline.console.page.connections import Connections
from pipeline.console.page.macros import ALL
from pipeline.store.protocol import Store

PAGE = 400
CONTEXT = 50
BURST = 500  # lines of one look that the tail sends; of the others it sends how many
_CURSOR = re.compile(r"^(\d{1,19}),(\d{1,20}),(\d{1,20})$")
_MENUS = ("namespace", "workload", "pod", "container")


def page(connections: Connections, query: Query) -> dict[str, Any]:
    """Address: from, to (Unix ms), var-namespace … as of the Logs dashboard, cursor. The answer's
    `next` is the cursor of the page after it, null at the end."""
    filters = where(_filters(query))
    if cursor := _one(query, "cursor"):
        found = _CURSOR.match(cursor)
        if found is None:
            raise UsageError("`cursor` is not one that a page gave")
        filters.add(
            "(ts, file_id, off) < (fromUnixTimestamp64Nano({c0:Int64}, 'UTC'), {c1:UInt64}, "
            "{c2:UInt64}) AND ts <= fromUnixTimestamp64Nano({c0:Int64}, 'UTC')",
            c0=int(found[1]), c1=int(found[2]), c2=int(found[3]),
        )  # fmt: skip
    with connections.lent() as store:
        sql = select(filters.sql, newest_first=True, limit=PAGE)
        rows = [LogRow(*row) for row in store.query(sql, filters.parameters).rows]
    last = rows[-1] if len(rows) == PAGE else None
    return {
        "lines": [line(row) for row in rows],
        "next": last and f"{last.ts},{last.file_id},{last.off}",
    }


def around(connections: Connections, query: Query) -> dict[str, Any]:
    """Lines before and after one in the same file, by byte offset. Address: file, off."""
    try:
        file_id, off = int(_one(query, "file"), 16), int(_one(query, "off"))
        if not (0 <= file_id < 1 << 64 and 0 <= off < 1 << 64):
            raise ValueError
    except ValueError:
        raise UsageError("`file` is 16 hex digits, `off` a byte offset") from None
    with connections.lent() as store:
        answer = store.query(select_context(CONTEXT), {"files": [file_id], "offs": [off]})
    lines = [
        line(LogRow(*row[:-2])) | {"number": row[-2], "match": bool(row[-1])} for row in answer.rows
    ]
    return {"lines": lines}


def follow(store: Store, query: Query, *, clock: Clock, stop: Stop) -> Iterator[dict[str, Any]]:
    """What is stored from now on, oldest first, as long as it is taken: {lines, left_out}. Empty
    ones too, at each look, so that a reader who left is noticed."""
    wanted = replace(_filters(query), since_ns=None, until_ns=None)
    recent = tails(store, wanted, clock)[0]
    recent.mark()
    while not stop.wait(recent.every_s):
        lines: list[dict[str, Any]] = []
        left_out = 0
        for row in recent.look():
            if len(lines) < BURST:
                lines.append(line(row))
            else:
                left_out += 1
        yield {"lines": lines, "left_out": left_out}


def _filters(query: Query) -> LogQuery:
    """As the variables of the Logs dashboard say."""
    any_of = tuple(
        (name, tuple(values)) for name in _MENUS if (values := _chosen(query, f"var-{name}"))
    )
    levels = tuple({"none": ""}.get(level, level) for level in _chosen(query, "var-level"))
    search = _one(query, "var-search")
    return LogQuery(
        since_ns=_ms(query, "from") * 1_000_000,
        until_ns=(_ms(query, "to") + 1) * 1_000_000,
        any_of=any_of,
        levels=levels,
        grep=(search,) if search else (),
    )


def _chosen(query: Query, name: str) -> list[str]:
    values = [value for value in query.get(name, ()) if value]
    return [] if ALL in values else values


def _one(query: Query, name: str) -> str:
    return (query.get(name) or [""])[0]


def _ms(query: Query, name: str) -> int:
    text_ = _one(query, name)
    if not re.fullmatch(r"\d{1,13}", text_):
        raise UsageError(f"`{name}` is not a time in Unix milliseconds")
    return int(text_)


def line(row: LogRow) -> dict[str, Any]:
    return {
        "ts": str(row.ts),  # ns: more than a browser's numbers hold
        "level": row.level,
        "namespace": row.namespace,
        "workload": row.workload,
        "pod": row.pod,
        "container": row.container,
        "node": row.node,
        "stream": row.stream,
        "body": text(row.body),
        "trace": text(row.trace_id, 200),
        "attrs": {text(k, 200): text(v, 500) for k, v in row.attrs.items()},
        "file": f"{row.file_id:016x}",
        "off": str(row.off),
    }

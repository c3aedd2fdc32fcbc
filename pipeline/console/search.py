"""`kubeledger logs`: search, context and follow on a store.

Newest rows are what people want, oldest first is how they read: a search takes the newest
`limit` and prints them in the order of time (`reverse`: newest first). With `limit` 0 everything
is streamed. With `context` each match comes with its neighbours in the same file, by place and not
by time, groups apart by `--`.
"""

from collections.abc import Iterator
from typing import TextIO

from pipeline.base.clock import Clock
from pipeline.base.errors import Unavailable, UsageError
from pipeline.base.lifecycle import Stop
from pipeline.console.follow import tails
from pipeline.console.log_query import LogQuery, log_query, select, select_context, where
from pipeline.console.output import JsonPrinter, LogRow, Printer, TextPrinter
from pipeline.store.protocol import Store

__all__ = ["LogQuery", "log_query", "run_logs"]

_PATIENCE_S = 60.0  # a follower waits this long for a store that went away


def run_logs(
    store: Store,
    query: LogQuery,
    out: TextIO,
    *,
    json: bool,
    colour: bool,
    follow: bool,
    stop: Stop,
    clock: Clock,
    raw: bool = False,
) -> None:
    """Print what the query finds; with `follow` go on until `stop`."""
    printer: Printer = JsonPrinter(out) if json else TextPrinter(out, colour=colour, raw=raw)
    if follow:
        _refuse_with_follow(query)
        _follow(store, query, printer, out=out, stop=stop, clock=clock)
    elif query.context:
        _print_context(store, query, printer, stop=stop)
    else:
        for row in search(store, query):
            if stop.is_set():
                return
            printer.row(row)


def _refuse_with_follow(query: LogQuery) -> None:
    for name, given in (
        ("--until", query.until_ns is not None),
        ("--context", query.context > 0),
        ("--reverse", query.reverse),
    ):
        if given:
            raise UsageError(f"--follow and {name} exclude each other")


def search(store: Store, query: LogQuery) -> Iterator[LogRow]:
    """Rows in the order in which they are to be printed."""
    filters = where(query)
    if not query.limit:
        sql = select(filters.sql, newest_first=query.reverse)
        for values in store.stream(sql, filters.parameters).rows:
            yield LogRow(*values)
        return
    sql = select(filters.sql, newest_first=True, limit=query.limit)
    rows = [LogRow(*values) for values in store.query(sql, filters.parameters).rows]
    yield from rows if query.reverse else reversed(rows)


def _print_context(store: Store, query: LogQuery, printer: Printer, *, stop: Stop) -> None:
    for number, group in enumerate(context(store, query)):
        if stop.is_set():
            return
        if number:
            printer.separator()
        for row, match in group:
            printer.row(row, match)


Group = list[tuple[LogRow, bool]]


def context(store: Store, query: LogQuery) -> list[Group]:
    """Matches with their neighbours; groups of one file that touch are one. In the order of
    the first match of each group."""
    matches = list(search(store, query))
    if not matches:
        return []
    parameters = {"files": [m.file_id for m in matches], "offs": [m.off for m in matches]}
    groups: list[Group] = []
    last = (-1, -1)
    for *values, line, hit in store.stream(select_context(query.context), parameters).rows:
        row = LogRow(*values)
        if (row.file_id, line) != (last[0], last[1] + 1):
            groups.append([])
        groups[-1].append((row, bool(hit)))
        last = (row.file_id, line)
    groups.sort(key=_first_match, reverse=query.reverse)
    return groups


def _first_match(group: Group) -> int:
    return next((row.ts for row, match in group if match), group[0][0].ts)


def _follow(
    store: Store, query: LogQuery, printer: Printer, *, out: TextIO, stop: Stop, clock: Clock
) -> None:
    following = tails(store, query, clock)
    for tail in following:
        tail.mark()
    for row in search(store, query):
        printer.row(row)
        for tail in following:
            tail.leave_out(row)
    out.flush()
    now = clock.monotonic()
    due = {tail: now + tail.every_s for tail in following}
    answered = now
    while not stop.wait(max(0.0, min(due.values()) - clock.monotonic())):
        for tail in following:
            started = clock.monotonic()
            if started < due[tail]:
                continue
            try:
                for row in tail.look():
                    printer.row(row)
                answered = clock.monotonic()
            except Unavailable:
                # A store that is being restarted; the next look starts where this one did.
                if clock.monotonic() - answered > _PATIENCE_S:
                    raise
            out.flush()
            took = clock.monotonic() - started
            due[tail] = clock.monotonic() + max(tail.every_s, 2 * took)

"""A search in the logs: what a person asks for, checked, and as SQL.

Every value travels as a parameter. Rows are read in the order of the table's own key
(five-minute buckets), so that the newest N are found without reading everything, and a search
without limit streams in bounded memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.base.clock import Clock
from pipeline.base.errors import UsageError
from pipeline.console.when import parse_when
from pipeline.contract import tables

LEVELS = ("trace", "debug", "info", "warn", "error", "fatal")
MAX_CONTEXT_MATCHES = 2_000
_KEY = "toStartOfFiveMinutes(ts)"

# Columns of a row as output.LogRow has them. ts as a number: no client rounds it.
SELECT = (
    "toUnixTimestamp64Nano(ts)", "ts_shift", "namespace", "workload", "pod", "pod_uid",
    "container", "restart", "node", "toString(stream)", "level", "body", "trace_id", "attrs",
    "file_id", "off", "nbytes", "kp", "ko", "enriched", "flags",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Filters; None or empty means any. Times are Unix nanoseconds, `until` exclusive. `limit`
    is the newest so many rows, 0 all; `context` rows around each match; `any_of` columns with the
    values that each may have."""

    namespace: str | None = None
    workload: str | None = None
    pod: str | None = None
    container: str | None = None
    node: str | None = None
    levels: tuple[str, ...] = ()
    stream: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    grep: tuple[str, ...] = ()
    regex: str | None = None
    limit: int = 1000
    reverse: bool = False
    context: int = 0
    any_of: tuple[tuple[str, tuple[str, ...]], ...] = ()


def log_query(
    *,
    clock: Clock,
    level: str | None = None,
    since: str | None = None,
    until: str | None = None,
    grep: Sequence[str] = (),
    limit: int = 1000,
    context: int = 0,
    **filters: Any,
) -> LogQuery:
    """From the words of the command line. Raises UsageError."""
    since_ns = parse_when(since, clock=clock) if since else None
    until_ns = parse_when(until, clock=clock) if until else None
    if since_ns is not None and until_ns is not None and since_ns >= until_ns:
        raise UsageError(f"--since {since} is not before --until {until}")
    if context and not 0 < limit <= MAX_CONTEXT_MATCHES:
        raise UsageError(f"--context needs --limit between 1 and {MAX_CONTEXT_MATCHES}")
    return LogQuery(
        levels=_levels(level) if level else (),
        since_ns=since_ns,
        until_ns=until_ns,
        grep=tuple(text for text in grep if text),
        limit=limit,
        context=context,
        **filters,
    )


def _levels(text: str) -> tuple[str, ...]:
    """One level means it or worse; several, separated by commas, mean exactly those."""
    names = [{"warning": "warn"}.get(n, n) for n in text.lower().replace(" ", "").split(",")]
    for name in names:
        if name not in LEVELS:
            raise UsageError(f"--level {name!r} is not one of {', '.join(LEVELS)}")
    return LEVELS[LEVELS.index(names[0]) :] if len(names) == 1 else tuple(names)


@dataclass(slots=True)
class Where:
    """Conditions and their parameters, gathered."""

    conditions: list[str] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)

    def add(self, condition: str, **parameters: Any) -> None:
        self.conditions.append(condition)
        self.parameters.update(parameters)

    @property
    def sql(self) -> str:
        return " AND ".join(f"({c})" for c in self.conditions) if self.conditions else "1"


def where(query: LogQuery) -> Where:
    """The filters, time first."""
    found = Where()
    if query.since_ns is not None:
        found.add(f"ts >= {moment('since')}", since=query.since_ns)
    if query.until_ns is not None:
        found.add(f"ts < {moment('until')}", until=query.until_ns)
    for column in ("namespace", "pod", "container", "node"):
        if (value := getattr(query, column)) is not None:
            found.add(f"{column} = {{{column}:String}}", **{column: value})
    for column, values in query.any_of:
        if column not in ("namespace", "workload", "pod", "container"):
            raise UsageError(f"logs are not searched by {column!r} here")
        found.add(f"{column} IN {{any_{column}:Array(String)}}", **{f"any_{column}": list(values)})
    if query.workload is not None:
        whole = "workload" if "/" in query.workload else "splitByChar('/', workload)[-1]"
        found.add(f"{whole} = {{workload:String}}", workload=query.workload)
    if query.stream is not None:
        found.add("toString(stream) = {stream:String}", stream=query.stream)
    if query.levels:
        found.add("level IN {levels:Array(String)}", levels=list(query.levels))
    for number, text in enumerate(query.grep):
        # The byte-wise search is several times faster and the same for ASCII.
        function = "positionCaseInsensitive" if text.isascii() else "positionCaseInsensitiveUTF8"
        found.add(f"{function}(body, {{grep{number}:String}}) > 0", **{f"grep{number}": text})
    if query.regex:
        found.add("match(body, {regex:String})", regex=query.regex)
    return found


def moment(name: str) -> str:
    return f"fromUnixTimestamp64Nano({{{name}:Int64}}, 'UTC')"


def select(conditions: str, *, newest_first: bool, limit: int = 0) -> str:
    way = " DESC" if newest_first else ""
    order = ", ".join(f"{column}{way}" for column in (_KEY, "ts", "file_id", "off"))
    sql = f"SELECT {', '.join(SELECT)} FROM {tables.LOGS.name} WHERE {conditions} ORDER BY {order}"
    return f"{sql} LIMIT {int(limit)}" if limit else sql


_PAIRS = (
    "SELECT pair.1, pair.2 FROM (SELECT arrayJoin(arrayZip("
    "{files:Array(UInt64)}, {offs:Array(UInt64)})) AS pair)"
)


def select_context(rows: int) -> str:
    """Rows around the matches {files:Array(UInt64)}, {offs:Array(UInt64)} by place in the file,
    with each row's number there and whether it is a match. The inner query carries two integers
    a row, so a large file costs little."""
    frame = f"ROWS BETWEEN {int(rows)} PRECEDING AND {int(rows)} FOLLOWING"
    table = tables.LOGS.name
    ranked = (
        "SELECT file_id, off, hit, row_number() OVER (PARTITION BY file_id ORDER BY off) AS line, "
        f"max(hit) OVER (PARTITION BY file_id ORDER BY off {frame}) AS near FROM ("
        f"SELECT DISTINCT file_id, off, (file_id, off) IN ({_PAIRS}) AS hit "
        f"FROM {table} WHERE file_id IN {{files:Array(UInt64)}})"
    )
    return (
        f"SELECT {', '.join(SELECT)}, wanted.line, wanted.hit FROM {table} INNER JOIN ("
        f"SELECT file_id, off, line, hit FROM ({ranked}) WHERE near) AS wanted "
        f"USING (file_id, off) WHERE file_id IN {{files:Array(UInt64)}} ORDER BY file_id, off"
    )

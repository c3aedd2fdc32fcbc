"""Logs: find lines, see them in their file, see what repeats."""

from typing import Any

from dashboards.assemble import assemble, cell, query_variable, text_variable, to
from dashboards.model import Dashboard, Variable
from dashboards.names import IN_RANGE, LOGS, LOGS_1M, MINUTES, chosen
from dashboards.panels import LEVELS, Column, Draft, log_lines, table, timeseries

_LEVEL = "if(level = '', 'none', level)"
_SEARCH = "$__conditionalAll(positionCaseInsensitive(body, ${search:sqlstring}) > 0, $search)"
# What the roll-up knows, and what only the lines know.
_COARSE = " AND ".join(
    [chosen("namespace"), chosen("workload"), chosen("container"), chosen("level", _LEVEL)]
)
_FINE = f"{_COARSE} AND {chosen('pod')} AND {_SEARCH}"
_KEY = "toStartOfFiveMinutes(ts)"  # as the table is sorted: the newest are found without a scan

_COLUMNS = ("namespace", "workload", "pod", "container", "node", "stream", "trace_id")
_LINES = (
    f"SELECT ts AS timestamp, body, {_LEVEL} AS level, {', '.join(_COLUMNS)}, "
    f"toString(file_id) AS file, off AS offset FROM {LOGS} WHERE {IN_RANGE} AND {_FINE} "
    f"ORDER BY {_KEY} DESC, ts DESC LIMIT 1000"
)
# The same for the data source's builder, which makes the log volume and the details of it.
_BUILDER: dict[str, Any] = {
    "database": "",
    "table": LOGS,
    "queryType": "logs",
    "mode": "list",
    "columns": [
        {"name": "ts", "type": "DateTime64(9)", "alias": "timestamp", "hint": "time"},
        {"name": "body", "type": "String", "alias": "body", "hint": "log_message"},
        {"name": "level", "type": "LowCardinality(String)", "alias": "level", "hint": "log_level"},
        *({"name": name, "type": "LowCardinality(String)"} for name in _COLUMNS),
    ],
    "filters": [
        {
            "type": "datetime", "operator": "WITH IN DASHBOARD TIME RANGE", "filterType": "custom",
            "key": "ts", "condition": "AND", "hint": "time", "id": "timeRange",
        }
    ],
    "orderBy": [{"name": "ts", "dir": "DESC", "hint": "time"}],
    "limit": 1000,
    "meta": {"liveView": False, "otelEnabled": False},
}  # fmt: skip

# Numbers, ids and quoted values differ between lines that say the same.
_TEMPLATE = (
    "replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(substring(body, 1, 300), "
    "'[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?"
    "(?:Z|[+-][0-9]{2}:?[0-9]{2})?', '<time>'), "
    "'[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|0x[0-9a-fA-F]+|\\\\b[0-9a-fA-F]{8,}\\\\b"
    "|\\\\b[0-9a-f]*[0-9][0-9a-f]*[a-f][0-9a-f]*[0-9][0-9a-f]*\\\\b', '<id>'), "
    "'[0-9]+(?:[.:,][0-9]+)*', '<n>')"
)
_AROUND = 15


# A line's own file, by byte offset. The file is looked for near the time range only.
# Until a line is chosen it is the newest that complains.
_CHOSEN = (
    "WITH (SELECT if(${file:sqlstring} = '', "
    f"(SELECT tuple(file_id, off) FROM {LOGS} WHERE {IN_RANGE} AND level IN ('warn', 'error', "
    f"'fatal') ORDER BY {_KEY} DESC, ts DESC LIMIT 1), "
    "tuple(toUInt64OrZero(${file:sqlstring}), toUInt64OrZero(${offset:sqlstring})))) AS place "
)
_FILE = (
    "file_id = place.1 AND ts > $__fromTime_ms - INTERVAL 1 HOUR "
    "AND ts < $__toTime_ms + INTERVAL 1 HOUR"
)


def _side(condition: str, way: str) -> str:
    return (
        f"SELECT ts, off, {_LEVEL} AS level, body FROM {LOGS} WHERE {_FILE} "
        f"AND off {condition} place.2 ORDER BY off {way} LIMIT {_AROUND}"
    )


def dashboard() -> Dashboard:
    return assemble(
        "logs",
        "Logs",
        "Find lines, see them in their file, see what repeats.",
        variables=[
            *(_menu(name) for name in ("namespace", "workload", "container")),
            query_variable(
                "pod",
                f"SELECT pod FROM {LOGS} WHERE {IN_RANGE} AND {chosen('namespace')} "
                f"AND {chosen('workload')} GROUP BY pod ORDER BY pod LIMIT 1000",
            ),
            query_variable(
                "level",
                f"SELECT {_LEVEL} AS shown FROM {LOGS_1M} WHERE {MINUTES} GROUP BY shown "
                "ORDER BY shown",
            ),
            text_variable("search", "Search"),
            text_variable("file", "File", hide=True),
            text_variable("offset", "Offset", hide=True),
        ],
        with_clusters=False,
        rows=[
            [
                timeseries(
                    "Volume by level",
                    f"SELECT $__timeInterval(minute) AS time, {_LEVEL} AS series, sum(rows) AS "
                    f"lines FROM {LOGS_1M} WHERE {MINUTES} AND {_COARSE} GROUP BY time, series "
                    "ORDER BY time",
                    style="bars", width=24, height=6, interval="1m", colours=LEVELS,
                    description="From the roll-up: pod and search do not narrow it.",
                )
            ],
            [log_lines("Lines", _LINES, _BUILDER)],
            [_lines_with_links(), _context()],
            [_patterns(), _loudest()],
        ],
    )  # fmt: skip


def _menu(name: str) -> Variable:
    return query_variable(
        name,
        f"SELECT {name} FROM {LOGS_1M} WHERE {MINUTES} AND {name} != '' "
        + ("" if name == "namespace" else f"AND {chosen('namespace')} ")
        + f"GROUP BY {name} ORDER BY {name}",
    )


def _lines_with_links() -> Draft:
    kept = ("namespace", "workload", "pod", "container", "level", "search")
    here = to("logs", *kept, file=cell("file"), offset=cell("offset"))
    return table(
        "Errors, to be seen in their file",
        f"SELECT ts, {_LEVEL} AS level, pod, body, toString(file_id) AS file, off AS offset "
        f"FROM {LOGS} WHERE {IN_RANGE} AND {_FINE} AND level IN ('warn', 'error', 'fatal') "
        f"ORDER BY {_KEY} DESC, ts DESC LIMIT 200",
        {
            "body": Column(link=here), "ts": Column(width=190), "level": Column(width=70),
            "pod": Column(width=140), "file": Column(hidden=True), "offset": Column(hidden=True),
        },
        width=12, height=11,
        description="A line leads to its neighbours in the same file, at the right.",
    )  # fmt: skip


def _context() -> Draft:
    return table(
        "In its file",
        f"{_CHOSEN}SELECT ts, level, body, off AS offset FROM ({_side('<', 'DESC')} UNION ALL "
        f"{_side('>=', 'ASC')}) ORDER BY off",
        {"ts": Column(width=190), "level": Column(width=70), "offset": Column(width=90)},
        width=12, height=11,
        description="Lines before and after the chosen one, by byte offset of one container's "
        "file, whatever their time says. Choose one at the left.",
    )  # fmt: skip


def _patterns() -> Draft:
    newest = (
        f"SELECT body, level, workload FROM {LOGS} WHERE {IN_RANGE} AND {_FINE} "
        f"ORDER BY {_KEY} DESC, ts DESC LIMIT 3000"
    )
    return table(
        "Patterns",
        f"SELECT count() AS lines, topK(1)({_LEVEL})[1] AS level, {_TEMPLATE} AS pattern, "
        f"any(workload) AS workload, any(body) AS example FROM ({newest}) "
        "GROUP BY pattern ORDER BY lines DESC LIMIT 100",
        {"lines": Column(unit="short", width=80, bar=True), "level": Column(width=70)},
        width=14, height=12,
        description="The newest 3,000 lines that match, with numbers and ids taken out.",
    )  # fmt: skip


def _loudest() -> Draft:
    return table(
        "Who writes most",
        f"SELECT namespace, workload, sum(rows) AS lines, sum(bytes) AS raw, "
        f"sumIf(rows, level IN ('error', 'fatal')) AS errors FROM {LOGS_1M} WHERE {MINUTES} "
        f"AND {_COARSE} GROUP BY namespace, workload ORDER BY raw DESC LIMIT 100",
        {
            "workload": Column(
                link=to("logs", namespace=cell("namespace"), workload=cell("workload"))
            ),
            "lines": Column(unit="short", width=80), "raw": Column(unit="bytes", width=90),
            "errors": Column(unit="short", width=80),
        },
        width=10, height=12,
    )  # fmt: skip

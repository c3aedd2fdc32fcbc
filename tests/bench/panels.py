"""How long the panels of the dashboards about logs take on millions of rows: each as the page and
Grafana ask it, over the whole time that was written, nothing cached."""

import time
from collections.abc import Iterator

from dashboards.catalogue import DASHBOARDS
from pipeline.console.page.macros import ALL, Asked, expand
from pipeline.store.clickhouse import ClickHouseStore
from tests.bench.report import emit

_TRIES = 5
_BOARDS = ("fleet", "logs", "pipeline")
_UNCACHED = " SETTINGS use_query_condition_cache = 0"


def panels(target: ClickHouseStore, rows: int) -> None:
    every: list[float] = []
    for board in _BOARDS:
        slowest = ("", [0.0])
        for title, sql, parameters in _queries(target, board):
            times = [_timed(target, sql, parameters) for _ in range(_TRIES)]
            every += times
            slowest = max(slowest, (title, times), key=lambda found: min(found[1]))
        emit(f"panels.{board}.slowest", slowest[1], "ms", rows=rows, panel=slowest[0])
    ordered = sorted(every)
    emit("panels.p50", [ordered[len(ordered) // 2]], "ms", rows=rows)
    emit("panels.p95", [ordered[round(0.95 * (len(ordered) - 1))]], "ms", rows=rows)


def _queries(target: ClickHouseStore, board: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    first, last = target.query(
        "SELECT toUnixTimestamp64Milli(toDateTime64(min(ts), 3)), "
        "toUnixTimestamp64Milli(toDateTime64(max(ts), 3)) FROM logs"
    ).rows[0]
    step = max(1000, (last - first) // 600)
    asked = Asked(first, last + 1, step, {"node": [ALL]})
    for panel in DASHBOARDS[board]().panels:
        sql, parameters = expand(panel.targets[0].raw_sql, asked)
        yield panel.title, sql + _UNCACHED, parameters


def _timed(target: ClickHouseStore, sql: str, parameters: dict[str, str]) -> float:
    start = time.perf_counter()
    target.query(sql, parameters)
    return (time.perf_counter() - start) * 1000

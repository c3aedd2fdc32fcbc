"""How long people wait: latencies of the questions that consoles and dashboards ask, on millions
of rows in the embedded engine, merged as after a day, with no result or condition cached."""

import time
from collections.abc import Iterator
from pathlib import Path

from pipeline.console.log_query import LogQuery, select, where
from pipeline.console.search import context
from pipeline.store.clickhouse import ClickHouseStore
from tests.bench.panels import panels
from tests.bench.report import emit
from tests.bench.stores import fill, number, one_part, store
from tests.bench.tree import make_tree

_LINE = 210  # bytes of the generated lines, on average
_TRIES = 15
_NEEDLE = "5ca1ab1e0ddba115eedc0ffee0decade"  # in one line only
_UNCACHED = " SETTINGS use_query_condition_cache = 0"


def run(work: Path, *, rows: int = 10_000_000) -> None:
    tree = make_tree(work / "tree", containers=50, size=rows * _LINE)
    _hide(tree.files[len(tree.files) // 2])
    with store(work / "store") as (target, _):
        stored = fill(target, tree.root)
        one_part(target)
        for name, sql in _questions(target):
            _ask(target, name, sql, stored)
        _ask_context(target, stored)
        panels(target, stored)


def _hide(path: Path) -> None:
    """One line with a token that no other has, as the last of a file in the middle."""
    with path.open("ab") as file:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.123456789Z", time.gmtime()).encode()
        file.write(b'%s stdout F {"level":"info","trace_id":"%s"}\n' % (stamp, _NEEDLE.encode()))


def _questions(target: ClickHouseStore) -> Iterator[tuple[str, str]]:
    pod = str(target.query("SELECT any(pod) FROM logs").rows[0][0])
    yield "menu", "SELECT namespace, workload, sum(rows) FROM logs_1m GROUP BY 1, 2 ORDER BY 3 DESC"
    yield (
        "volume",
        (
            "SELECT minute, level, sum(rows) FROM logs_1m "
            "WHERE namespace = 'ns1' GROUP BY 1, 2 ORDER BY 1"
        ),
    )
    yield (
        "needle-token",
        (f"SELECT ts, pod, body FROM logs WHERE hasToken(lower(body), '{_NEEDLE}') LIMIT 100"),
    )
    yield "needle-trace", f"SELECT ts, pod, body FROM logs WHERE trace_id = '{_NEEDLE}' LIMIT 100"
    yield (
        "needle-substring",
        (f"SELECT ts, pod, body FROM logs WHERE position(body, '{_NEEDLE[5:20]}') > 0 LIMIT 100"),
    )
    tail = where(LogQuery(pod=pod, limit=100))
    sql = select(tail.sql, newest_first=True, limit=100)
    yield "tail-of-a-pod", sql.replace("{pod:String}", f"'{pod}'")


def _ask(target: ClickHouseStore, name: str, sql: str, rows: int) -> None:
    times = [_timed(target, sql + _UNCACHED) for _ in range(_TRIES)]
    _emit(name, times, rows)


def _timed(target: ClickHouseStore, sql: str) -> float:
    start = time.perf_counter()
    target.query(sql)
    return (time.perf_counter() - start) * 1000


def _ask_context(target: ClickHouseStore, rows: int) -> None:
    """Three matches with 10 lines around each, as `kubeledger logs --context 10`."""
    newest = int(number(target, "SELECT toUnixTimestamp64Nano(max(ts)) FROM logs"))
    query = LogQuery(grep=("IllegalStateException",), limit=3, context=10, until_ns=newest)
    times = []
    for _ in range(_TRIES):
        start = time.perf_counter()
        context(target, query)
        times.append((time.perf_counter() - start) * 1000)
    _emit("context", times, rows)


def _emit(name: str, times: list[float], rows: int) -> None:
    ordered = sorted(times)
    emit(f"queries.{name}.p50", times, "ms", rows=rows)
    emit(f"queries.{name}.p95", [ordered[round(0.95 * (len(ordered) - 1))]], "ms", rows=rows)

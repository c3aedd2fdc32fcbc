"""The console's SQL on the real engine: filters, order, context, following."""

from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.base.clock import ManualClock
from pipeline.base.errors import UsageError
from pipeline.console.follow import Tail
from pipeline.console.log_query import LogQuery, log_query
from pipeline.console.search import context, search
from pipeline.contract import tables
from tests.pipeline.console.engine import EngineStore

CLOCK = ManualClock()
NOW = CLOCK.wall_ns()
SECOND = 1_000_000_000
DEFAULTS: dict[str, Any] = {
    "namespace": "shop",
    "workload": "Deployment/web",
    "pod": "web-1",
    "container": "http",
    "node": "n",
    "stream": 1,
    "level": "info",
    "body": "hello",
    "file_id": 1,
    "off": 0,
    "kp": 0,
    "ko": 0,
    "ago": 0.0,
}


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineStore]:
    columns = ", ".join(f"`{c.name}` {c.type}" for c in tables.LOGS.columns)
    with EngineStore() as store:
        store.command("CREATE DATABASE console")
        store.command("USE console")
        store.command(
            f"CREATE TABLE logs ({columns}) ENGINE = MergeTree PARTITION BY toDate(ts) "
            "ORDER BY (toStartOfFiveMinutes(ts), namespace, workload, pod, ts)"
        )
        yield store


@pytest.fixture
def store(engine: EngineStore) -> EngineStore:
    engine.command("TRUNCATE TABLE logs")
    return engine


def put(store: EngineStore, *rows: dict[str, Any]) -> None:
    """Rows with what matters to the test; the rest has defaults. `ago` is in seconds."""
    lines = []
    for given in rows:
        row = DEFAULTS | given
        ns = NOW - int(row.pop("ago") * SECOND)
        values = [f"'{v}'" if isinstance(v, str) else str(v) for v in row.values()]
        lines.append(f"(fromUnixTimestamp64Nano({ns}, 'UTC'), {', '.join(values)})")
    names = ", ".join(name for name in row)
    store.command(f"INSERT INTO logs (ts, {names}) VALUES {', '.join(lines)}")


def found(store: EngineStore, **words: Any) -> list[Any]:
    return [row.body for row in search(store, log_query(clock=CLOCK, **words))]


def test_filters(store: EngineStore) -> None:
    put(
        store,
        {"body": "a", "level": "error", "stream": 2, "ago": 5},
        {"body": "b", "namespace": "other", "level": "fatal", "ago": 4},
        {"body": "c", "workload": "StatefulSet/db", "pod": "db-0", "level": "", "ago": 3},
        {"body": "d", "container": "sidecar", "node": "m", "level": "warn", "ago": 7200},
    )
    assert found(store) == ["d", "a", "b", "c"]
    assert found(store, namespace="other") == ["b"]
    assert found(store, workload="db") == ["c"]
    assert found(store, workload="StatefulSet/db") == ["c"]
    assert found(store, workload="Deployment/db") == []
    assert found(store, pod="db-0", container="http") == ["c"]
    assert found(store, node="m") == ["d"]
    assert found(store, level="error") == ["a", "b"]
    assert found(store, level="warn,fatal") == ["d", "b"]
    assert found(store, stream="stderr") == ["a"]
    assert found(store, since="1h") == ["a", "b", "c"]
    assert found(store, until="4s") == ["d", "a"]
    assert found(store, since="4s", until="3s") == ["b"]


def test_text(store: EngineStore) -> None:
    bodies = ["Connection REFUSED by 10.0.0.1", "connection accepted", "Überlauf: 100%", "it_s"]
    put(store, *({"body": body, "ago": 9 - n} for n, body in enumerate(bodies)))
    assert found(store, grep=("connection",)) == bodies[:2]
    assert found(store, grep=("CONNECTION", "refused")) == bodies[:1]
    assert found(store, grep=("überlauf",)) == bodies[2:3]
    assert found(store, grep=("100%",)) == bodies[2:3]
    assert found(store, grep=("%",)) == bodies[2:3]
    assert found(store, grep=("it's \\",)) == []
    assert found(store, regex=r"10(\.\d+){3}$") == bodies[:1]
    with pytest.raises(UsageError):
        found(store, regex="(")


def test_order_and_limit_across_buckets_and_files(store: EngineStore) -> None:
    rows = [
        {"ago": 37.0 * n, "body": str(n), "pod": f"p{n % 3}", "file_id": n % 3, "off": 1000 - n}
        for n in range(40)
    ]
    put(store, *rows)
    oldest_first = [str(n) for n in reversed(range(40))]
    assert found(store) == oldest_first
    assert found(store, limit=0) == oldest_first
    assert found(store, limit=7) == oldest_first[-7:]
    assert found(store, limit=7, reverse=True) == oldest_first[-7:][::-1]


def test_rows_of_one_moment_are_in_the_order_of_the_file(store: EngineStore) -> None:
    put(store, *({"off": off, "body": str(off)} for off in (30, 10, 20)))
    assert found(store) == ["10", "20", "30"]


def test_a_row_comes_back_whole(store: EngineStore) -> None:
    put(store, {"ago": 0.000000001, "off": 2**40, "file_id": 2**64 - 1, "stream": 2})
    (row,) = search(store, LogQuery())
    assert (row.ts, row.off, row.file_id) == (NOW - 1, 2**40, 2**64 - 1)
    assert (row.stream, row.level, row.attrs, row.flags) == ("stderr", "info", {}, 0)


def test_context_is_by_place_in_the_file(store: EngineStore) -> None:
    rows = [
        {"file_id": file, "off": 100 * n, "ago": 100 - n, "body": f"{file}-{n}",
         "level": "error" if (file, n) in {(1, 3), (1, 5), (1, 12), (2, 0)} else "info"}
        for file in (1, 2, 3)
        for n in range(20)
    ]  # fmt: skip
    put(store, *rows)
    groups = context(store, log_query(clock=CLOCK, level="error", context=2))
    shown = [[f"{row.body!s}{'*' if match else ''}" for row, match in group] for group in groups]
    assert shown == [
        ["2-0*", "2-1", "2-2"],
        ["1-1", "1-2", "1-3*", "1-4", "1-5*", "1-6", "1-7"],
        ["1-10", "1-11", "1-12*", "1-13", "1-14"],
    ]
    newest = context(store, log_query(clock=CLOCK, level="error", context=1, limit=1))
    assert [[row.body for row, _ in group] for group in newest] == [["1-11", "1-12", "1-13"]]


def test_context_of_many_matches(store: EngineStore) -> None:
    put(store, *({"off": n, "ago": 5000 - n, "body": str(n)} for n in range(4000)))
    groups = context(store, log_query(clock=CLOCK, grep=("7",), context=1, limit=2000))
    matched = [row.body for group in groups for row, match in group if match]
    assert matched == [str(n) for n in range(4000) if "7" in str(n)]


def seen(tail: Tail) -> list[Any]:
    return [row.body for row in tail.look()]


def test_following_by_ingestion_order(store: EngineStore) -> None:
    put(store, {"kp": 0, "ko": 5, "body": "old"}, {"kp": 1, "ko": 900, "body": "old"})
    query = LogQuery(since_ns=NOW - 3600 * SECOND, namespace="shop")
    tail = Tail(store, query, every_s=0.5)
    tail.mark()
    assert seen(tail) == []
    put(store, {"kp": 0, "ko": 6, "ago": 1800, "body": "late"}, {"kp": 0, "ko": 6, "off": 9})
    put(store, {"kp": 0, "ko": 7, "namespace": "other"}, {"kp": 7, "ko": 0, "body": "new"})
    assert sorted(seen(tail)) == ["hello", "late", "new"]
    assert seen(tail) == []
    put(store, {"kp": 1, "ko": 901, "body": "x"}, {"kp": 7, "ko": 1, "ago": 7200, "body": "out"})
    assert seen(tail) == ["x"]
    assert seen(tail) == []


def test_following_an_empty_table(store: EngineStore) -> None:
    tail = Tail(store, LogQuery(), every_s=0.5)
    tail.mark()
    assert seen(tail) == []
    put(store, {"kp": 2, "ko": 0, "body": "first"})
    assert seen(tail) == ["first"]
    assert seen(tail) == []

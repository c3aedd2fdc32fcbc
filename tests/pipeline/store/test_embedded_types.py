"""Types through clickhouse-driver, both ways, compressed and not."""

from datetime import date, datetime
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from tests.pipeline.store.running import Running

UTC = ZoneInfo("UTC")
BIG = "x" * 300
TYPES: list[tuple[str, list[Any]]] = [
    ("UInt8", [0, 255]),
    ("UInt16", [0, 65535]),
    ("UInt32", [0, 2**32 - 1]),
    ("UInt64", [0, 2**64 - 1]),
    ("Int8", [-128, 127]),
    ("Int64", [-(2**63), 2**63 - 1]),
    ("UInt256", [0, 2**256 - 1]),
    ("Float64", [-1.5, 1e300]),
    ("Bool", [True, False]),
    ("Decimal(9, 2)", [Decimal("1.25"), Decimal("-9999999.99")]),
    ("Decimal(38, 10)", [Decimal("1.25"), Decimal("-1234567890123456789.5")]),
    ("String", ["", "ü", BIG]),
    ("FixedString(3)", ["abc", "xyz"]),
    ("Enum8('stdout' = 1, 'stderr' = 2)", ["stdout", "stderr"]),
    ("Enum16('a, (b' = -5, 'it\\'s' = 1000)", ["a, (b", "it's"]),
    ("Date", [date(2026, 11, 23)]),
    ("Date32", [date(1925, 1, 1)]),
    ("DateTime('UTC')", [datetime(2026, 11, 23, 12, tzinfo=UTC)]),
    ("DateTime64(9, 'UTC')", [datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)]),
    ("UUID", [UUID("c0fcd0c5-8a1b-4e5e-9d0f-000000000001")]),
    ("IPv4", [IPv4Address("10.0.0.1")]),
    ("IPv6", [IPv6Address("fe80::1")]),
    ("Nullable(String)", [None, "a", ""]),
    ("LowCardinality(String)", ["a", "b", "a"]),
    ("LowCardinality(Nullable(String))", ["a", None, "b"]),
    ("Array(String)", [[], ["a"], ["b", BIG]]),
    ("Array(Array(LowCardinality(String)))", [[], [["a"], []], [["b", "a"]]]),
    ("Array(Nullable(UInt8))", [[1, None], []]),
    ("Tuple(UInt8, String)", [(1, "a"), (2, BIG)]),
    ("Map(LowCardinality(String), String)", [{}, {"a": "b", "c": BIG}]),
    ("Map(String, Array(UInt8))", [{"a": [1, 2]}, {}]),
    ("SimpleAggregateFunction(sum, UInt64)", [1, 2]),
    ("Point", [(1.0, 2.0)]),
    ("Polygon", [[[(1.0, 2.0), (3.0, 4.0)]]]),
]


@pytest.mark.parametrize("compression", [False, "lz4"])
@pytest.mark.parametrize(("kind", "values"), TYPES, ids=[kind for kind, _ in TYPES])
def test_type(running: Running, kind: str, values: list[Any], compression: bool | str) -> None:
    """Between two columns of text, so that a column read too short or too long is noticed."""
    rows = [("before", value, f"after {BIG}") for value in values]
    with running.client(compression=compression) as client:
        declared = f"a String, v {kind}, z String"
        client.execute(f"CREATE OR REPLACE TABLE one_type ({declared}) ENGINE = Memory")
        client.execute("INSERT INTO one_type (a, v, z) VALUES", rows)
        assert client.execute("SELECT a, v, z FROM one_type") == rows
        columns = client.execute("SELECT a, v, z FROM one_type", columnar=True)
        assert list(columns[1]) == values
        _, header = client.execute("SELECT * FROM one_type LIMIT 0", with_column_types=True)
        assert [name for name, _ in header] == ["a", "v", "z"]


def test_rows_in_many_blocks(running: Running) -> None:
    """A table of wide rows, sent and received in blocks that no buffer holds whole."""
    rows = [(n, f"{n}" * (n % 97), [str(n)] * (n % 4), {"k": str(n)}) for n in range(30_000)]
    for compression in (False, "lz4"):
        with running.client(compression=compression) as client:
            client.execute(
                "CREATE TEMPORARY TABLE t (n UInt64, s String, a Array(LowCardinality(String)), "
                "m Map(String, String))"
            )
            client.execute("INSERT INTO t VALUES", rows, settings={"insert_block_size": 777})
            found = client.execute("SELECT * FROM t ORDER BY n", settings={"max_block_size": 1001})
            assert found == rows


def test_columns_that_a_table_fills_itself(running: Running) -> None:
    with running.client() as client:
        client.execute(
            "CREATE TEMPORARY TABLE t (a UInt8, d UInt8 DEFAULT a + 1, m UInt8 MATERIALIZED 7, "
            "x UInt8 ALIAS a * 2, e UInt8 EPHEMERAL)"
        )
        client.execute("INSERT INTO t VALUES", [(1, 5)])
        client.execute("INSERT INTO t (a) VALUES", [(2,)])
        found = client.execute("SELECT a, d, m, x FROM t ORDER BY a")
        assert found == [(1, 5, 7, 2), (2, 3, 7, 4)]


def test_external_tables(running: Running) -> None:
    table = {
        "name": "ext",
        "structure": [("x", "Int32"), ("y", "Array(Int32)")],
        "data": [{"x": 100, "y": [2, 4]}, {"x": 500, "y": []}],
    }
    with running.client() as client:
        for _ in range(2):
            found = client.execute("SELECT * FROM ext ORDER BY x", external_tables=[table])
            assert found == [(100, [2, 4]), (500, [])]


def test_a_type_that_cannot_pass_is_an_error_not_a_hang(running: Running) -> None:
    from clickhouse_driver.errors import Error

    with running.client() as client:
        client.execute("CREATE TEMPORARY TABLE t (s AggregateFunction(uniq, String), z String)")
        with pytest.raises((Error, EOFError, OSError)):
            client.execute("INSERT INTO t VALUES", [("a", "b")])
        assert client.execute("SELECT 1") == [(1,)]

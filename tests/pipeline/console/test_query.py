import csv
import io
import json
import math
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from ipaddress import IPv4Address
from typing import Any
from uuid import UUID

import pytest

from pipeline.base.errors import UsageError
from pipeline.console.query import MAX_TABLE_ROWS, run_query
from tests.pipeline.console.fake_store import FakeStore

ROW = (
    datetime(2026, 11, 23, 5, 35, 1, 500_000, tzinfo=UTC),
    date(2026, 11, 23),
    Decimal("1.10"),
    UUID(int=1),
    {"a": 1, 2: b"\xff"},
    [math.nan, math.inf, 0.5],
    (None, True, "ü"),
    b"\xfe",
    18_446_744_073_709_551_615,
    IPv4Address("10.0.0.1"),
    None,
)
NAMES = ["at", "day", "money", "id", "map", "list", "tuple", "raw", "big", "ip", "nothing"]
TYPES = ["String"] * len(NAMES)


def answer(
    form: str,
    *rows: Any,
    names: Sequence[str] = NAMES,
    types: Sequence[str] = TYPES,
    sql: str = "SELECT 1",
) -> str:
    out = io.StringIO()
    run_query(FakeStore(rows, names=names, types=types), sql, format=form, out=out)
    return out.getvalue()


def test_json_is_one_array_of_objects() -> None:
    text = answer("json", ROW, ROW)
    first, second = json.loads(text)
    assert first == second
    assert first == {
        "at": "2026-11-23T05:35:01.500000Z",
        "day": "2026-11-23",
        "money": "1.10",
        "id": "00000000-0000-0000-0000-000000000001",
        "map": {"a": 1, "2": "\\xff"},
        "list": [None, None, 0.5],
        "tuple": [None, True, "ü"],
        "raw": "\\xfe",
        "big": 18_446_744_073_709_551_615,
        "ip": "10.0.0.1",
        "nothing": None,
    }
    assert json.loads(answer("json")) == []


def test_json_keeps_columns_of_the_same_name() -> None:
    text = answer("json", (1, 2, 3), names=["1", "1", "1_2"], types=["UInt8"] * 3)
    assert json.loads(text) == [{"1": 1, "1_2": 2, "1_2_2": 3}]


def test_csv_has_a_header_and_reads_back() -> None:
    nasty = 'a "quoted", line\nand another'
    header, row = csv.reader(
        io.StringIO(answer("csv", (nasty, math.nan, None), names=["t", "f", "n"], types=[""] * 3))
    )
    assert header == ["t", "f", "n"]
    assert row == [nasty, "nan", ""]
    _, row = csv.reader(io.StringIO(answer("csv", ROW)))
    assert json.loads(row[4]) == {"a": 1, "2": "\\xff"}
    assert row[8] == "18446744073709551615"


def test_table_aligns_numbers_and_is_as_wide_as_needed() -> None:
    wide = "x" * 300
    text = answer("table", (wide, 7), (b"\x1b[2J", 12345), names=["body", "n"],
                  types=["String", "Nullable(UInt64)"])  # fmt: skip
    lines = [line.rstrip() for line in text.splitlines()]
    assert lines[0].split() == ["body", "n"]
    assert lines[2].startswith(wide)
    assert lines[2].endswith("     7")
    assert lines[3].startswith("\\x1b[2J")
    assert lines[3].endswith("12345")
    assert "\x1b" not in text


def test_table_is_bounded_and_says_so() -> None:
    rows = [(number,) for number in range(MAX_TABLE_ROWS + 5)]
    store = FakeStore(rows, names=["n"], types=["UInt64"])
    out = io.StringIO()
    run_query(store, "SELECT 1", format="table", out=out)
    lines = out.getvalue().splitlines()
    assert lines[-1] == "… more than 1,000 rows: --format json or csv has them all"
    assert lines[-2].strip() == str(MAX_TABLE_ROWS - 1)
    assert store.given_up
    exact = answer("table", *rows[:MAX_TABLE_ROWS], names=["n"], types=["UInt64"])
    assert "more than" not in exact


def test_long_cells_are_cut() -> None:
    text = answer("table", ("y" * 9_000,), names=["body"], types=["String"])
    assert len(text) < 2_000
    assert "…" in text


def test_markup_in_data_is_data() -> None:
    assert "[red]x[/red]" in answer("table", ("[red]x[/red]",), names=["[b]"], types=["String"])


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_the_servers_words_on_one_line(form: str) -> None:
    wrong = UsageError("Code: 47.\nDB::Exception: Unknown identifier\n  `nam`\n")
    with pytest.raises(UsageError) as caught:
        answer(form, ROW, wrong)
    assert str(caught.value) == "Code: 47. DB::Exception: Unknown identifier `nam`"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "sql",
    [
        "select 1",
        "  -- note\n WITH 1 AS x SELECT x",
        "/* a */ (SELECT 1)",
        "SHOW TABLES",
        "#! x\nDESC logs",
        "EXPLAIN SELECT 1",
        "EXISTS logs",
    ],
)
def test_reading_is_allowed(sql: str) -> None:
    assert json.loads(answer("json", (1,), names=["x"], types=["UInt8"], sql=sql)) == [{"x": 1}]


@pytest.mark.parametrize(
    "sql", ["DROP TABLE logs", "-- select\ninsert into logs", "", "/* */", ";"]
)
def test_writing_is_refused_before_the_store_hears_of_it(sql: str) -> None:
    store = FakeStore()
    with pytest.raises(UsageError, match="query only reads"):
        run_query(store, sql, format="json", out=io.StringIO())
    assert store.asked == []


def test_an_unknown_format() -> None:
    with pytest.raises(UsageError, match="table, json, csv"):
        answer("xml")

"""Values of the engine as the browser gets them."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from pipeline.console.page.cells import MAX_TEXT, cell, kind, text


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("DateTime64(3, 'UTC')", "time"),
        ("Nullable(DateTime)", "time"),
        ("LowCardinality(Nullable(String))", "text"),
        ("Nullable(Float64)", "number"),
        ("UInt8", "number"),
        ("Array(UInt8)", "text"),
        ("Enum8('a' = 1)", "text"),
    ],
)
def test_kind(type_: str, expected: str) -> None:
    assert kind(type_) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (3, 3),
        (2**63, str(2**63)),
        (0.5, 0.5),
        (math.nan, None),
        (math.inf, None),
        (Decimal("1.10"), "1.10"),
        (datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC), 1500),
        (datetime(1970, 1, 1, 0, 0, 1), 1000),
        (date(1970, 1, 2), 86_400_000),
        (["a", "b"], "a, b"),
        (b"\xff", "\\xff"),
    ],
)
def test_cell(value: object, expected: object) -> None:
    assert cell(value) == expected


def test_text_drives_nothing() -> None:
    assert text("\x1b[31mred\x1b[0m\r\n") == "red"
    assert text("\x1b]0;title\x07") == "\\x1b]0;title\\x07"
    assert text("left\u202eright") == "left\\u202eright"
    assert text("<script>alert(1)</script>") == "<script>alert(1)</script>"  # text for the browser


def test_long_text_says_how_much_is_missing() -> None:
    assert text("x" * (MAX_TEXT + 5)).endswith("x… (5 more)")

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.clock import ManualClock
from pipeline.base.errors import UsageError
from pipeline.console.when import parse_when, rfc3339

NOW = ManualClock().wall_ns()
SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "ago"),
    [("30s", 30), ("15m", 900), ("1h", 3600), ("2d", 172_800), ("1w", 604_800), ("1h30m", 5400)],
)
def test_durations_count_from_now(text: str, ago: int) -> None:
    assert parse_when(text, clock=ManualClock()) == NOW - ago * SECOND


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23T05:35:00Z", "2026-11-23T05:35:00.000000000Z"),
        ("2026-11-23T05:35:00.123456789Z", "2026-11-23T05:35:00.123456789Z"),
        ("2026-11-23T13:35:00.5+08:00", "2026-11-23T05:35:00.500000000Z"),
        ("2026-11-23 05:35", "2026-11-23T05:35:00.000000000Z"),
        ("2026-11-23", "2026-11-23T00:00:00.000000000Z"),
    ],
)
def test_moments_keep_nanoseconds(text: str, expected: str) -> None:
    assert rfc3339(parse_when(text, clock=ManualClock())) == expected


@pytest.mark.parametrize(
    "text", ["", "yesterday", "5", "1y", "-1h", "1h ago", "2026-13-01", "1960-01-01", "9999-01-01"]
)
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match=r"1h|1970 to 2262"):
        parse_when(text, clock=ManualClock())


@given(st.integers(0, 2**63 - 1))
def test_what_is_printed_can_be_read(ns: int) -> None:
    assert parse_when(rfc3339(ns), clock=ManualClock()) == ns
    assert rfc3339(ns)[:19] == f"{datetime.fromtimestamp(ns // SECOND, UTC):%Y-%m-%dT%H:%M:%S}"

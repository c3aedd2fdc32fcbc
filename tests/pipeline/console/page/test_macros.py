"""What Grafana's ClickHouse data source does with a query, done here."""

import pytest

from pipeline.base.errors import UsageError
from pipeline.console.page.macros import ALL, Asked, expand

ASKED = Asked(
    1_000_000_500,
    1_000_060_000,
    15_000,
    {"one": ["a'b"], "some": ["x", "y"], "all": [ALL], "empty": [""]},
)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("$__fromTime_ms", "fromUnixTimestamp64Milli(1000000500, 'UTC')"),
        ("$__toTime", "toDateTime(1000060, 'UTC')"),
        ("$__interval_s", "15"),
        (
            "$__timeFilter(minute)",
            "minute >= toDateTime(1000000, 'UTC') AND minute <= toDateTime(1000060, 'UTC')",
        ),
        (
            "$__timeInterval_ms(f(ts, 'a)'))",
            "toStartOfInterval(toDateTime64(f(ts, 'a)'), 3), INTERVAL 15000 millisecond)",
        ),
        ("$__conditionalAll(a IN (1, 2), $all) AND b", "1=1 AND b"),
        ("$__conditionalAll(a = f(b, ','), $empty)", "1=1"),
        ("$__conditionalAll(a = f(b, ','), $some)", "a = f(b, ',')"),
        ("$__conditionalAll(a, $unknown)", "1=1"),
    ],
)
def test_macro(sql: str, expected: str) -> None:
    assert expand(sql, ASKED) == (expected, {})


def test_values_travel_as_parameters() -> None:
    sql, parameters = expand("a IN (${some:sqlstring}) AND b = ${one:sqlstring}", ASKED)
    assert sql == "a IN ({v0:String}, {v1:String}) AND b = {v2:String}"
    assert parameters == {"v0": "x", "v1": "y", "v2": "a'b"}


def test_a_variable_without_value_is_empty() -> None:
    assert expand("${nobody:sqlstring}", ASKED) == ("{v0:String}", {"v0": ""})


@pytest.mark.parametrize(
    "sql",
    ["${some}", "${some:raw}", "$__timeFilter(", "$__nobody(a)", "$__conditionalAll(a)",
     "$__conditionalAll(a, b)"],
)  # fmt: skip
def test_what_is_not_known_is_refused(sql: str) -> None:
    with pytest.raises(UsageError):
        expand(sql, ASKED)

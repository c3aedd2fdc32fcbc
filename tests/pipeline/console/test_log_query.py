import re

import pytest

from pipeline.base.clock import ManualClock
from pipeline.base.errors import UsageError
from pipeline.console.log_query import (
    LEVELS,
    MAX_CONTEXT_MATCHES,
    LogQuery,
    log_query,
    select,
    select_context,
    where,
)

CLOCK = ManualClock()


def test_no_filter_is_no_condition() -> None:
    assert where(LogQuery()).sql == "1"
    assert where(log_query(clock=CLOCK, namespace=None, pod=None)).parameters == {}


def test_every_value_is_a_parameter_and_every_parameter_is_used() -> None:
    evil = "x' OR 1=1 --"
    query = log_query(
        clock=CLOCK,
        namespace=evil,
        workload=evil,
        pod=evil,
        container=evil,
        node=evil,
        stream=evil,
        level="warn",
        since="1h",
        until="5m",
        grep=(evil, "ü", ""),
        regex=evil,
    )
    found = where(query)
    sql = select(found.sql, newest_first=True, limit=query.limit)
    assert evil not in sql
    assert set(re.findall(r"\{(\w+):", sql)) == set(found.parameters)
    assert len(found.parameters) == 12
    assert "positionCaseInsensitive(body, {grep0" in sql
    assert "positionCaseInsensitiveUTF8(body, {grep1" in sql
    assert sql.endswith("LIMIT 1000")


def test_a_level_means_that_or_worse() -> None:
    assert log_query(clock=CLOCK, level="error").levels == ("error", "fatal")
    assert log_query(clock=CLOCK, level="TRACE").levels == LEVELS
    assert log_query(clock=CLOCK, level="warning").levels == ("warn", "error", "fatal")
    assert log_query(clock=CLOCK, level="debug, error").levels == ("debug", "error")
    with pytest.raises(UsageError, match=r"'loud'.*trace, debug, info, warn, error, fatal"):
        log_query(clock=CLOCK, level="loud")


def test_a_workload_by_name_or_by_kind_and_name() -> None:
    assert "splitByChar" in where(log_query(clock=CLOCK, workload="web")).sql
    assert where(log_query(clock=CLOCK, workload="Deployment/web")).sql == (
        "(workload = {workload:String})"
    )


def test_times_must_make_sense() -> None:
    with pytest.raises(UsageError, match="--since 5m is not before --until 1h"):
        log_query(clock=CLOCK, since="5m", until="1h")


@pytest.mark.parametrize("limit", [0, MAX_CONTEXT_MATCHES + 1])
def test_context_needs_a_bound(limit: int) -> None:
    with pytest.raises(UsageError, match="--limit"):
        log_query(clock=CLOCK, context=2, limit=limit)


def test_order_is_the_tables_own_key() -> None:
    assert "ORDER BY toStartOfFiveMinutes(ts), ts, file_id, off" in select("1", newest_first=False)
    assert "toStartOfFiveMinutes(ts) DESC, ts DESC" in select("1", newest_first=True)
    assert "LIMIT" not in select("1", newest_first=False)
    assert "ROWS BETWEEN 3 PRECEDING AND 3 FOLLOWING" in select_context(3)

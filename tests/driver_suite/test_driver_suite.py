"""clickhouse-driver's own tests on the embedded store; see run.py."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.driver_suite.run import (
    PATIENT,
    ZONE,
    CannotFetch,
    Outcome,
    not_applicable,
    run_suite,
    verdict,
)
from tests.pipeline.store.running import Running

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    data = tmp_path_factory.mktemp("suite") / "data"
    store = Running(data, environment=ZONE, module=PATIENT).start()
    try:
        yield run_suite(store)
    except CannotFetch as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must not skip the driver's suite: {missing}")
        pytest.skip(str(missing))
    finally:
        store.stop()


@pytest.mark.timeout(600)
def test_what_applies_passes(outcome: Outcome) -> None:
    assert verdict(outcome, not_applicable()) == []
    assert len(outcome.passed) > 150


def test_verdict_is_strict() -> None:
    found = Outcome(frozenset({"a", "b"}), {"c": "why", "d": "why"}, frozenset())
    listed = {"a": "reason", "c": "reason", "gone": "reason", "d": ""}
    assert verdict(found, listed) == [
        "listed, but passes: a",
        "listed, but there is no such test: gone",
        "listed without a reason: d",
    ]
    assert verdict(found, {"c": "reason"}) == ["fails: d: why"]


def test_every_reason_is_given() -> None:
    assert all(not_applicable().values())
    assert (Path(__file__).parent / "not_applicable.txt").exists()

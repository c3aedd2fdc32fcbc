"""When will rotation overrun a container that is read too slowly?"""

import math

import pytest

from collectors.config import RotationConfig
from collectors.logs.forecast import Forecast
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.contract.record import Source

SLOW = Source("n1", "shop", "web", "uid-1", "main", 0, "/logs/0.log")
FINE = Source("n1", "shop", "web", "uid-2", "main", 0, "/logs/0.log")
CONFIG = RotationConfig(max_size_bytes=10_000_000, max_files=5, warn_s=60)


@pytest.fixture
def telemetry() -> RecordingTelemetry:
    return RecordingTelemetry()


def sweeps(forecast: Forecast, source: Source, backlogs: list[int]) -> None:
    for backlog in backlogs:
        forecast.observe(source, backlog, seconds=5.0)


def test_growth_eats_the_budget(telemetry: RecordingTelemetry) -> None:
    forecast = Forecast(CONFIG, telemetry)
    sweeps(forecast, SLOW, [n * 1_000_000 for n in range(1, 31)])
    sweeps(forecast, FINE, [1_000_000] * 30)
    forecast.publish({SLOW, FINE})
    # 30 MB of 50 are used and grow by 200 kB/s.
    assert forecast.seconds_left(SLOW) == pytest.approx(100, rel=0.01)
    assert forecast.seconds_left(FINE) == math.inf
    assert telemetry.values["kubeledger_time_to_loss_seconds", ()] == pytest.approx(100, rel=0.01)
    assert telemetry.names() == []


def test_it_warns_once_and_again_after_a_recovery(telemetry: RecordingTelemetry) -> None:
    forecast = Forecast(CONFIG, telemetry)
    climb = [n * 1_000_000 for n in range(1, 46)]
    sweeps(forecast, SLOW, climb)
    assert telemetry.names() == ["loss-ahead"]
    sweeps(forecast, SLOW, [*reversed(climb), *climb])
    assert telemetry.names() == ["loss-ahead"] * 2


def test_a_used_up_budget_is_now(telemetry: RecordingTelemetry) -> None:
    forecast = Forecast(CONFIG, telemetry)
    sweeps(forecast, SLOW, [50_000_000, 50_000_000])
    forecast.publish({SLOW})
    assert telemetry.values["kubeledger_time_to_loss_seconds", ()] == 0


def test_runs_that_are_no_more_are_forgotten(telemetry: RecordingTelemetry) -> None:
    forecast = Forecast(CONFIG, telemetry)
    sweeps(forecast, SLOW, [n * 1_000_000 for n in range(1, 31)])
    forecast.publish(set())
    forecast.publish(set())
    assert telemetry.values["kubeledger_time_to_loss_seconds", ()] == math.inf

"""How long the longest pause of a schedule is."""

import pytest

from pipeline.elasticity.schedule import CLOCK_CHANGE_MS, longest_pause_ms

HOUR = 3_600_000


@pytest.mark.parametrize(
    ("schedule", "pause_ms"),
    [
        ("0 */5 * * * *", 300_000),
        ("30 */1 * * * *", 60_000),
        ("0 0 8 * * *", 24 * HOUR + CLOCK_CHANGE_MS),
        ("0 0 8,20 * * ?", 12 * HOUR + CLOCK_CHANGE_MS),
        ("0 0 9 ? * MON-FRI", 72 * HOUR + CLOCK_CHANGE_MS),
        ("@hourly", HOUR),
        ("0 0 0 1 * *", 31 * 24 * HOUR + CLOCK_CHANGE_MS),
        ("not a schedule", 0),
        ("", 0),
    ],
)
def test_longest_pause(schedule: str, pause_ms: int) -> None:
    assert longest_pause_ms(schedule) == pause_ms

"""Times of the API, and what only looks like one."""

import time

import pytest

from pipeline.base.times import unix_ms, unix_s


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-11-23T05:00:00Z", 1795410000000),
        ("2026-11-23T05:00:00.123456789Z", 1795410000123),
        ("2026-11-23T08:00:00+03:00", 1795410000000),
        ("2026-11-23T05:00:00", 1795410000000),
        ("0001-01-01T00:00:00", -62135596800000),
        ("yesterday", 0),
        ("", 0),
        (None, 0),
        (3, 0),
    ],
)
def test_unix_ms(text: str, ms: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for zone in ("UTC", "Asia/Tokyo"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert unix_ms(text) == ms
    monkeypatch.undo()
    time.tzset()


def test_unix_s() -> None:
    assert unix_s("2026-11-23T05:00:00.5Z") == 1795410000.5

"""Moments as people type them: so long ago, or RFC 3339."""

from datetime import UTC, datetime

from alerts.durations import span
from pipeline.base.clock import Clock
from pipeline.base.errors import UsageError


def read_moment(text: str, clock: Clock) -> int:
    """Unix milliseconds."""
    now = clock.wall_ns() // 1_000_000
    try:
        return now - span(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no time; write 15m, 2d, or RFC 3339 such as 2026-11-23T05:35:00Z"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)

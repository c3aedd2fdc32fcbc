"""Times as people type them: `15m`, `2d`, `2026-11-23T05:35:00Z`."""

import re
from datetime import UTC, datetime

from pipeline.base.clock import Clock
from pipeline.base.errors import UsageError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(?:\d+[smhdw])+")
_FRACTION = re.compile(r"\.(\d{1,9})\d*(?=$|[Z+-])", re.IGNORECASE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST = 2**63 - 1


def parse_when(text: str, *, clock: Clock) -> int:
    """Unix nanoseconds: so long ago, or that moment (UTC when no zone is given)."""
    text = text.strip()
    if _DURATION.fullmatch(text):
        seconds = sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)([smhdw])", text))
        return max(0, clock.wall_ns() - seconds * 1_000_000_000)
    fraction = _FRACTION.search(text)
    whole = text if fraction is None else text[: fraction.start()] + text[fraction.end() :]
    nanoseconds = int(fraction.group(1).ljust(9, "0")) if fraction else 0
    try:
        moment = datetime.fromisoformat(whole)
    except ValueError:
        raise UsageError(
            f"{text!r} is no time; write a duration such as 30s, 15m, 1h, 2d or 1h30m, or RFC 3339 "
            "such as 2026-11-23T05:35:00Z"
        ) from None
    since_epoch = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    result = (since_epoch.days * 86_400 + since_epoch.seconds) * 1_000_000_000 + nanoseconds
    if not 0 <= result <= _LARGEST:
        raise UsageError(f"{text!r} is outside the years 1970 to 2262")
    return result


def rfc3339(ns: int) -> str:
    """With all nine digits, UTC."""
    seconds, fraction = divmod(ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"

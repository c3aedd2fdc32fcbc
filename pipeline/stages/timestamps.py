"""Timestamps as text -> Unix nanoseconds, exactly (no floating point).

Two ways in: one value at a time (`parse_rfc3339`, `parse_klog`, `parse_syslog`), and the pieces
from which cri.py builds a whole column. Anything that is not a time is None, never an exception.
Years outside 1900..2200 are not believed: their distance from today must fit into `ts_shift`.
"""

import calendar
import re
from functools import lru_cache

SECOND_NS = 1_000_000_000
_YEARS = range(1900, 2201)

_RFC3339 = re.compile(
    rb"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d):(\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:\d\d)?"
)
_KLOG = re.compile(rb"[IWEF](\d\d)(\d\d) (\d\d):(\d\d):(\d\d)\.(\d{6}) ")
_SYSLOG = re.compile(rb"([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d) ")
_JSON = re.compile(
    rb'"(?:ts|time|timestamp|@timestamp)":(?:"([^"]{20,40})"|(\d{9,14})(?:\.(\d{1,9}))?[,}])'
)
_MONTHS = {name.encode(): number for number, name in enumerate(calendar.month_abbr) if name}


@lru_cache(maxsize=4096)
def minute_seconds(text: bytes) -> int | None:
    """`YYYY-MM-DDThh:mm` -> Unix seconds, as if the zone were UTC."""
    if len(text) != 16 or text[4:5] != b"-" or text[7:8] != b"-" or text[10:11] != b"T":
        return None
    if text[13:14] != b":":
        return None
    parts = (text[:4], text[5:7], text[8:10], text[11:13], text[14:16])
    if not all(part.isdigit() for part in parts):
        return None
    year, month, day, hour, minute = (int(part) for part in parts)
    return _seconds(year, month, day, hour, minute)


@lru_cache(maxsize=256)
def zone_seconds(text: bytes) -> int | None:
    """`Z` or `+hh:mm` -> seconds east of UTC."""
    if text == b"Z":
        return 0
    if len(text) != 6 or text[:1] not in b"+-" or text[3:4] != b":":
        return None
    hours, minutes = text[1:3], text[4:6]
    if not (hours.isdigit() and minutes.isdigit()) or int(hours) > 23 or int(minutes) > 59:
        return None
    east = int(hours) * 3600 + int(minutes) * 60
    return east if text[:1] == b"+" else -east


def parse_rfc3339(text: bytes, *, prefix: bool = False) -> int | None:
    """`2026-01-02T03:04:05[.fraction]` with a zone; with `prefix`, the time may be followed by
    other text, the T may be a space and a missing zone means UTC (plain log lines)."""
    found = _RFC3339.match(text) if prefix else _RFC3339.fullmatch(text)
    if found is None:
        return None
    day, minute, second, fraction, zone = found.groups()
    if not prefix and (zone is None or text[10:11] != b"T" or b"," in text):
        return None
    start = minute_seconds(day + b"T" + minute)
    east = zone_seconds(zone or b"Z")
    if start is None or east is None or int(second) > 60:
        return None
    return (start + int(second) - east) * SECOND_NS + int((fraction or b"").ljust(9, b"0"))


def parse_klog(text: bytes, near_ns: int) -> int | None:
    """`I0314 11:10:13.909915 ...`: no year and no zone; the year is the one nearest to
    `near_ns`, the zone is taken as UTC."""
    found = _KLOG.match(text)
    if found is None:
        return None
    month, day, hour, minute, second, micro = (int(part) for part in found.groups())
    return _nearest(month, day, (hour, minute, second), near_ns, micro * 1000)


def parse_syslog(text: bytes, near_ns: int) -> int | None:
    """`Jan  4 11:56:31 host ...`: like klog, without a fraction."""
    found = _SYSLOG.match(text)
    month = _MONTHS.get(found.group(1)) if found else None
    if found is None or month is None:
        return None
    day, hour, minute, second = (int(part) for part in found.groups()[1:])
    return _nearest(month, day, (hour, minute, second), near_ns, 0)


def parse_json(text: bytes) -> int | None:
    """The time inside a JSON line: RFC 3339, or a Unix time in seconds or (klog) milliseconds."""
    found = _JSON.search(text)
    if found is None:
        return None
    words, whole, fraction = found.groups()
    if words is not None:
        return parse_rfc3339(words, prefix=True)
    unit = SECOND_NS // 1000 if len(whole) > 11 else SECOND_NS
    ts = int(whole) * unit + int((fraction or b"").ljust(9, b"0")) * unit // SECOND_NS
    return ts if 1970 + ts // (SECOND_NS * 31_556_952) in _YEARS else None


def _nearest(
    month: int, day: int, clock: tuple[int, int, int], near_ns: int, fraction: int
) -> int | None:
    """The year whose date is nearest: a line of 31 December may be read on 1 January."""
    hour, minute, second = clock
    near_year = 1970 + near_ns // (SECOND_NS * 31_556_952)
    candidates = []
    for year in (near_year - 1, near_year, near_year + 1):
        start = _seconds(year, month, day, hour, minute)
        if start is not None and second <= 60:
            candidates.append((start + second) * SECOND_NS + fraction)
    return min(candidates, key=lambda ts: abs(ts - near_ns), default=None)


def _seconds(year: int, month: int, day: int, hour: int, minute: int) -> int | None:
    if year not in _YEARS or not 1 <= month <= 12 or hour > 23 or minute > 59:
        return None
    if not 1 <= day <= calendar.monthrange(year, month)[1]:
        return None
    return calendar.timegm((year, month, day, hour, minute, 0))

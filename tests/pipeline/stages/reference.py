"""A slow, obvious reading of container logs, written from the format's description and not from
the pipeline's code. Tests hold the stages to it."""

import re
from datetime import UTC, datetime, timedelta

LINE = re.compile(
    rb"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)"
    rb" (stdout|stderr) ([PF])(?::[^ ]*)? (.*)",
    re.DOTALL,
)


def time_ns(groups) -> int | None:
    year, month, day, hour, minute, second, fraction, zone = groups
    if int(second) > 60 or not 1900 <= int(year) <= 2200:
        return None
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), tzinfo=UTC)
    except ValueError:
        return None
    if zone != b"Z":
        if int(zone[1:3]) > 23 or int(zone[4:6]) > 59:
            return None
        shift = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
        moment = moment - shift if zone[:1] == b"+" else moment + shift
    whole = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    return (whole + int(second)) * 10**9 + int((fraction or b"0").ljust(9, b"0"))


def parse_line(line: bytes):
    """(ts, stream, partial, content), or None for a line that is not CRI."""
    found = LINE.fullmatch(line)
    if found is None:
        return None
    ts = time_ns(found.groups()[:8])
    if ts is None:
        return None
    return ts, found.group(9).decode(), found.group(10) == b"P", found.group(11)


def rows_of(data: bytes, read_ns: int) -> list[dict]:
    """The rows of a finished CRI file, joined; the order is that of completion."""
    rows, open_rows, last_ts, place = [], {}, None, 0
    for raw in re.findall(rb"[^\n]*\n|[^\n]+", data):
        line, torn = raw.removesuffix(b"\n"), not raw.endswith(b"\n")
        parsed = parse_line(line)
        if parsed is None:
            ts, key, more, content = (read_ns if last_ts is None else last_ts), "raw", False, line
        else:
            ts, key, more, content = parsed
        last_ts = ts
        row = open_rows.setdefault(
            key, {"ts": ts, "key": key, "off": place, "nbytes": 0, "body": b"", "partial": False}
        )
        row["nbytes"] += len(raw)
        row["body"] += content
        row["end"] = place + len(raw)
        place += len(raw)
        if torn or not more:
            row["partial"] = torn
            rows.append(open_rows.pop(key))
    for key in sorted(open_rows, key=lambda k: ["raw", "stdout", "stderr"].index(k)):
        open_rows[key]["partial"] = True
        rows.append(open_rows[key])
    return rows

"""Plain host files -> columns: whole lines, with the time taken from well-known prefixes.

klog (`I0314 11:10:13.909915`), syslog (`Jan  4 11:56:31`) and RFC 3339 at the start of a line,
inside containerd's logfmt (`time="..."`), or in JSON (klog's `ts`, logrus' `time`). Formats
without a year get the one nearest to when the line was read, those without a zone are read as
UTC. A line without a time gets the one of the line before it, or of its reading (pieces.py).
"""

from pipeline.stages.lines import STDOUT, Parsed, Text, raw_lines
from pipeline.stages.timestamps import parse_json, parse_klog, parse_rfc3339, parse_syslog

_LOGFMT = b'time="'
_JSON_BYTES = 8 * 1024  # logrus puts its time at the end of the line


def parse_plain(text: Text, near_ns: int) -> Parsed:
    """All lines; `near_ns` is when they were read."""
    parsed = raw_lines(text)
    parsed.stream.fill(STDOUT)
    pairs = zip(text.starts.tolist(), text.ends.tolist(), strict=True)
    for i, (start, end) in enumerate(pairs):
        if text.buffer[start : start + 1] == b"{":
            ts = parse_json(text.buffer[start : min(end, start + _JSON_BYTES)])
        else:
            ts = _time(text.buffer[start : min(end, start + 64)], near_ns)
        if ts is not None:
            parsed.ts[i] = ts
    return parsed


def _time(head: bytes, near_ns: int) -> int | None:
    first = head[:1]
    if first.isdigit():
        return parse_rfc3339(head, prefix=True)
    if first in (b"I", b"W", b"E", b"F") and head[1:2].isdigit():
        return parse_klog(head, near_ns)
    if head.startswith(_LOGFMT):
        return parse_rfc3339(head[len(_LOGFMT) :], prefix=True)
    return parse_syslog(head, near_ns)

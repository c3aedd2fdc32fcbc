"""Log lines of the daemons in a recording, with the time at which they were written.

klog headers have neither year nor zone: the year is the recording's, the zone UTC. A line without
a time of its own (a stack trace) has that of the line before it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from collectors.recording.layout import Recording
from pipeline.base.times import unix_ms

_KLOG = re.compile(rb"[IWEF](\d\d)(\d\d) (\d\d):(\d\d):(\d\d)\.(\d{6}) ")
_LOGFMT = re.compile(rb'time="([^"]+)"')
_NANOS = re.compile(r"\.(\d{1,6})\d*")


@dataclass(frozen=True, slots=True)
class HostLine:
    """A line of a program of the node. `number` counts from 0 in its file."""

    node: str
    program: str
    number: int
    t_ms: int
    text: bytes


def host_lines(recording: Recording) -> Iterator[HostLine]:
    """Of all programs; in order within each."""
    for program in recording.programs():
        last = round(recording.start * 1000)
        for number, text in enumerate(recording.log(program)):
            last = line_time(text, recording.start) or last
            if last <= recording.end * 1000:
                yield HostLine(recording.node, program, number, last, text)


def line_time(text: bytes, start: float) -> int:
    """Unix ms; 0 if the line says none."""
    found = _KLOG.match(text)
    if found:
        month, day, hour, minute, second, micros = map(int, found.groups())
        first = datetime.fromtimestamp(start, UTC)
        try:
            # A recording over New Year: January of a December's recording is of the next year.
            year = (
                first.year + (month == 1 and first.month == 12) - (month == 12 > first.month == 1)
            )
            when = datetime(year, month, day, hour, minute, second, micros, UTC)
        except ValueError:
            return 0
        return int(when.timestamp() * 1000)
    found = _LOGFMT.search(text[:200])
    return unix_ms(_NANOS.sub(r".\1", found.group(1).decode("ascii", "replace"))) if found else 0

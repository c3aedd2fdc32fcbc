"""CRI log lines -> columns: `<timestamp> <stdout|stderr> <tags> <content>`.

The two writers that exist (k8s.io/cri-client pkg/logs reads both): containerd prints Go's
RFC3339Nano (0-9 fraction digits, trailing zeros dropped, `Z` or `+hh:mm`), conmon always nine
digits and an offset. Lines with nine digits are nearly all and are read as fixed columns; the
rest has a width of timestamp per line (cri_any.py).

A line that does not have this form keeps its bytes and becomes a RAW line.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.stages.cri_any import parse_any
from pipeline.stages.cri_words import Buffer, by_run, eight_digits, fill
from pipeline.stages.lines import NO_TIME, Ints, Mask, Parsed, Text, raw_lines
from pipeline.stages.timestamps import SECOND_NS, minute_seconds, zone_seconds

_SHORTEST = 30  # `2006-01-02T15:04:05Z stdout F `
_ZULU, _OFFSET = 30, 35  # widths with nine digits

Half = NDArray[np.uint32]


def parse_cri(text: Text) -> Parsed:
    """All lines of a padded buffer."""
    parsed = raw_lines(text)
    buffer = Buffer.of(text.buffer)
    rest = np.flatnonzero(text.ends - text.starts >= _SHORTEST)
    for width in (_ZULU, _OFFSET):
        # Worth a pass over all lines only if the first or the last of them looks like it.
        if len(rest) and (buffer.octets[text.starts[rest[[0, -1]]] + width] == 32).any():
            rest = _parse_nine(parsed, text, buffer, rest, width)
    if len(rest):
        parse_any(parsed, text, buffer, rest)
    return parsed


def _parse_nine(parsed: Parsed, text: Text, buffer: Buffer, rows: Ints, width: int) -> Ints:
    """Fill in the rows whose timestamp has nine digits and this width; give back the others."""
    at = text.starts if len(rows) == len(text.starts) else text.starts[rows]
    ts = by_run((buffer.words[at], buffer.words[at + 8]), buffer, at, 16, minute_seconds)
    good = ts != NO_TIME
    seconds, fits = _seconds(buffer.halves[at + 16])
    good &= fits
    ts += seconds
    if width == _OFFSET:
        zone = buffer.words[at + 29] << np.uint64(16)
        east = by_run((zone,), buffer, at + 29, 6, zone_seconds)
        good &= east != NO_TIME
        ts -= east
    else:
        good &= buffer.octets[at + 29] == 90
    ts *= SECOND_NS
    fraction, numeric = eight_digits(buffer.words[at + 20])
    last = buffer.octets[at + 28] - np.uint8(48)
    good &= numeric & (last <= 9) & (buffer.octets[at + width] == 32)
    fraction *= 10
    ts += fraction
    ts += last
    return fill(parsed, text, buffer, rows, (at + width, ts, good))


def _seconds(half: Half) -> tuple[NDArray[np.int64], Mask]:
    """`:SS.` -> seconds."""
    good = (half & np.uint32(0xFFF0F0FF)) == np.uint32(0x2E30303A)
    tens, ones = (half >> np.uint32(8)) & np.uint32(15), (half >> np.uint32(16)) & np.uint32(15)
    seconds = tens * np.uint32(10) + ones
    good &= (ones <= 9) & (seconds <= 60)
    return seconds.astype(np.int64), good

"""CRI lines with any width of timestamp: 0-9 fraction digits, `Z` or an offset. The general
case of cri.py, for the lines that are not of its two fixed shapes."""

import numpy as np

from pipeline.stages.cri_words import ZEROS, Buffer, by_run, eight_digits, fill
from pipeline.stages.lines import NO_TIME, Ints, Mask, Parsed, Text
from pipeline.stages.timestamps import SECOND_NS, minute_seconds, zone_seconds

_WIDTHS = (20, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35)
_ONES = np.uint64((1 << 64) - 1)
_SCALE = np.array([10**n for n in range(9, 0, -1)], np.int64)  # by number of digits


def parse_any(parsed: Parsed, text: Text, buffer: Buffer, rows: Ints) -> None:
    """Fill in those of the rows that are CRI lines; each has at least 30 bytes."""
    at = text.starts[rows]
    width = _widths(buffer, at)
    ts, good = _times(buffer, at, width)
    fill(parsed, text, buffer, rows, (at + width, ts, good))


def _widths(buffer: Buffer, at: Ints) -> Ints:
    """Bytes before the first space of each line, if that is a possible width."""
    width = np.full(len(at), _WIDTHS[-1])
    rest = np.arange(len(at))
    for candidate in _WIDTHS[:-1]:
        here = buffer.octets[at[rest] + candidate] == 32
        if here.any():
            width[rest[here]] = candidate
            rest = rest[~here]
    return width


def _times(buffer: Buffer, at: Ints, width: Ints) -> tuple[Ints, Mask]:
    """Nanoseconds, and which lines have a valid time of exactly their width."""
    words, octets = buffer.words, buffer.octets
    seconds = by_run((words[at], words[at + 8]), buffer, at, 16, minute_seconds)
    good = (seconds != NO_TIME) & (octets[at + width] == 32)
    tens, ones = octets[at + 17] - np.uint8(48), octets[at + 18] - np.uint8(48)
    good &= (octets[at + 16] == 58) & (ones <= 9) & (tens * np.uint8(10) + ones <= 60) & (tens < 7)
    seconds += tens * np.uint8(10) + ones
    utc = octets[at + (width - 1)] == 90
    zone_at = np.where(utc, width - 1, width - 6)
    fraction, exact = _fraction(buffer, at, zone_at - 20)
    good &= exact
    local = np.flatnonzero(good & ~utc)
    if len(local):
        place = at[local] + zone_at[local]
        east = by_run((words[place] << np.uint64(16),), buffer, place, 6, zone_seconds)
        good[local] = east != NO_TIME
        seconds[local] -= east
    return seconds * SECOND_NS + fraction, good


def _fraction(buffer: Buffer, at: Ints, digits: Ints) -> tuple[Ints, Mask]:
    """Nanoseconds of the digits at position 20; -1 digits: not even a dot."""
    count = np.clip(digits, 1, 8)
    shift = ((8 - count) * 8).astype(np.uint64)  # digits to the end, zeros in front
    value, numeric = eight_digits((buffer.words[at + 20] << shift) | (ZEROS & ~(_ONES << shift)))
    value = value * _SCALE[count]
    nine = digits == 9
    last = buffer.octets[at + 28] - np.uint8(48)
    value += np.where(nine, last, np.uint8(0))
    dotted = buffer.octets[at + 19] == 46
    good = numeric & dotted & (digits >= 1) & (digits <= 9) & (~nine | (last <= 9))
    return np.where(good, value, 0), good | (digits == -1)

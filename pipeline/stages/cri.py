"""CRI log lines -> columns: `<timestamp> <stdout|stderr> <tags> <content>`.

The two writers that exist (k8s.io/cri-client pkg/logs reads both): containerd prints Go's
RFC3339Nano (0-9 fraction digits, trailing zeros dropped, `Z` or `+hh:mm`), conmon always nine
digits and an offset. A file holds several widths of timestamp, so each line carries its own.
What a minute or a zone means is worked out once per run of equal text; all else is a few
gathers and adds per line.

A line that does not have this form keeps its bytes and becomes a RAW line.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipeline.stages.lines import (
    NO_TIME,
    STDERR,
    STDOUT,
    Bytes8,
    Ints,
    Mask,
    Parsed,
    Text,
    raw_lines,
)
from pipeline.stages.timestamps import SECOND_NS, minute_seconds, zone_seconds

Words = NDArray[np.uint64]

# Widths of a timestamp. Nearly all lines have a frequent one (containerd in UTC, conmon); what
# does not parse with those is tried again with the true place of its first space.
_FREQUENT = (30, 35)
_ALL = (20, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35)
_SHORTEST = 30  # `2006-01-02T15:04:05Z stdout F `


def _word(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text, "little"))


_SEVEN = np.uint64((1 << 56) - 1)
_OUT, _ERR = _word(b"stdout "), _word(b"stderr ")


def parse_cri(text: Text) -> Parsed:
    """All lines of a padded buffer."""
    parsed = raw_lines(text)
    words: Words = np.ndarray((len(text.buffer) - 7,), "<u8", text.buffer, strides=(1,))
    octets = np.frombuffer(text.buffer, np.uint8)
    rest = np.flatnonzero(text.ends - text.starts >= _SHORTEST)
    for candidates in (_FREQUENT, _ALL):
        if len(rest):
            rest = _parse(parsed, text, words, octets, rest, candidates)
    return parsed


def _parse(
    parsed: Parsed,
    text: Text,
    words: Words,
    octets: Bytes8,
    rows: Ints,
    candidates: tuple[int, ...],
) -> Ints:
    """Fill in the rows whose first space is where one of the candidates says; give back those
    that did not parse."""
    at = text.starts if len(rows) == len(text.starts) else text.starts[rows]
    width = _widths(octets, at, candidates)
    ts, good = _times(words, octets, at, width)
    tail = words[at + (width + 1)]
    name, tag = tail & _SEVEN, tail >> np.uint64(56)
    is_err, more = name == _ERR, tag == 80
    begin = at + (width + 10)
    after = octets[begin - 1]
    good &= (is_err | (name == _OUT)) & (more | (tag == 70)) & ((after == 32) | (after == 58))
    for i in np.flatnonzero(good & (after == 58)).tolist():
        # Further tags (`F:tag1:tag2 `) are for later versions: skip to the space after them.
        space = text.buffer.find(b" ", int(begin[i]), int(text.ends[rows[i]]))
        good[i], begin[i] = space >= 0, space + 1
    good &= begin <= text.ends[rows]
    left = rows[:0]
    if not good.all():
        left, rows = rows[~good], rows[good]
        ts, is_err, more, begin = ts[good], is_err[good], more[good], begin[good]
    parsed.ts[rows] = ts
    parsed.stream[rows] = np.where(is_err, np.uint8(STDERR), np.uint8(STDOUT))
    parsed.more[rows] = more
    parsed.begin[rows] = begin
    return left


def _widths(octets: Bytes8, at: Ints, candidates: tuple[int, ...]) -> Ints:
    """The first of the candidates at which there is a space; the last one if none."""
    width = np.full(len(at), candidates[-1])
    rest = np.arange(len(at))
    for candidate in candidates[:-1]:
        here = octets[at[rest] + candidate] == 32
        if here.all():
            width[rest] = candidate
            break
        width[rest[here]] = candidate
        rest = rest[~here]
    return width


def _times(words: Words, octets: Bytes8, at: Ints, width: Ints) -> tuple[Ints, Mask]:
    """Nanoseconds, and which lines have a valid time of exactly their width."""
    seconds = _by_run((words[at], words[at + 8]), octets, at, 16, minute_seconds)
    good = seconds != NO_TIME
    tens, ones = octets[at + 17] - np.uint8(48), octets[at + 18] - np.uint8(48)
    good &= (octets[at + 16] == 58) & (ones <= 9) & (tens * np.uint8(10) + ones <= 60) & (tens < 7)
    seconds += tens * np.uint8(10) + ones
    utc = octets[at + (width - 1)] == 90
    zone_at = width - 1
    if not utc.all():
        zone_at -= np.where(utc, 0, 5)
    fraction, exact = _fraction(words, octets, at, zone_at - 20)
    good &= exact
    local = np.flatnonzero(good & ~utc)
    if len(local):
        place = at[local] + zone_at[local]
        east = _by_run((words[place] << np.uint64(16),), octets, place, 6, zone_seconds)
        good[local] = east != NO_TIME
        seconds[local] -= np.where(east == NO_TIME, 0, east)
    return np.where(good, seconds, 0) * SECOND_NS + fraction, good


def _by_run(
    keys: tuple[Words, ...],
    octets: Bytes8,
    at: Ints,
    size: int,
    meaning: Callable[[bytes], int | None],
) -> Ints:
    """The meaning of `size` bytes at each place, looked up once per run of equal keys."""
    changed = np.empty(len(at), np.bool_)
    changed[0] = True
    np.not_equal(keys[0][1:], keys[0][:-1], out=changed[1:])
    for key in keys[1:]:
        changed[1:] |= key[1:] != key[:-1]
    heads = np.flatnonzero(changed)
    found = [meaning(octets[p : p + size].tobytes()) for p in at[heads].tolist()]
    values = np.array([NO_TIME if value is None else value for value in found], np.int64)
    return np.repeat(values, np.diff(heads, append=len(at)))


_LOW, _HIGH = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0xF0F0F0F0F0F0F0F0)
_ZEROS, _SIXES = np.uint64(0x3030303030303030), np.uint64(0x0606060606060606)
_ONES = np.uint64((1 << 64) - 1)


def _fraction(words: Words, octets: Bytes8, at: Ints, digits: Ints) -> tuple[Ints, Mask]:
    """Nanoseconds of the digits at position 20; -1 digits: not even a dot."""
    word = words[at + 20]
    nine = digits == 9
    dotted = octets[at + 19] == 46
    last = octets[at + 28] - np.uint8(48)
    if nine.all():
        value, numeric = _eight_digits(word)
        return value * 10 + last, numeric & dotted & (last <= 9)
    count = np.clip(digits, 1, 8)
    shift = ((8 - count) * 8).astype(np.uint64)  # digits to the end, zeros in front
    fill = _ZEROS & ~(_ONES << shift)
    value, numeric = _eight_digits((word << shift) | fill)
    value *= np.array([10**n for n in range(9, 0, -1)], np.int64)[count]
    value += np.where(nine, last, np.uint8(0))
    good = numeric & dotted & (digits >= 1) & (digits <= 9) & (~nine | (last <= 9))
    return np.where(good, value, 0), good | (digits == -1)


def _eight_digits(word: Words) -> tuple[Ints, Mask]:
    """Eight ASCII digits at once: pairs, then fours, then all."""
    numeric = ((word & _HIGH) == _ZEROS) & (((word + _SIXES) & _HIGH) == _ZEROS)
    word = word & _LOW
    word = (word * np.uint64(10) + (word >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    word = (word * np.uint64(100) + (word >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    word = (word * np.uint64(10000) + (word >> np.uint64(32))) & np.uint64(0x00000000FFFFFFFF)
    return word.astype(np.int64), numeric

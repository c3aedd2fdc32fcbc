"""Reading a byte buffer a word at a time: what both CRI parsers share.

`words[i]` are the eight bytes at i, least significant first, wherever i is. So a gather gives
the same eight header bytes of all lines at once, and arithmetic on them works on all lines.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.stages.lines import NO_TIME, STDERR, STDOUT, Bytes8, Ints, Mask, Parsed, Text

Words = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Buffer:
    """Views of one padded buffer."""

    octets: Bytes8
    halves: NDArray[np.uint32]
    words: Words

    @classmethod
    def of(cls, data: bytes) -> "Buffer":
        return cls(
            np.frombuffer(data, np.uint8),
            np.ndarray((len(data) - 3,), "<u4", data, strides=(1,)),
            np.ndarray((len(data) - 7,), "<u8", data, strides=(1,)),
        )


def by_run(
    keys: tuple[Words, ...],
    buffer: Buffer,
    at: Ints,
    size: int,
    meaning: Callable[[bytes], int | None],
) -> Ints:
    """The meaning of `size` bytes at each place, looked up once per run of equal keys."""
    changed = np.empty(len(at), np.bool_)
    changed[:1] = True
    np.not_equal(keys[0][1:], keys[0][:-1], out=changed[1:])
    for key in keys[1:]:
        changed[1:] |= key[1:] != key[:-1]
    heads = np.flatnonzero(changed)
    octets = buffer.octets
    found = [meaning(octets[p : p + size].tobytes()) for p in at[heads].tolist()]
    values = np.array([NO_TIME if value is None else value for value in found], np.int64)
    return np.repeat(values, np.diff(heads, append=len(at)))


def _word(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text, "little"))


_OUT_F, _OUT_P = _word(b"stdout F"), _word(b"stdout P")
_ERR_F, _ERR_P = _word(b"stderr F"), _word(b"stderr P")


def fill(
    parsed: Parsed, text: Text, buffer: Buffer, rows: Ints, header: tuple[Ints, Ints, Mask]
) -> Ints:
    """Read what follows the timestamps (` stdout F content`) and fill in the rows that are
    right; give back the others. `header`: place of the space, time, and is it right so far."""
    space, ts, good = header
    tail = buffer.words[space + 1]
    is_err = (tail == _ERR_F) | (tail == _ERR_P)
    more = (tail == _OUT_P) | (tail == _ERR_P)
    begin = space + 10
    after = buffer.octets[space + 9]
    good &= (is_err | more | (tail == _OUT_F)) & ((after == 32) | (after == 58))
    for i in np.flatnonzero(good & (after == 58)).tolist():
        # Further tags (`F:tag1:tag2 `) are for later versions: skip to the space after them.
        stop = text.buffer.find(b" ", int(begin[i]), int(text.ends[rows[i]]))
        good[i], begin[i] = stop >= 0, stop + 1
    whole = len(rows) == len(text.ends)
    good &= begin <= (text.ends if whole else text.ends[rows])
    left = rows[:0]
    if not good.all():
        whole, left, rows = False, rows[~good], rows[good]
        ts, is_err, more, begin = ts[good], is_err[good], more[good], begin[good]
    stream = is_err.view(np.uint8) * np.uint8(STDERR - STDOUT) + np.uint8(STDOUT)
    if whole:
        parsed.ts, parsed.stream, parsed.more, parsed.begin = ts, stream, more, begin
    else:
        parsed.ts[rows] = ts
        parsed.stream[rows] = stream
        parsed.more[rows] = more
        parsed.begin[rows] = begin
    return left


_LOW, _HIGH = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0xF0F0F0F0F0F0F0F0)
ZEROS, _SIXES = np.uint64(0x3030303030303030), np.uint64(0x0606060606060606)


def eight_digits(word: Words) -> tuple[Ints, Mask]:
    """Eight ASCII digits at once: pairs, then fours, then all."""
    numeric = ((word & _HIGH) | (((word + _SIXES) & _HIGH) >> np.uint64(4))) == _DIGITS
    word = word & _LOW
    word = (word * np.uint64(10) + (word >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    word = (word * np.uint64(100) + (word >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    word = (word * np.uint64(10000) + (word >> np.uint64(32))) & np.uint64(0x00000000FFFFFFFF)
    return word.view(np.int64), numeric


_DIGITS = np.uint64(0x3333333333333333)  # a digit, and a digit six higher, both begin with 3

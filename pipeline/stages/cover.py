"""Which bytes of a file the store has already, line by line.

Used where a mark per file is not enough: when an old open range is finished, when a batch was
stored in part, and when dead letters are put back. The parts of a row are consecutive lines of
ITS stream, so a stored row holds every byte of its stream from its first byte to its last,
whatever lines of the other stream lie between. Lines are cut accordingly.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pipeline.contract.tables import UNPARSED
from pipeline.stages.lines import RAW, STDERR, STDOUT, Ints, Lines

StoredRow = tuple[int, int, int, int]  # off, stop (byte after its last part), stream, flags


@dataclass(frozen=True, slots=True)
class Cover:
    """The stored rows of one file: per stream, where they begin and end, in order."""

    spans: dict[int, tuple[Ints, Ints]]

    @classmethod
    def of(cls, rows: Iterable[StoredRow]) -> "Cover":
        by_stream: dict[int, list[tuple[int, int]]] = {}
        for off, stop, stream, flags in rows:
            key = RAW if flags & UNPARSED else stream
            by_stream.setdefault(key, []).append((off, stop))
        return cls({stream: _merged(sorted(spans)) for stream, spans in by_stream.items()})

    def only(self, stream: int) -> "Cover":
        """As if everything of the other streams were stored."""
        everything = np.array([0]), np.array([np.iinfo(np.int64).max])
        others = {other: everything for other in (RAW, STDOUT, STDERR) if other != stream}
        return Cover(self.spans | others)


def _merged(spans: list[tuple[int, int]]) -> tuple[Ints, Ints]:
    """Spans that touch become one."""
    begins: list[int] = []
    ends: list[int] = []
    for begin, end in spans:
        if ends and begin <= ends[-1]:
            ends[-1] = max(ends[-1], end)
        else:
            begins.append(begin)
            ends.append(end)
    return np.array(begins, np.int64), np.array(ends, np.int64)


def uncovered(lines: Lines, part: slice, cover: Cover) -> None:
    """Cut what is stored off these lines: wholly stored ones get size 0. (A stored span strictly
    inside a line stays; the rows that are made of it are recognised as a whole.)"""
    streams = lines.parsed.stream[part]
    for stream, (begins, ends) in cover.spans.items():
        rows = np.flatnonzero(streams == stream) + part.start
        start = lines.start[rows]
        stop = start + lines.size[rows]
        before = np.searchsorted(begins, start, "right") - 1  # the last span that begins here
        reach = np.where(before >= 0, ends[before], 0)
        head = np.clip(reach - start, 0, stop - start)
        after = np.minimum(np.searchsorted(ends, stop, "left"), len(ends) - 1)
        over = (begins[after] > start) & (begins[after] < stop) & (ends[after] >= stop)
        tail = np.where(over & (head < stop - start), stop - begins[after], 0)
        for i in np.flatnonzero((head > 0) | (tail > 0)).tolist():
            cut_line(lines, int(rows[i]), int(head[i]), int(tail[i]))


def cut_line(lines: Lines, i: int, head: int, tail: int = 0) -> None:
    """Take `head` raw bytes off the front of a line and `tail` off its end."""
    parsed = lines.parsed
    first, stop = int(lines.at[i]) + head, int(lines.at[i] + lines.size[i]) - tail
    lines.at[i] = first
    lines.start[i] += head
    lines.size[i] -= head + tail
    if tail:
        parsed.more[i] = True
    if lines.linear:
        parsed.begin[i] = max(int(parsed.begin[i]), first)
        parsed.end[i] = max(min(int(parsed.end[i]), stop), int(parsed.begin[i]))


def drop_before(lines: Lines, part: slice, only: dict[int, int]) -> None:
    """Restoring a carry: of each stream keep the bytes from a position on, of others none."""
    first = np.full(4, np.iinfo(np.int64).max)
    for stream, place in only.items():
        first[stream] = place
    wanted = first[lines.parsed.stream[part]]
    start, size = lines.start[part], lines.size[part]
    gone = start + size <= wanted
    for i in np.flatnonzero(~gone & (start < wanted)).tolist():
        cut_line(lines, part.start + i, int(wanted[i] - start[i]))
    lines.size[part][gone] = 0

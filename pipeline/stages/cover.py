"""Which bytes of a file the store has already, line by line.

Used where a mark per file is not enough: when an old open range is finished, when a batch was
stored in part, and when dead letters are put back. A stored row names its first byte and how
many bytes of ITS STREAM it holds, so walking the lines of a stream in order says exactly which
of them are stored, also when parts of other streams lie between. This path is rare; it is
written for exactness, a step per line.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from pipeline.contract.tables import UNPARSED
from pipeline.stages.lines import RAW, Lines

StoredRow = tuple[int, int, int, int]  # off, nbytes, stream, flags


@dataclass(slots=True)
class _Walk:
    """Where the walk over one stream is: the next stored row, and bytes of the current one
    that are still to come."""

    rows: list[tuple[int, int]]
    index: int = 0
    left: int = 0


@dataclass(slots=True)
class Cover:
    """The stored rows of one file, consumed in the order of its lines."""

    walks: dict[int, _Walk] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[StoredRow]) -> "Cover":
        by_stream: dict[int, list[tuple[int, int]]] = {}
        for off, nbytes, stream, flags in rows:
            key = RAW if flags & UNPARSED else stream
            by_stream.setdefault(key, []).append((off, nbytes))
        return cls({stream: _Walk(sorted(rows)) for stream, rows in by_stream.items()})

    def stored(self, stream: int, start: int, size: int) -> tuple[int, int]:
        """Of the line [start, start + size): how many of its first and last bytes are stored.
        (size, 0) is all of it."""
        walk = self.walks.get(stream)
        if walk is None:
            return 0, 0
        place, stop = start, start + size
        head = 0
        while place < stop:
            if walk.left:
                taken = min(walk.left, stop - place)
                walk.left -= taken
                place += taken
                continue
            head = place - start
            while walk.index < len(walk.rows) and walk.rows[walk.index][0] < place:
                walk.index += 1  # began in bytes that are not here
            if walk.index == len(walk.rows) or walk.rows[walk.index][0] >= stop:
                return head, 0
            off, walk.left = walk.rows[walk.index]
            walk.index += 1
            if off > place:  # a row that begins inside this line: its tail is stored
                walk.left -= stop - off
                return head, stop - off
        return size, 0


def uncovered(lines: Lines, part: slice, cover: Cover) -> None:
    """Cut what is stored out of these lines: wholly stored ones get size 0."""
    streams = lines.parsed.stream[part].tolist()
    starts, sizes = lines.start[part].tolist(), lines.size[part].tolist()
    for i, stream, start, size in zip(
        range(part.start, part.stop), streams, starts, sizes, strict=True
    ):
        head, tail = cover.stored(stream, start, size)
        if head or tail:
            cut_line(lines, i, head, tail)


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

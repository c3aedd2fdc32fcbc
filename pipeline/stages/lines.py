"""Lines as columns: what every format parser makes and the join reads.

A piece is a buffer of whole lines, put together from chunks of any files of one format
(pieces.py). Parsers see only the buffer; they never look at files.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bytes8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

# Streams inside the stages. RAW lines did not parse; they are stored as stdout, flagged, and
# never join with lines that did.
RAW, STDOUT, STDERR = 0, 1, 2

NO_TIME = np.iinfo(np.int64).min  # `ts` of a line that does not say its time

PAD = bytes(64)  # after the last line of a buffer, so that fixed windows never run out of it


@dataclass(frozen=True, slots=True)
class Text:
    """A buffer and where its lines are: [start, end), newline not included."""

    buffer: bytes
    starts: Ints
    ends: Ints


@dataclass(slots=True)
class Parsed:
    """What a format says about each line. `ts` is NO_TIME where it says nothing.
    The content of line i is `text[begin[i]:end[i]]`; `text` is the piece's own buffer unless
    the format escapes its content."""

    text: bytes
    ts: Ints
    stream: Bytes8
    more: Mask  # the content goes on in the next line of the same stream
    begin: Ints
    end: Ints
    level: Bytes8  # index into the contract's LEVELS; 0 where only the content may say it


def raw_lines(text: Text) -> Parsed:
    """Every line as it is, unparsed: the start from which parsers fill in what they know."""
    count = len(text.starts)
    return Parsed(
        text=text.buffer,
        ts=np.full(count, NO_TIME, np.int64),
        stream=np.full(count, RAW, np.uint8),
        more=np.zeros(count, np.bool_),
        begin=text.starts.copy(),
        end=text.ends.copy(),
        level=np.zeros(count, np.uint8),
    )


def find_lines(buffer: bytes, length: int) -> Text:
    """Lines of the first `length` bytes, each ended by a newline."""
    octets = np.frombuffer(buffer, np.uint8, length)
    ends = np.flatnonzero(octets == 10)
    starts = np.empty_like(ends)
    if len(ends):
        starts[0] = 0
        starts[1:] = ends[:-1] + 1
    return Text(buffer, starts, ends)


@dataclass(slots=True)
class Lines:
    """Parsed lines with their place: `chunk` is the index of the chunk in its piece, `start`
    the byte offset in the file, `at` the place in the buffer, `size` the raw bytes with header
    and newline.

    `linear`: a content is the tail of its raw line, so that a position in one is a position in
    the other; only then may a line be cut in the middle of its content."""

    parsed: Parsed
    chunk: Ints
    start: Ints
    at: Ints
    size: Ints
    linear: bool

    def __len__(self) -> int:
        return len(self.start)

    def select(self, keep: Mask) -> "Lines":
        p = self.parsed
        kept = Parsed(
            p.text,
            p.ts[keep],
            p.stream[keep],
            p.more[keep],
            p.begin[keep],
            p.end[keep],
            p.level[keep],
        )
        return Lines(
            kept,
            self.chunk[keep],
            self.start[keep],
            self.at[keep],
            self.size[keep],
            self.linear,
        )

"""Chunks -> a piece: one buffer of about 2 MiB, parsed at once whatever files it is from.

Chunks of small containers are small, and a column operation costs the same for ten lines as for
a thousand. So chunks of one format are put side by side, parsed together, and each line is
given back to its chunk. Three things keep that exact:

- a chunk that stops in the middle of a line gets a newline of its own that is not counted;
- a chunk that begins in the middle of a line tells what its first line belongs to (`Lead`);
- a chunk whose beginning is stored already is cut there.
"""

from dataclasses import dataclass, field

import numpy as np

from pipeline.contract.record import CRI, DOCKER, JOURNAL, PLAIN, Chunk
from pipeline.stages.carry import FileState
from pipeline.stages.cover import Cover
from pipeline.stages.cri import parse_cri
from pipeline.stages.docker import parse_docker
from pipeline.stages.journal import parse_journal
from pipeline.stages.lines import NO_TIME, PAD, RAW, Lines, Parsed, Text, find_lines
from pipeline.stages.plain import parse_plain
from pipeline.stages.timestamps import parse_rfc3339

PIECE_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Lead:
    """What the headerless first line of a chunk belongs to."""

    stream: int
    ts: int | None  # None: not known any more
    more: bool  # the raw line that it ends is a `P`


@dataclass(slots=True)
class PieceChunk:
    """A chunk in a piece: raw bytes [start, start + length) of its file."""

    file: FileState
    rec: int
    event: Chunk
    start: int
    raw: bytes
    torn: bool  # the last line has no newline
    lead: Lead | None = None
    cover: Cover | None = None
    origin: int = 0
    lead_stop: int = 0  # byte after the headerless first line
    tail: tuple[int, bool] = (0, False)  # if torn: stream of the last line, and is it a `P`
    lines: slice = field(default_factory=lambda: slice(0, 0))  # its lines in the piece

    def goes_on(self) -> bool:
        """Is all of it one line that neither begins nor ends here?"""
        return self.torn and self.lines.stop - self.lines.start == 1


@dataclass(slots=True)
class Piece:
    """Chunks of one format, until they are parsed."""

    format: str
    chunks: list[PieceChunk] = field(default_factory=list)
    size: int = 0
    files: set[int] = field(default_factory=set)

    def add(self, chunk: PieceChunk) -> None:
        self.chunks.append(chunk)
        self.size += len(chunk.raw)
        self.files.add(chunk.file.file_id)

    def parse(self) -> Lines:
        """All lines, with their chunks and places; sets each chunk's `lines`."""
        parts: list[bytes] = []
        for chunk in self.chunks:
            parts.append(chunk.raw)
            if chunk.torn:
                parts.append(b"\n")
        lengths = [len(chunk.raw) + chunk.torn for chunk in self.chunks]
        stops = np.cumsum(lengths, dtype=np.int64)
        parts.append(PAD)
        text = find_lines(b"".join(parts), int(stops[-1]))
        parsed = self._parse(text)
        bounds = np.searchsorted(text.ends, stops, "left")
        counts = np.diff(bounds, prepend=0)
        shift = np.array([c.start for c in self.chunks], np.int64) - stops + np.array(lengths)
        index = np.repeat(np.arange(len(self.chunks)), counts)
        size = text.ends - text.starts + 1
        first = 0
        for chunk, stop in zip(self.chunks, bounds.tolist(), strict=True):
            chunk.lines = slice(first, stop)
            if chunk.lead is not None:
                _lead(parsed, text, first, chunk.lead)
                chunk.lead_stop = chunk.start + min(int(size[first]), len(chunk.raw))
            if chunk.torn:
                size[stop - 1] -= 1
                chunk.tail = int(parsed.stream[stop - 1]), bool(parsed.more[stop - 1])
                parsed.more[stop - 1] = True
            first = stop
        self._fill_times(parsed)
        linear = self.format not in (DOCKER, JOURNAL)
        start = text.starts + np.repeat(shift, counts)
        return Lines(parsed, index, start, text.starts, size, linear)

    def _parse(self, text: Text) -> Parsed:
        if self.format == CRI:
            return parse_cri(text)
        if self.format == DOCKER:
            return parse_docker(text)
        if self.format == JOURNAL:
            return parse_journal(text)
        return parse_plain(text, self.chunks[0].event.read_ms * 1_000_000)

    def _fill_times(self, parsed: Parsed) -> None:
        """A line that does not say its time has the one of the line before it in its file. Where
        no line of a chunk of plain text says one, they have the time at which it was read: such a
        file may never say one, and would stand still."""
        missing = parsed.ts == NO_TIME
        any_missing = bool(missing.any())
        for chunk in self.chunks:
            ts = parsed.ts[chunk.lines]
            if any_missing and missing[chunk.lines].any():
                known = np.where(missing[chunk.lines], -1, np.arange(len(ts)))
                last = np.maximum.accumulate(known)
                silent = self.format == PLAIN and last[-1] < 0
                before = chunk.event.read_ms * 1_000_000 if silent else _time_before(chunk)
                ts[:] = np.where(last >= 0, ts[last], before)
            chunk.file.last_ts = int(ts[-1])


def _lead(parsed: Parsed, text: Text, line: int, lead: Lead) -> None:
    """The first line of a chunk that begins in the middle of one has no header."""
    parsed.stream[line] = lead.stream
    parsed.ts[line] = NO_TIME
    parsed.more[line] = lead.more
    if parsed.text is text.buffer:
        parsed.begin[line] = text.starts[line]


def _time_before(chunk: PieceChunk) -> int:
    if chunk.file.last_ts is not None:
        return chunk.file.last_ts
    if chunk.lead is not None and chunk.lead.ts is not None:
        return chunk.lead.ts
    return first_time(chunk.event)


def first_time(event: Chunk) -> int:
    """The time that stands first in a chunk, as its collector says; else when it was read."""
    first = parse_rfc3339(event.first_ts.encode("utf-8", "replace"))
    return event.read_ms * 1_000_000 if first is None else first


def lead_of(file: FileState) -> Lead:
    """For a chunk that begins in the middle of a line. The rest of a line that is not known (any
    more, or while a carry is rebuilt that does not hold it) is RAW: taken for one of stdout, it
    would complete an open line of stdout that is not its own."""
    middle = file.middle()
    if middle is None:
        return Lead(RAW, None, more=False)
    return Lead(middle.stream, middle.ts, middle.mid_more)

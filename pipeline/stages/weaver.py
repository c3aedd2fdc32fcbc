"""The slow path of the join: lines one by one, into the unfinished rows of their file.

Invariant: every raw byte that was given to `line` is either in a row that was put out, or in
`file.open` / `file.groups`, and in exactly one of them.
"""

from dataclasses import dataclass

from pipeline.contract.tables import CONTINUES, LEVEL_SHIFT, MULTILINE, PARTIAL, UNPARSED
from pipeline.stages import multiline
from pipeline.stages.carry import FileState, Open, Row
from pipeline.stages.lines import RAW, STDOUT
from pipeline.stages.pieces import PieceChunk
from pipeline.stages.rows import RowList

_FAR = 1 << 31  # `interleaved` is 32 bits wide in the table
_RAW_PER_BODY = 4  # a row may hold this many times the body bound in raw bytes (empty parts)


@dataclass(frozen=True, slots=True)
class Part:
    """One raw line: bytes [start, stop) of its file, with its content."""

    chunk: PieceChunk
    start: int
    stop: int
    content: int  # where the content starts, same scale; below 0: not a tail of the raw line
    ts: int
    stream: int
    more: bool
    body: bytes
    fragment: bool  # it is the headerless first line of its chunk
    fragment_more: bool  # and the raw line that it ends, or goes on with, is a `P`
    level: int = 0  # see Parsed


class Weaver:
    """Joins parts, cuts at the bound, gathers multiline groups."""

    def __init__(self, max_body: int) -> None:
        self.max_body = max_body
        self.now_ms = 0
        self.partial = 0  # rows put out as partial
        self.out = RowList()

    def line(self, part: Part) -> None:
        """The next line of a file."""
        chunk, file = part.chunk, part.chunk.file
        line = file.open.get(part.stream)
        if line is not None and part.start - line.off - line.nbytes >= _FAR:
            self.close_stream(file, part.stream, chunk.rec, chunk.origin)
            line = None
        if line is None:
            flags = UNPARSED if part.stream == RAW else 0
            flags |= (UNPARSED | CONTINUES) if part.fragment else 0
            flags |= part.level << LEVEL_SHIFT
            line = file.open[part.stream] = Open(part.ts, part.stream, 0, 0, 0, flags)
        self._append(line, part)
        if not part.more:
            del file.open[part.stream]
            if line.nbytes:
                self._emit(file, line.row(0), chunk.rec, chunk.origin)

    def _append(self, line: Open, part: Part) -> None:
        """Content goes in up to the bound; what is above it starts the next row, at its byte. Raw
        bytes are looked at where a raw line begins: where a chunk ends must not matter."""
        body, raw = part.body, part.start
        full = line.size + len(body) > self.max_body and (part.content < 0 or not self._room(line))
        full |= line.nbytes > _RAW_PER_BODY * self.max_body and not part.fragment
        if line.nbytes and full:
            self._cut(line, part, raw)
        if not line.nbytes:
            _place(line, part, raw)
        while part.content >= 0 and line.size + len(body) > self.max_body:
            room = self._room(line)
            place = part.content + len(part.body) - len(body) + room
            line.parts.append(body[:room])
            line.size += room
            line.nbytes += place - raw
            line.end = place
            body, raw = body[room:], place
            self._cut(line, part, raw)
        line.parts.append(body)
        line.size += len(body)
        line.nbytes += part.stop - raw
        line.end = part.stop
        line.end_rec, line.end_pos = part.chunk.rec, part.stop - part.chunk.event.offset
        line.end_fragment = part.fragment
        line.mid, line.last_ms = False, self.now_ms

    def _room(self, line: Open) -> int:
        return self.max_body - line.size

    def _cut(self, line: Open, part: Part, place: int) -> None:
        """Put out what there is; the row goes on at file position `place` of this part."""
        chunk = part.chunk
        self._emit(chunk.file, line.row(PARTIAL), chunk.rec, chunk.origin)
        pos, more = place - chunk.event.offset, part.fragment_more
        line.restart(chunk.rec, pos, place, fragment=part.fragment, more=more)

    def close_file(self, file: FileState, ko: int, origin: int) -> None:
        """Put out all that is unfinished, for example because the file ended."""
        for stream in sorted({*file.open, *file.groups}):
            self.close_stream(file, stream, ko, origin)
            file.open.pop(stream, None)

    def close_stream(self, file: FileState, stream: int, ko: int, origin: int) -> None:
        """Put out what one stream holds. A line whose rest is sure to come without a header is
        remembered, so that the rest finds its time and stream."""
        line = file.open.get(stream)
        if line is not None:
            if line.nbytes:
                self._emit(file, line.row(PARTIAL), ko, origin)
            if line.mid and line.nbytes:
                inside, more = line.end_fragment, line.end_fragment and line.mid_more
                line.restart(line.end_rec, line.end_pos, line.end, fragment=inside, more=more)
            else:
                del file.open[stream]
        self._close_group(file, stream, ko, origin)

    def _emit(self, file: FileState, row: Row, ko: int, origin: int) -> None:
        pattern, group = file.pod.pattern, file.groups.get(row.stream)
        broken = row.flags & (PARTIAL | CONTINUES) or row.stream == RAW
        if group is not None:
            larger = group.size + len(row.body) >= self.max_body
            far = row.off - group.first.off - group.nbytes >= _FAR
            full = larger or far or len(group.bodies) >= multiline.MAX_LINES
            if not (broken or full or not pattern) and multiline.continues(
                pattern, group, row.body
            ):
                multiline.extend(pattern, group, row, self.now_ms)
                return
            self._close_group(file, row.stream, ko, origin)
        if pattern and not broken:
            file.groups[row.stream] = multiline.begin(pattern, row, self.now_ms)
        else:
            self._put(row, ko, origin)

    def _close_group(self, file: FileState, stream: int, ko: int, origin: int) -> None:
        group = file.groups.pop(stream, None)
        if group is None:
            return
        row = group.first
        row.body, row.nbytes, row.end = b"\n".join(group.bodies), group.nbytes, group.end
        row.flags |= MULTILINE if len(group.bodies) > 1 else 0
        self._put(row, ko, origin)

    def _put(self, row: Row, ko: int, origin: int) -> None:
        self.partial += bool(row.flags & PARTIAL)
        between = row.end - row.off - row.nbytes
        stream = STDOUT if row.stream == RAW else row.stream
        self.out.fixed.append((row.ts, stream, row.flags, row.off, row.nbytes, between, ko, origin))
        self.out.bodies.append(row.body)


def _place(line: Open, part: Part, start: int) -> None:
    """The first part of a row says where the row is."""
    line.rec, line.pos, line.off = part.chunk.rec, start - part.chunk.event.offset, start
    line.fragment, line.fragment_more = part.fragment, part.fragment_more

"""What is unfinished between two batches: open parts, open multiline groups, per file.

The carry is state that can be rebuilt: an entry says in which record, and at which byte of its
raw bytes, the bytes begin that are not in a stored row yet. Reading from there and dropping
everything of that stream before that byte gives the same carry again, whatever flushes and cuts
happened earlier. Ages are kept as well, so that the next flush decision is the same too.
"""

import base64
from dataclasses import dataclass, field

from pipeline.contract.record import Source
from pipeline.contract.tables import CONTINUES, PARTIAL
from pipeline.stages.lines import RAW
from pipeline.stages.rows import PodView


@dataclass(slots=True)
class Row:
    """A complete line (or a part that was cut), on its way to the table. `rec` and `pos` say
    where its first byte is: record offset, and position in the raw bytes."""

    ts: int
    stream: int
    flags: int
    off: int
    nbytes: int
    end: int  # byte after its last part
    body: bytes
    rec: int
    pos: int


@dataclass(slots=True)
class Open:
    """A line whose end has not come. `cut`: rows before hold its beginning. `mid`: its last
    part stopped in the middle of a raw line, and the next chunk goes on without a header;
    `mid_more` says whether that raw line is a `P`. `fragment`: the byte at (rec, pos) is in the
    headerless first line of its record, and `fragment_more` says whether that one is a `P`."""

    ts: int
    stream: int
    off: int
    rec: int
    pos: int
    flags: int = 0
    cut: bool = False
    fragment: bool = False
    fragment_more: bool = False
    mid: bool = False
    mid_more: bool = False
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    nbytes: int = 0
    end: int = 0
    end_rec: int = 0
    end_pos: int = 0
    end_fragment: bool = False
    last_ms: int = 0

    def row(self, flags: int) -> Row:
        """What was gathered so far."""
        flags |= self.flags | (CONTINUES if self.cut else 0)
        body = b"".join(self.parts)
        return Row(
            self.ts, self.stream, flags, self.off, self.nbytes, self.end, body, self.rec, self.pos
        )

    def restart(self, rec: int, pos: int, off: int, *, fragment: bool, more: bool) -> None:
        """Go on as a row that continues the one just taken. `more`: as `fragment_more`."""
        self.cut, self.fragment, self.fragment_more = True, fragment, more
        self.rec, self.pos, self.off, self.end = rec, pos, off, off
        self.parts, self.size, self.nbytes = [], 0, 0


@dataclass(slots=True)
class Group:
    """Rows that a multiline pattern has joined so far."""

    first: Row
    bodies: list[bytes]
    size: int
    nbytes: int
    end: int
    opened: bool  # a line that begins a trace was seen
    indented: bool  # the last line began with white space
    last_ms: int = 0


@dataclass(slots=True)
class FileState:
    """A file as far as this processor has read it. `next` is the first byte not read yet; what
    is before it is stored, or here."""

    file_id: int
    source: Source
    next: int = 0
    asked: bool = False  # the store was asked for its high-water mark
    ended: bool = False
    last_ts: int | None = None
    pod: PodView = field(default_factory=PodView)
    open: dict[int, Open] = field(default_factory=dict)
    groups: dict[int, Group] = field(default_factory=dict)
    only: dict[int, int] | None = None  # while restoring: per stream, the first byte to take

    def held(self) -> int:
        """Bytes of bodies in memory."""
        sizes = [o.size for o in self.open.values()] + [g.size for g in self.groups.values()]
        return sum(sizes)

    def middle(self) -> Open | None:
        """The line that the next chunk continues without a header."""
        return next((o for o in self.open.values() if o.mid), None)


@dataclass(frozen=True, slots=True)
class CarryEntry:
    """Where the unfinished bytes of one stream of one file begin."""

    rec: int
    pos: int
    stream: int
    last_ms: int
    cut: bool = False
    ts: int = 0  # if cut: the header may be out of reach; if RAW: there is none
    fragment: bool = False
    more: bool = False  # if cut and a fragment: its raw line is a `P`
    flags: int = 0


def entries(file: FileState) -> list[CarryEntry]:
    """One entry per stream that holds something."""
    found = []
    for stream in sorted({*file.open, *file.groups}):
        group, line = file.groups.get(stream), file.open.get(stream)
        last = max(x.last_ms for x in (group, line) if x is not None)
        if group is not None:
            found.append(CarryEntry(group.first.rec, group.first.pos, stream, last))
        elif line is not None and not line.cut:
            ts = line.ts if stream == RAW else 0
            found.append(
                CarryEntry(line.rec, line.pos, stream, last, ts=ts, fragment=line.fragment)
            )
        elif line is not None:
            found.append(
                CarryEntry(
                    line.rec,
                    line.pos,
                    stream,
                    last,
                    cut=True,
                    ts=line.ts,
                    fragment=line.fragment,
                    more=line.fragment_more,
                    flags=line.flags & ~PARTIAL,
                )
            )
    return found


def pack(carry: list[CarryEntry], *, need: int, base_ms: int) -> str:
    """Text for the commit metadata. Records are relative to `need`, times to `base_ms`."""
    out = bytearray()
    for entry in carry:
        timed = entry.cut or entry.stream == RAW
        bits = entry.stream | entry.cut << 2 | entry.fragment << 3 | entry.more << 4
        bits |= timed << 5
        _put(out, entry.rec - need)
        _put(out, entry.pos)
        _put(out, bits)
        _put(out, max(base_ms - entry.last_ms, 0))
        if entry.cut:
            _put(out, entry.flags)
        if timed:
            _put(out, entry.ts + (1 << 63))
    return base64.b85encode(bytes(out)).decode()


def unpack(text: str, *, need: int, base_ms: int) -> list[CarryEntry]:
    """The inverse of `pack`. ValueError for anything else."""
    data = base64.b85decode(text)
    place, found = 0, []
    while place < len(data):
        rec, place = _get(data, place)
        pos, place = _get(data, place)
        bits, place = _get(data, place)
        age, place = _get(data, place)
        flags, ts = 0, 1 << 63
        if bits & 4:
            flags, place = _get(data, place)
        if bits & 36:  # commits of before bit 5: only what was cut has a time
            ts, place = _get(data, place)
        found.append(
            CarryEntry(
                need + rec,
                pos,
                bits & 3,
                base_ms - age,
                cut=bool(bits & 4),
                ts=ts - (1 << 63),
                fragment=bool(bits & 8),
                more=bool(bits & 16),
                flags=flags,
            )
        )
    return found


def _put(out: bytearray, value: int) -> None:
    """LEB128."""
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)


def _get(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(data):
            raise ValueError("the carry in the commit metadata is cut off")
        octet = data[place]
        place += 1
        value |= (octet & 127) << shift
        shift += 7
        if octet < 128:
            return value, place

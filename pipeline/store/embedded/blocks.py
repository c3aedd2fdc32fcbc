"""Blocks between the engine's Native format and the packets of the TCP protocol.

The engine writes and reads blocks as revision 0: no block info, no serialization byte. In a
packet each block begins with block info, and every column has one byte after its type that says
"default serialization". Adding and removing these is all that is done to the data.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipeline.store.embedded.columns import UnknownLayout, layout
from pipeline.store.embedded.wire import Source
from pipeline.store.format import BLOCK_INFO, CUSTOM_SERIALIZATION, string, varint


class Columns(NamedTuple):
    names: tuple[str, ...]
    types: tuple[str, ...]


class Header(NamedTuple):
    columns: Columns
    rows: int


def empty_block(columns: Columns | None, revision: int) -> bytes:
    """Names and types without rows; without columns it is the end of data."""
    names, types = columns or ((), ())
    flag = b"\0" if revision >= CUSTOM_SERIALIZATION else b""
    parts = [BLOCK_INFO, varint(len(names)), varint(0)]
    for name, kind in zip(names, types, strict=True):
        parts += (string(name), string(kind), flag)
    return b"".join(parts)


def to_packet(
    block: bytes,
    known: Columns | None,
    revision: int,
    *,
    types: Sequence[str] | None = None,
) -> tuple[Header, list[bytes | memoryview]]:
    """A block of the engine as the pieces of a packet's block. `known` are the columns of an
    earlier block of the same answer: with them most columns need no walk. `types` replaces the
    names of the types."""
    source = Source.over(block)
    count, rows = source.varint(), source.varint()
    flag = b"\0" if revision >= CUSTOM_SERIALIZATION else b""
    view = memoryview(block)
    pieces: list[bytes | memoryview] = [BLOCK_INFO, view[: source.at]]
    found: list[tuple[str, str]] = []
    for number in range(count):
        name, kind = source.text(), source.text()
        found.append((name, kind))
        pieces.append(string(name) + string(types[number] if types else kind) + flag)
        start = source.at
        if number == count - 1:
            pieces.append(view[start:])
        elif rows:
            _skip_column(source, block, kind, rows, _next_header(known, number + 1))
            pieces.append(view[start : source.at])
    columns = Columns(tuple(n for n, _ in found), tuple(t for _, t in found))
    return Header(columns, rows), pieces


def _next_header(known: Columns | None, number: int) -> bytes:
    return string(known.names[number]) + string(known.types[number]) if known else b""


def _skip_column(source: Source, block: bytes, kind: str, rows: int, following: bytes) -> None:
    """To the header of the next column: by width, else by looking for that header (if it is
    found exactly once, it is it), else by walking."""
    try:
        shape = layout(kind)
    except UnknownLayout:
        shape = None
    if shape is not None and shape.width is not None:
        source.skip(rows * shape.width)
        return
    if following:
        found = block.find(following, source.at)
        if found >= 0 and block.find(following, found + 1) < 0:
            source.skip(found - source.at)
            return
    if shape is None:
        raise UnknownLayout(kind)
    source.skip(shape.prefix)
    shape.skip(source, rows)


def split(data: bytes) -> Iterator[bytes]:
    """Several blocks of the engine, one after the other."""
    source = Source.over(data)
    while source.waiting():
        source.mark()
        count, rows = source.varint(), source.varint()
        for _ in range(count):
            source.text()
            shape = layout(source.text())
            if rows:
                source.skip(shape.prefix)
                shape.skip(source, rows)
        yield source.since_mark()


def from_packet(source: Source, revision: int) -> tuple[Header, list[memoryview]]:
    """Read one block of a Data packet; gives what the engine reads as Native."""
    _block_info(source)
    source.mark()
    cuts: list[int] = []
    count, rows = source.varint(), source.varint()
    names, types = [], []
    for _ in range(count):
        names.append(source.text())
        types.append(source.text())
        if revision >= CUSTOM_SERIALIZATION:
            cuts.append(source.marked())
            if source.take(1) != b"\0":
                raise UnknownLayout(f"{types[-1]} in custom serialization")
        if rows:
            shape = layout(types[-1])
            source.skip(shape.prefix)
            shape.skip(source, rows)
    return Header(Columns(tuple(names), tuple(types)), rows), _without(
        memoryview(source.since_mark()), cuts
    )


def _block_info(source: Source) -> None:
    while field := source.varint():
        source.skip(1 if field == 1 else 4)


def _without(view: memoryview, cuts: Sequence[int]) -> list[memoryview]:
    """The view without the single bytes at these places."""
    pieces, start = [], 0
    for cut in cuts:
        pieces.append(view[start:cut])
        start = cut + 1
    pieces.append(view[start:])
    return pieces

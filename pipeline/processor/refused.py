"""Rows that the table refuses: finding them, and keeping them as chunks that can be put back.

The raw bytes of a row are cut out of the records that brought them, from its first byte to its
last; lines of other rows in between come along, and are recognised as stored when the letter is
put back. A row that began in an earlier batch needs records from before; they are read again.
Only when retention has removed them is the row written anew from its content.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import crc32c
import zstandard

from pipeline.base.block import Block, Dictionary, Fixed, Strings
from pipeline.base.errors import Rejected
from pipeline.broker.protocol import Broker, TopicPartition
from pipeline.contract.record import CRI, STARTS_MID_LINE, UNTERMINATED, Chunk
from pipeline.contract.tables import UNPARSED
from pipeline.processor.dead import Dead, dead_row
from pipeline.processor.partition import Item
from pipeline.processor.prepare import Prepared
from pipeline.stages.decode import Undecodable, Unpacker, decode_event
from pipeline.stages.lines import RAW

_SECOND_NS = 1_000_000_000


def bisect(
    block: Block, token: str, insert: Callable[[str, Block, str], None], error: Rejected
) -> list[tuple[int, str]]:
    """Insert all rows of a refused block but those that are refused by themselves; these come
    back as (row, reason). Each part has a token of its own."""
    refused: list[tuple[int, str]] = []
    parts = [(0, len(block), str(error))]
    while parts:
        start, stop, why = parts.pop()
        if stop - start == 1:
            refused.append((start, why))
            continue
        middle = (start + stop) // 2
        for first, last in ((start, middle), (middle, stop)):
            try:
                insert("logs", block.slice(first, last), f"{token}/{first}-{last}")
            except Rejected as again:
                parts.append((first, last, str(again)))
    return sorted(refused)


def refused_row(
    tp: TopicPartition,
    batch: Prepared,
    block: Block,
    at: int,
    *,
    why: str,
    earlier: Callable[[], Sequence[Item]],
) -> Dead:
    """The dead letter of row `at` of the block. `earlier` reads the records before the batch
    that it may need."""
    file_id, off = _number(block, "file_id", at), _number(block, "off", at)
    nbytes, ko = _number(block, "nbytes", at), _number(block, "ko", at)
    stop = off + nbytes + _number(block, "interleaved", at)
    found = _cut(batch.items, file_id, off, stop)
    if found is None:
        found = _cut([*earlier(), *batch.items], file_id, off, stop)
    chunk, raw = found if found is not None else _anew(batch, block, at)
    chunk = replace(
        chunk,
        offset=off,
        raw_length=len(raw),
        lines=raw.count(b"\n"),
        codec="zstd",
        crc32c=crc32c.crc32c(raw),
        first_ts="",
        last_ts="",
        replay="",
    )
    value = zstandard.ZstdCompressor(level=3).compress(raw)
    stream = _number(block, "stream", at)
    if _number(block, "flags", at) & UNPARSED:
        stream = RAW
    return dead_row(tp, ko, chunk, value, stream=stream, nbytes=nbytes, detail=why)


def read_again(broker: Broker, tp: TopicPartition, first: int, stop: int) -> list[Item]:
    """Records [first, stop) of the source, as far as they are still there."""
    reader = broker.reader()
    try:
        place = max(first, reader.beginning_offset(tp))
        reader.assign([tp])
        reader.seek(tp, place)
        items: list[Item] = []
        while place < stop:
            for record in reader.poll(0.5):
                if record.offset < stop:
                    items.append(Item(record, decode_event(record.headers)))
            place = reader.position(tp)
        return items
    finally:
        reader.close()


def _cut(items: Sequence[Item], file_id: int, start: int, stop: int) -> tuple[Chunk, bytes] | None:
    """Bytes [start, stop) of a file, if these records hold them."""
    unpacker, found, place = Unpacker(), [], start
    model: Chunk | None = None
    flags = 0
    for item in items:
        chunk = item.event
        if not isinstance(chunk, Chunk) or chunk.file_id != file_id or place >= stop:
            continue
        if not chunk.offset <= place < chunk.offset + chunk.raw_length:
            continue
        raw = unpacker.unpack(chunk, item.record.value)
        if isinstance(raw, Undecodable):
            continue
        at = place - chunk.offset
        if model is None:
            model = chunk
            inside = raw[at - 1] != 10 if at else bool(chunk.flags & STARTS_MID_LINE)
            flags = STARTS_MID_LINE if inside else 0
        found.append(raw[at : stop - chunk.offset])
        place += len(found[-1])
    if model is None or place < stop:
        return None
    data = b"".join(found)
    flags |= 0 if data.endswith(b"\n") else UNTERMINATED
    return replace(model, flags=flags), data


def _anew(batch: Prepared, block: Block, at: int) -> tuple[Chunk, bytes]:
    """The row's content as CRI lines."""
    file_id, ts = _number(block, "file_id", at), _number(block, "ts", at)
    source = next(o.source for o in batch.origins.items if o.file_id == file_id)
    moment = datetime.fromtimestamp(ts // _SECOND_NS, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    stream = "stderr" if _number(block, "stream", at) == 2 else "stdout"
    head = f"{moment}.{ts % _SECOND_NS:09d}Z {stream} F ".encode()
    body = block.columns["body"]
    lines = body.values[at].split(b"\n") if isinstance(body, Strings) else []
    raw = b"".join(head + line + b"\n" for line in lines)
    chunk = Chunk(
        source=source,
        file_id=file_id,
        kind="chunk",
        offset=0,
        raw_length=0,
        lines=0,
        format=CRI,
        codec="zstd",
        crc32c=0,
        pod_version=0,
        flags=0,
        first_ts="",
        last_ts="",
        read_ms=batch.now_ms,
    )
    return chunk, raw


def _number(block: Block, name: str, at: int) -> int:
    column = block.columns[name]
    if isinstance(column, Fixed):
        return int(column.values[at])
    kind = "words" if isinstance(column, Strings | Dictionary) else type(column).__name__
    raise TypeError(f"column {name} holds {kind}, not numbers")

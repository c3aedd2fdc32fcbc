"""Lines of a piece -> rows: parts joined per (file, stream), long lines cut, groups gathered.

Nearly every line is a row by itself and is taken as columns. The few that are not (parts, the
line that ends them, lines above the bound, files with a multiline pattern) go one by one
through the weaver. The rows do not depend on how the bytes were cut into chunks: only file
position, stream and tag decide what is joined, and a row is cut at an exact byte.
"""

import numpy as np

from pipeline.contract.tables import LEVEL_SHIFT, UNPARSED
from pipeline.stages.lines import RAW, STDOUT, Ints, Lines, Mask
from pipeline.stages.pieces import PieceChunk
from pipeline.stages.rows import Rows, concat
from pipeline.stages.weaver import Part, Weaver

_STREAMS = 3


def join(lines: Lines, chunks: list[PieceChunk], weaver: Weaver) -> Rows:
    """The rows that these lines complete, in the order of completion."""
    slow = _slow_lines(lines, chunks, weaver.max_body)
    if slow is None:
        return _direct(lines, chunks)
    direct = _direct(lines.select(~slow), chunks)
    order = [np.flatnonzero(~slow)]
    before = len(weaver.out.bodies)
    for i in np.flatnonzero(slow).tolist():
        _give(lines, chunks, i, weaver)
        made = len(weaver.out.bodies) - before
        before += made
        order.append(np.full(made, i))
    woven = weaver.out.take()
    at = np.concatenate(order)
    return concat([direct, woven]).reorder(np.argsort(at, kind="stable"))


def _slow_lines(lines: Lines, chunks: list[PieceChunk], max_body: int) -> Mask | None:
    """Which lines cannot be rows by themselves; None if all can."""
    parsed = lines.parsed
    slots: dict[int, int] = {}
    slot = np.array([slots.setdefault(id(c.file), len(slots)) for c in chunks])
    opened = np.zeros(len(slots) * _STREAMS, np.bool_)
    folded = np.zeros(len(chunks), np.bool_)
    for j, chunk in enumerate(chunks):
        for stream in chunk.file.open:
            opened[slot[j] * _STREAMS + stream] = True
        folded[j] = bool(chunk.file.pod.pattern or chunk.file.groups)
        folded[j] |= chunk.lead is not None
    long = parsed.end - parsed.begin > max_body
    if not (parsed.more.any() or opened.any() or folded.any() or long.any()):
        return None
    key = slot[lines.chunk] * _STREAMS + parsed.stream.astype(np.int64)
    return parsed.more | long | folded[lines.chunk] | _after_part(key, parsed.more, opened)


def _after_part(key: Ints, more: Mask, opened: Mask) -> Mask:
    """Lines whose predecessor of the same file and stream goes on in them."""
    result = np.zeros(len(key), np.bool_)
    hot = opened.copy()
    hot[key[more]] = True
    candidates = np.flatnonzero(hot[key])
    order = candidates[np.argsort(key[candidates], kind="stable")]
    if not len(order):
        return result
    same = key[order][1:] == key[order][:-1]
    result[order[1:]] = np.where(same, more[order[:-1]], opened[key[order[1:]]])
    result[order[0]] = opened[key[order[0]]]
    return result


def _direct(lines: Lines, chunks: list[PieceChunk]) -> Rows:
    """Every line is a row."""
    parsed = lines.parsed
    raw = parsed.stream == RAW
    recs = np.array([chunk.rec for chunk in chunks], np.int64)
    origins = np.array([chunk.origin for chunk in chunks], np.int64)
    data, spans = parsed.text, zip(parsed.begin.tolist(), parsed.end.tolist(), strict=True)
    return Rows(
        ts=parsed.ts,
        stream=np.where(raw, np.uint8(STDOUT), parsed.stream),
        flags=raw.astype(np.uint8) * np.uint8(UNPARSED) | parsed.level << np.uint8(LEVEL_SHIFT),
        off=lines.start,
        nbytes=lines.size,
        interleaved=np.zeros(len(lines), np.int64),
        ko=recs[lines.chunk],
        origin=origins[lines.chunk],
        bodies=[data[begin:end] for begin, end in spans],
    )


def _give(lines: Lines, chunks: list[PieceChunk], i: int, weaver: Weaver) -> None:
    parsed, chunk = lines.parsed, chunks[lines.chunk[i]]
    begin, end, start = int(parsed.begin[i]), int(parsed.end[i]), int(lines.start[i])
    lead = chunk.lead if start < chunk.lead_stop else None
    weaver.line(
        Part(
            chunk=chunk,
            start=start,
            stop=start + int(lines.size[i]),
            content=start + begin - int(lines.at[i]) if lines.linear else -1,
            ts=int(parsed.ts[i]),
            stream=int(parsed.stream[i]),
            more=bool(parsed.more[i]),
            body=parsed.text[begin:end],
            fragment=lead is not None,
            fragment_more=lead is not None and lead.more,
            level=int(parsed.level[i]),
        )
    )

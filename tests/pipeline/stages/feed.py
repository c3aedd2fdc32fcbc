"""Feeding bytes to the stages in tests: chunks of any cut, batches of any length."""

import itertools
from collections.abc import Sequence

import crc32c

from pipeline.contract.record import (
    CRI,
    ENDS_MID_LINE,
    STARTS_MID_LINE,
    UNTERMINATED,
    Chunk,
    FileEnd,
    Source,
)
from pipeline.stages.carry import pack, unpack
from pipeline.stages.refine import Bounds, Refinery
from pipeline.stages.rows import PodView

READ_MS = 1_795_412_000_000
SOURCE = Source("node-1", "shop", "web-0", "uid-1", "main", 0, "/var/log/pods/x/main/0.log")
FIELDS = ("ts", "stream", "flags", "off", "nbytes", "interleaved", "ko")


def chunk(data: bytes, offset: int, *, last: bool = False, file_id: int = 7, **other) -> Chunk:
    """A chunk of a file: `data` is the whole file's bytes from `offset` on, already cut."""
    flags = other.pop("flags", 0)
    if data and not data.endswith(b"\n"):
        flags |= UNTERMINATED if last else ENDS_MID_LINE
    return Chunk(
        source=other.pop("source", SOURCE),
        file_id=file_id,
        kind="chunk",
        offset=offset,
        raw_length=len(data),
        lines=data.count(b"\n"),
        format=other.pop("format", CRI),
        codec="none",
        crc32c=crc32c.crc32c(data),
        pod_version=other.pop("pod_version", 0),
        flags=flags,
        first_ts="",
        last_ts="",
        read_ms=other.pop("read_ms", READ_MS),
        **other,
    )


def chunks_of(data: bytes, cuts: Sequence[int], **other) -> list[tuple[Chunk, bytes]]:
    """The file cut at these positions. A position inside a line makes mid-line chunks, but
    never inside what may be a header: lines are cut when they are longer than a record."""
    edges = sorted({0, len(data), *(_allowed(data, cut % (len(data) + 1)) for cut in cuts)})
    found = []
    for start, stop in itertools.pairwise(edges):
        flags = STARTS_MID_LINE if start and data[start - 1] != 10 else 0
        raw = data[start:stop]
        event = chunk(raw, start, last=stop == len(data), flags=flags, **other)
        found.append((event, raw))
    return found


def _allowed(data: bytes, cut: int) -> int:
    line = data.rfind(b"\n", 0, cut) + 1
    return cut if cut - line > 60 else line


def end(size: int, file_id: int = 7) -> FileEnd:
    return FileEnd(SOURCE, file_id, "end", size, "deleted", exact=True, seen_ms=READ_MS)


def as_dicts(rows) -> list[dict]:
    columns = {name: getattr(rows, name).tolist() for name in FIELDS}
    return [
        {**{name: columns[name][i] for name in FIELDS}, "body": rows.bodies[i]}
        for i in range(len(rows))
    ]


def read(
    events: Sequence[tuple[object, bytes]],
    *,
    batch: int = 1000,
    bounds: Bounds | None = None,
    pod: PodView | None = None,
    crash_after: frozenset[int] = frozenset(),
    step_ms: int = 0,
) -> list[dict]:
    """All rows of these records, `batch` records at a time. After the batches named in
    `crash_after` the state is thrown away and rebuilt from what was written down."""
    bounds, pod = bounds or Bounds(), pod or PodView()
    refinery, out = Refinery(bounds), []
    for number, first in enumerate(range(0, len(events), batch)):
        last = min(first + batch, len(events)) - 1
        now = READ_MS + number * step_ms
        refinery.begin(now)
        for rec in range(first, last + 1):
            give(refinery, rec, events[rec], pod)
        out += as_dicts(refinery.finish(now, first, last))
        if number in crash_after:
            refinery = rebuilt(refinery, events, last + 1, bounds, pod, now)
    return out


def give(refinery, rec, record, pod) -> None:
    event, raw = record
    if isinstance(event, Chunk):
        refinery.chunk(rec, event, raw, pod)
    elif isinstance(event, FileEnd):
        refinery.end(rec, event)
    else:
        refinery.gap(rec, event, event.stop)


def rebuilt(old, events, upto, bounds, pod, now):
    """A new refinery with the carry of the old one, and the marks the store would give."""
    carry = old.carry()
    need = min((entry.rec for entry in carry), default=upto)
    carry = unpack(pack(carry, need=need, base_ms=now), need=need, base_ms=now)
    fresh = Refinery(bounds)
    fresh.expect(carry)
    for rec in range(need, upto):
        event, raw = events[rec]
        if isinstance(event, Chunk):
            fresh.restore(rec, event, raw, pod)
    assert fresh.restored() == 0
    for key, file in old.files.items():
        state = fresh.files.setdefault(key, file.__class__(key, file.source))
        state.next, state.last_ts = max(state.next, file.next), file.last_ts
    assert fresh.carry() == old.carry()
    return fresh

"""Rows -> the block that goes to the table, clamped and sorted by the table's key.

A time outside the window around now is moved to its edge: a container with a wrong clock must
not make partitions for every day since 1970 (a block that spans more than 100 partitions is
refused for ever). The distance is kept in `ts_shift`, so the original is `ts + ts_shift`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.base.block import Block, Column, Dictionary, Fixed, Strings
from pipeline.contract.tables import CLAMPED
from pipeline.stages.lines import Ints
from pipeline.stages.rows import Origin, Origins, Rows

_DAY_NS = 86_400 * 1_000_000_000
_BUCKET_NS = 300 * 1_000_000_000  # toStartOfFiveMinutes in the table's key


@dataclass(frozen=True, slots=True)
class Window:
    """How far from now a time may be."""

    past_days: float = 7.0
    future_hours: float = 1.0

    def edges(self, now_ms: int) -> tuple[int, int]:
        now_ns = now_ms * 1_000_000
        return (
            now_ns - int(self.past_days * _DAY_NS),
            now_ns + int(self.future_hours * _DAY_NS / 24),
        )


def clamp(rows: Rows, window: Window, now_ms: int) -> Ints:
    """Move times into the window; returns what to add to get the originals."""
    low, high = window.edges(now_ms)
    clamped = np.clip(rows.ts, low, high)
    shift = rows.ts - clamped
    rows.flags |= (shift != 0).astype(np.uint8) * np.uint8(CLAMPED)
    rows.ts = clamped
    return shift


def assemble(rows: Rows, origins: Origins, *, partition: int, now_ms: int, window: Window) -> Block:
    """One block for table `logs`, columns as the contract's `LOGS.written`."""
    shift = clamp(rows, window, now_ms)
    order = _order(rows, origins)
    if order is not None:
        rows, shift = rows.reorder(order), shift[order]
    count = len(rows)
    low = _low_columns(origins, rows.origin.astype(np.uint32))
    file_ids = np.array([o.file_id for o in origins.items], np.uint64)
    restarts = np.array([o.source.restart for o in origins.items], np.uint32)
    enriched = np.array([o.pod.enriched for o in origins.items], np.uint8)
    columns: dict[str, Column] = {
        "ts": Fixed(rows.ts),
        "ts_shift": Fixed(shift),
        "tenant": Dictionary([b""], np.zeros(count, np.uint32)),
        "namespace": low["namespace"],
        "workload": low["workload"],
        "pod": low["pod"],
        "pod_uid": low["pod_uid"],
        "container": low["container"],
        "restart": Fixed(restarts[rows.origin]),
        "node": low["node"],
        "stream": Fixed(rows.stream.astype(np.int8)),
        "body": Strings(rows.bodies),
        "file_id": Fixed(file_ids[rows.origin]),
        "off": Fixed(rows.off.astype(np.uint64)),
        "nbytes": Fixed(rows.nbytes.astype(np.uint32)),
        "interleaved": Fixed(rows.interleaved.astype(np.uint32)),
        "kp": Fixed(np.full(count, partition, np.uint16)),
        "ko": Fixed(rows.ko.astype(np.uint64)),
        "enriched": Fixed(enriched[rows.origin]),
        "flags": Fixed(rows.flags),
    }
    # Only where somebody wishes it: the table's defaults are what nearly every row has.
    if rows.weight is not None:
        columns["weight"] = Fixed(rows.weight.astype(np.float32))
    if rows.fields is not None:
        columns["fields"] = Strings(rows.fields)
    kept = [o.pod.treatment.retention if o.pod.treatment else "" for o in origins.items]
    if any(kept):
        columns["retention"] = Dictionary([encode(one) for one in kept], low["pod"].codes)
    return Block(columns)


_LOW: dict[str, Callable[[Origin], str]] = {
    "namespace": lambda o: o.source.namespace,
    "workload": lambda o: o.pod.workload,
    "pod": lambda o: o.source.pod,
    "pod_uid": lambda o: o.source.uid,
    "container": lambda o: o.source.container,
    "node": lambda o: o.source.node,
}


def _low_columns(
    origins: Origins, codes: np.ndarray[tuple[int], np.dtype[np.uint32]]
) -> dict[str, Dictionary]:
    """Columns that are constant within a chunk: a value per origin, an index per row."""
    return {
        name: Dictionary([encode(value(origin)) for origin in origins.items], codes)
        for name, value in _LOW.items()
    }


def encode(text: str) -> bytes:
    """Text of a header as bytes; names that were not UTF-8 come back as they were."""
    return text.encode("utf-8", "surrogateescape")


def _order(rows: Rows, origins: Origins) -> Ints | None:
    """The permutation that sorts by (bucket, namespace, workload, pod, ts), stable; None if the
    rows are in order already. Within a pod lines nearly always are, so the small key is sorted
    first and the times are only checked."""
    names = [
        (encode(o.source.namespace), encode(o.pod.workload), encode(o.source.pod))
        for o in origins.items
    ]
    ranks = {name: rank for rank, name in enumerate(sorted(set(names)))}
    rank = np.array([ranks[name] for name in names], np.int64)
    bucket = rows.ts // _BUCKET_NS
    if not len(bucket):
        return None
    key = (bucket - bucket.min()) * len(ranks) + rank[rows.origin]
    if key.max() < 1 << 16:
        key = key.astype(np.uint16)  # sorted by radix
    if _sorted(key, rows.ts):
        return None
    order: Ints = np.argsort(key, kind="stable")
    if not _sorted(key[order], rows.ts[order]):
        order = np.lexsort((rows.ts, key))
    return order


def _sorted(key: Ints, ts: Ints) -> bool:
    before = (key[:-1] < key[1:]) | ((key[:-1] == key[1:]) & (ts[:-1] <= ts[1:]))
    return bool(before.all())

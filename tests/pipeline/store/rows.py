"""Blocks of log rows for tests."""

from collections.abc import Sequence

import numpy as np

from pipeline.base.block import Block, Dictionary, Fixed, Strings
from pipeline.contract.tables import LOGS

NOON = 1_795_435_200_000_000_000  # 2026-11-23 12:00:00 UTC


def log_block(
    bodies: Sequence[bytes],
    *,
    ts: int = NOON,
    step: int = 1_000_000,
    kp: int = 0,
    ko: int = 0,
    file_id: int = 1,
    start: int = 0,
    flags: int = 0,
) -> Block:
    """Rows of one file, one after the other; everything a writer sends."""
    count = len(bodies)
    sizes = np.fromiter((len(body) + 45 for body in bodies), np.uint32, count)

    def same(dtype: type[np.generic], value: int) -> Fixed:
        return Fixed(np.full(count, value, dtype))

    def word(value: bytes) -> Dictionary:
        return Dictionary([value], np.zeros(count, np.uint32))

    columns = {
        "ts": Fixed(ts + step * np.arange(count, dtype=np.int64)),
        "ts_shift": same(np.int64, 0),
        "tenant": word(b""),
        "namespace": word(b"shop"),
        "workload": word(b"Deployment/cart"),
        "pod": Dictionary([b"cart-1", b"cart-2"], np.arange(count, dtype=np.uint32) % 2),
        "pod_uid": word(b"0f9d"),
        "container": word(b"app"),
        "restart": same(np.uint32, 0),
        "node": word(b"n1"),
        "stream": same(np.int8, 1),
        "body": Strings(list(bodies)),
        "file_id": same(np.uint64, file_id),
        "off": Fixed((start + np.cumsum(sizes) - sizes).astype(np.uint64)),
        "nbytes": Fixed(sizes),
        "interleaved": same(np.uint32, 0),
        "kp": same(np.uint16, kp),
        "ko": same(np.uint64, ko),
        "enriched": same(np.uint8, 1),
        "flags": same(np.uint8, flags),
    }
    return Block({spec.name: columns[spec.name] for spec in LOGS.written})

"""Rows of one table -> the block that is inserted."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.base.block import Block, Column, Dictionary, Fixed, Strings
from pipeline.contract.tables import (
    CAPACITY_1M,
    DRAINS,
    EPISODES,
    FACTS,
    HPA_1M,
    K8S_EVENTS,
    LOW,
    NODE_SAMPLES,
    OBJECTS,
    SCALE_TIMELINES,
    SCALINGS,
    SIGNALS,
    ColumnSpec,
)
from pipeline.eventlog.rows import Row
from pipeline.store.native import dtype_of

_OF_EVENTS = (NODE_SAMPLES, K8S_EVENTS, OBJECTS, SIGNALS)
_OF_FACTS = (FACTS, EPISODES, SCALINGS, SCALE_TIMELINES, CAPACITY_1M, HPA_1M, DRAINS)
TABLES = {spec.name: spec for spec in (*_OF_EVENTS, *_OF_FACTS)}
_BEFORE, _AFTER = 3, 2  # ts, ts_shift, cluster … kp, ko

Edges = tuple[int, int]  # of the window of times, in ms


def table_block(rows: Sequence[Row], *, cluster: str, partition: int, edges: Edges) -> Block:
    """`rows` are of one table; times outside the window are moved to its edges."""
    spec = TABLES[rows[0].table]
    count = len(rows)
    times = np.array([row.t for row in rows], np.int64)
    moved = np.clip(times, *edges)
    columns: dict[str, Column] = {
        "ts": Fixed(moved),
        "ts_shift": Fixed(times - moved),
        "cluster": Dictionary([_bytes(cluster)], np.zeros(count, np.uint32)),
    }
    between = spec.written[_BEFORE:-_AFTER]
    for column, values in zip(
        between, zip(*(row.values for row in rows), strict=True), strict=True
    ):
        columns[column.name] = _column(column, values)
    columns["kp"] = Fixed(np.full(count, partition, np.uint16))
    columns["ko"] = Fixed(np.array([row.ko for row in rows], np.uint64))
    return Block(columns)


def _column(spec: ColumnSpec, values: Sequence[Any]) -> Column:
    if spec.type == LOW:
        distinct = {value: number for number, value in enumerate(dict.fromkeys(values))}
        codes = np.fromiter(map(distinct.__getitem__, values), np.uint32, len(values))
        return Dictionary([_bytes(value) for value in distinct], codes)
    dtype = dtype_of(spec.type)
    if dtype is not None:
        return Fixed(np.array(values, dtype))
    return Strings([value if type(value) is bytes else _bytes(value) for value in values])


def _bytes(text: str) -> bytes:
    """Bytes that were no text come back as they were."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        try:
            return text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            return text.encode("utf-8", "replace")

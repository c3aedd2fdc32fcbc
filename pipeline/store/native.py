"""Blocks as ClickHouse's Native bytes: fast enough not to be seen beside the insert itself.

No Python object is made per row here. Fixed-width columns are the array's own bytes; strings are
written by clickhouse-driver's compiled writer; LowCardinality is its distinct values and an
array of indexes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from clickhouse_driver.bufferedwriter import CompressedBufferedWriter

from pipeline.base.block import Block, Column, Dictionary, Fixed, Strings
from pipeline.contract.tables import ColumnSpec, TableSpec
from pipeline.store.format import BLOCK_INFO, CUSTOM_SERIALIZATION, string, varint

_DTYPES: Mapping[str, type[np.generic]] = {
    "UInt8": np.uint8,
    "UInt16": np.uint16,
    "UInt32": np.uint32,
    "UInt64": np.uint64,
    "Int8": np.int8,
    "Int16": np.int16,
    "Int32": np.int32,
    "Int64": np.int64,
    "Enum8": np.int8,
    "DateTime64": np.int64,
    "Float32": np.float32,
}
_LOW = "LowCardinality(String)"
# additional keys are in the block, the dictionary is new
_LOW_FLAGS = 1 << 9 | 1 << 10
_STRING_BUFFER = 1 << 18


def dtype_of(type_name: str) -> np.dtype[Any] | None:
    """Array type of a fixed-width ClickHouse type, None for the others."""
    found = _DTYPES.get(type_name.partition("(")[0])
    return np.dtype(found) if found is not None else None


def encode_block(block: Block, types: Mapping[str, str], revision: int) -> list[bytes]:
    """A block as the pieces of a Data packet's body. `types` of all its columns."""
    flag = b"\0" if revision >= CUSTOM_SERIALIZATION else b""
    rows = len(block)
    pieces = [BLOCK_INFO, varint(len(block.columns)), varint(rows)]
    for name, column in block.columns.items():
        pieces.append(string(name) + string(types[name]) + flag)
        if rows:
            pieces += _encode_column(name, column, types[name])
    return pieces


def _encode_column(name: str, column: Column, type_name: str) -> list[bytes]:
    if isinstance(column, Fixed):
        dtype = dtype_of(type_name)
        if dtype is None or column.values.dtype.itemsize != dtype.itemsize:
            raise ValueError(f"column {name}: {column.values.dtype} does not fit {type_name}")
        return [np.ascontiguousarray(column.values).tobytes()]
    if isinstance(column, Strings) and type_name == "String":
        return _strings(column.values)
    if isinstance(column, Dictionary) and type_name == _LOW:
        return _low_cardinality(column)
    if isinstance(column, Strings) and type_name == _LOW:
        return _low_cardinality(_dictionary(column.values))
    raise ValueError(f"column {name}: {type(column).__name__} does not fit {type_name}")


class _Pieces:
    """What the driver's writer takes for a compressor: it keeps what is written."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.pieces.append(data)


def _strings(values: list[bytes]) -> list[bytes]:
    sink = _Pieces()
    writer = CompressedBufferedWriter(sink, _STRING_BUFFER)
    writer.write_strings(values)
    writer.flush()
    return sink.pieces


def _dictionary(values: Sequence[bytes]) -> Dictionary:
    distinct = {value: number for number, value in enumerate(dict.fromkeys(values))}
    codes = np.fromiter(map(distinct.__getitem__, values), np.uint32, len(values))
    return Dictionary(list(distinct), codes)


def _low_cardinality(column: Dictionary) -> list[bytes]:
    keys = {value: number for number, value in enumerate(dict.fromkeys(column.values))}
    codes = column.codes
    if len(keys) < len(column.values):
        codes = np.fromiter(map(keys.__getitem__, column.values), np.uint32)[codes]
    width = next(w for w in range(3) if len(keys) <= 1 << (8 << w))
    head = np.array([1, _LOW_FLAGS | width, len(keys)], np.uint64).tobytes()
    indexes = codes.astype((np.uint8, np.uint16, np.uint32)[width])
    return [
        head,
        *_strings(list(keys)),
        np.uint64(len(codes)).tobytes(),
        indexes.tobytes(),
    ]


def rows_block(table: TableSpec, rows: Sequence[Mapping[str, Any]]) -> Block:
    """A block for a small table from one mapping per row. Texts may be str or bytes; Enum8
    columns take their numbers."""
    return Block({spec.name: _column(spec, rows) for spec in table.written})


def _column(spec: ColumnSpec, rows: Sequence[Mapping[str, Any]]) -> Column:
    values = [row[spec.name] for row in rows]
    dtype = dtype_of(spec.type)
    if dtype is not None:
        return Fixed(np.array(values, dtype))
    texts = [v.encode("utf-8", "surrogateescape") if isinstance(v, str) else v for v in values]
    return _dictionary(texts) if spec.type == _LOW else Strings(texts)

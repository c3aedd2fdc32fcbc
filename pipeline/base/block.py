"""A block of rows as columns: what the stages make and the store inserts.

Columns keep the shape that is cheapest to make and to encode. All columns of a block have the
same number of rows. Strings are bytes: log lines are not always UTF-8 and must come back as
they were.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Fixed:
    """Fixed-width values. The dtype must have the width of the ClickHouse type: DateTime64 and
    Int64 <- int64, UInt64 <- uint64, Enum8 <- int8, UInt8 <- uint8 and so on."""

    values: NDArray[np.generic]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Strings:
    """One bytes object per row."""

    values: list[bytes]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Dictionary:
    """LowCardinality(String): distinct values and, per row, an index into them. `values` may
    repeat; the encoder does not mind, and merging chunks is cheaper without a search."""

    values: list[bytes]
    codes: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.codes)


Column = Fixed | Strings | Dictionary


@dataclass(frozen=True, slots=True)
class Block:
    """Named columns, in the order in which they are sent."""

    columns: Mapping[str, Column]

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of different length: {lengths}")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def slice(self, start: int, stop: int) -> "Block":
        """Rows [start, stop), for bisecting."""
        return Block({name: _slice(column, start, stop) for name, column in self.columns.items()})


def _slice(column: Column, start: int, stop: int) -> Column:
    if isinstance(column, Fixed):
        return Fixed(column.values[start:stop])
    if isinstance(column, Strings):
        return Strings(column.values[start:stop])
    return Dictionary(column.values, column.codes[start:stop])

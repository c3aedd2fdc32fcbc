"""Small columns from Python values, for the tables with few rows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.base.block import Dictionary, Fixed, Strings


def stamps(values: Sequence[int], dtype: str) -> Fixed:
    """Whole numbers of one width."""
    return Fixed(np.array(values, np.dtype(dtype)))


def codes(values: Sequence[bytes]) -> tuple[list[bytes], NDArray[np.uint32]]:
    """Values of a low-cardinality column, one per row."""
    distinct: dict[bytes, int] = {}
    index = [distinct.setdefault(value, len(distinct)) for value in values]
    return list(distinct), np.array(index, np.uint32)


def words(values: Sequence[str]) -> Dictionary:
    return Dictionary(*codes([value.encode("utf-8", "surrogateescape") for value in values]))


def texts(values: Sequence[str]) -> Strings:
    return Strings([value.encode("utf-8", "surrogateescape") for value in values])

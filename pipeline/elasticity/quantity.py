"""Kubernetes quantities: `50m`, `1500Mi`, `2`, `12e6` (apimachinery pkg/api/resource)."""

import re
from functools import lru_cache

_FACTORS = {
    "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15,
    "E": 1e18, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60,
}  # fmt: skip
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([a-zA-Z]{0,2}))")


def quantity(text: object) -> float | None:
    """In the unit of the resource (cores, bytes, one); None if it is no quantity."""
    return _quantity(str(text))


def milli(text: object) -> int:
    """In thousandths, rounded up as the API does; 0 if it is no quantity."""
    return _up(str(text), 1000)


def whole(text: object) -> int:
    """Rounded up; 0 if it is no quantity."""
    return _up(str(text), 1)


@lru_cache(maxsize=4096)  # a cluster has few of them, in every pod
def _up(text: str, factor: int) -> int:
    value = _quantity(text)
    if value is None:
        return 0
    scaled = round(value * factor, 6)  # 0.29 * 1000 is not 290 in binary
    return int(-(-scaled // 1))


def _quantity(text: str) -> float | None:
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return None
    number, exponent, suffix = found.groups()
    if exponent:
        return float(number + exponent)
    factor = _FACTORS.get(suffix)
    return None if factor is None else float(number) * factor

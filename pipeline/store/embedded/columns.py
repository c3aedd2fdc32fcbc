"""The layout of ClickHouse's Native format: where each column of a block ends.

A block in a packet is not framed: its end is known only by walking its columns. Nothing is
decoded here; fixed-width columns are skipped in one step, strings by their length prefixes.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

_BY_WIDTH = {
    1: ("Int8", "UInt8", "Bool", "Enum8", "Nothing"),
    2: ("Int16", "UInt16", "Date", "Enum16", "BFloat16"),
    4: ("Int32", "UInt32", "Float32", "Date32", "DateTime", "IPv4", "Decimal32", "Time"),
    8: ("Int64", "UInt64", "Float64", "DateTime64", "Decimal64", "Time64"),
    16: ("Int128", "UInt128", "UUID", "IPv6", "Decimal128"),
    32: ("Int256", "UInt256", "Decimal256"),
}
_WIDTHS = {name: width for width, names in _BY_WIDTH.items() for name in names}
_ALIASES = {
    "Point": "Tuple(Float64, Float64)",
    "Ring": "Array(Point)",
    "LineString": "Array(Point)",
    "MultiLineString": "Array(LineString)",
    "Polygon": "Array(Ring)",
    "MultiPolygon": "Array(Polygon)",
}
_DEEPEST = 500  # brackets of a type: each costs a walk over what is in it
_NAMED = re.compile(r"(?:`(?:[^`\\]|\\.)*`|\"(?:[^\"\\]|\\.)*\"|[^\W\d]\w*)\s+(?=\S)")


class UnknownLayout(ValueError):
    """A type whose Native form is not known here."""


class Bytes(Protocol):
    """Bytes that arrive while they are read."""

    def skip(self, count: int) -> None: ...

    def take(self, count: int) -> bytes | memoryview: ...

    def skip_strings(self, rows: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Layout:
    """How to skip a column. `prefix` comes once per column before all data of its parts."""

    width: int | None  # bytes per row when that is all there is
    prefix: int  # bytes of serialization state in front
    skip: Callable[[Bytes, int], None]


@lru_cache(maxsize=1024)
def layout(type_name: str) -> Layout:
    """Raises UnknownLayout, also for what is no type at all."""
    if type_name.count("(") > _DEEPEST:
        raise UnknownLayout(f"{type_name:.200}")
    try:
        return _layout(type_name)
    except UnknownLayout:
        raise
    except (ValueError, LookupError, RecursionError) as error:
        raise UnknownLayout(f"{type_name:.200}") from error


def _layout(type_name: str) -> Layout:
    name, arguments = split_type(type_name)
    if name in _ALIASES:
        return layout(_ALIASES[name])
    width = _width(name, arguments)
    if width is not None:
        return Layout(width, 0, lambda source, rows: source.skip(rows * width))
    if name == "String":
        return Layout(None, 0, lambda source, rows: source.skip_strings(rows))
    if name == "SimpleAggregateFunction":
        return layout(arguments[1])
    builder = _BUILDERS.get(name)
    if builder is None:
        raise UnknownLayout(f"{type_name:.200}")
    return builder(arguments)


def split_type(type_name: str) -> tuple[str, list[str]]:
    """`Map(String, Array(UInt8))` -> Map, [String, Array(UInt8)]."""
    name, bracket, rest = type_name.strip().partition("(")
    if not bracket:
        return name, []
    parts, depth, quote, start, at = [], 0, "", 0, 0
    body = rest[: rest.rindex(")")]
    while at < len(body):
        char = body[at]
        if quote:
            if char == "\\":
                at += 1
            elif char == quote:
                quote = ""
        elif char in "'`\"":
            quote = char
        elif char == "," and not depth:
            parts.append(body[start:at].strip())
            start = at + 1
        else:
            depth += (char == "(") - (char == ")")
        at += 1
    return name, [*parts, body[start:].strip()] if body.strip() else []


def _width(name: str, arguments: list[str]) -> int | None:
    if name == "FixedString" and (width := int(arguments[0])) > 0:
        return width
    if name == "Decimal":
        digits = int(arguments[0])
        return next((width for limit, width in _DECIMALS if digits <= limit), None)
    if name.startswith("Interval"):
        return 8
    return _WIDTHS.get(name)


_DECIMALS = ((9, 4), (18, 8), (38, 16), (76, 32))


def _nullable(arguments: list[str]) -> Layout:
    inner = layout(arguments[0])

    def skip(source: Bytes, rows: int) -> None:
        source.skip(rows)
        inner.skip(source, rows)

    return Layout(None, inner.prefix, skip)


def _array(arguments: list[str]) -> Layout:
    inner = layout(arguments[0])

    def skip(source: Bytes, rows: int) -> None:
        if not rows:
            return
        source.skip((rows - 1) * 8)
        (total,) = struct.unpack("<Q", source.take(8))
        inner.skip(source, total)

    return Layout(None, inner.prefix, skip)


def _tuple(arguments: list[str]) -> Layout:
    if not arguments:
        return Layout(1, 0, lambda source, rows: source.skip(rows))
    inner = [layout(_NAMED.sub("", a, count=1) if _NAMED.match(a) else a) for a in arguments]

    def skip(source: Bytes, rows: int) -> None:
        for part in inner:
            part.skip(source, rows)

    return Layout(None, sum(part.prefix for part in inner), skip)


def _map(arguments: list[str]) -> Layout:
    return layout(f"Array(Tuple({', '.join(arguments)}))")


def _low_cardinality(arguments: list[str]) -> Layout:
    name, inner_arguments = split_type(arguments[0])
    keys = layout(inner_arguments[0] if name == "Nullable" else arguments[0])

    def skip(source: Bytes, rows: int) -> None:
        if not rows:
            return
        kind, count = struct.unpack("<QQ", source.take(16))
        keys.skip(source, count)
        (indexes,) = struct.unpack("<Q", source.take(8))
        source.skip(indexes << (kind & 0xFF))

    return Layout(None, 8, skip)


def _variant(arguments: list[str]) -> Layout:
    inner = [layout(a) for a in sorted(arguments)]

    def skip(source: Bytes, rows: int) -> None:
        kinds = np.frombuffer(source.take(rows), np.uint8)
        counts = np.bincount(kinds, minlength=256)
        for number, part in enumerate(inner):
            part.skip(source, int(counts[number]))

    return Layout(None, 8 + sum(part.prefix for part in inner), skip)


_BUILDERS: dict[str, Callable[[list[str]], Layout]] = {
    "Nullable": _nullable,
    "Array": _array,
    "Tuple": _tuple,
    "Map": _map,
    "Nested": _map,
    "LowCardinality": _low_cardinality,
    "Variant": _variant,
}

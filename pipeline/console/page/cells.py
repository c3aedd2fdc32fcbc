"""Answers of the store as the browser gets them: numbers as numbers, times as Unix milliseconds,
text without anything that could drive a terminal or a reader's eye."""

import math
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from pipeline.console.output import as_text, harmless
from pipeline.console.values import as_cell

_WRAPPED = re.compile(r"^(?:Nullable|LowCardinality)\((.*)\)$")
_NUMBER = re.compile(r"^(?:U?Int|B?Float|Decimal|Bool)")
_EXACT = 1 << 53  # beyond it a browser's numbers are not exact
# Colours and weights that programs print around words (ECMA-48 SGR) say nothing here.
_COLOURS = re.compile("\x1b\\[[0-9;:]*m")
MAX_TEXT = 4_000


def kind(type_: str) -> str:
    """time, number or text, of a ClickHouse type."""
    while found := _WRAPPED.match(type_):
        type_ = found[1]
    if type_.startswith("Date"):
        return "time"
    return "number" if _NUMBER.match(type_) else "text"


def cell(value: Any) -> Any:
    """For JSON. Long text is cut, and says so."""
    match value:
        case None | bool():
            return value
        case int():
            return value if -_EXACT < value < _EXACT else str(value)
        case float():
            return value if math.isfinite(value) else None
        case datetime():
            return int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000)
        case date():
            return int(datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp() * 1000)
        case str() | bytes():
            return text(value)
        case list() | tuple():
            return text(", ".join(as_cell(inner) for inner in value))
    return text(as_cell(value))


def text(value: str | bytes, limit: int = MAX_TEXT) -> str:
    """Harmless, and no longer than `limit`."""
    shown = harmless(_COLOURS.sub("", as_text(value).rstrip("\r\n")))
    return shown if len(shown) <= limit else f"{shown[:limit]}… ({len(shown) - limit:,} more)"


def rows(found: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    return [[cell(value) for value in row] for row in found]

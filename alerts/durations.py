"""Spans of time as people write them: 30s, 5m, 1h30m, 7d. Kept as milliseconds."""

import re
from typing import Annotated, Any

from pydantic import WithJsonSchema
from pydantic_core import core_schema

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


class Span(int):
    """Milliseconds, from such a text; shown as one in JSON."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            span,
            serialization=core_schema.plain_serializer_function_ser_schema(
                show_duration, when_used="json"
            ),
        )


def span(value: object) -> Span:
    """Raises ValueError that says how it is written."""
    if isinstance(value, Span):
        return value
    text = str(value).strip()
    if text == "0":
        return Span(0)
    if not re.fullmatch(f"(?:{_PART.pattern})+", text):
        raise ValueError(f"{text!r} is no duration; write it as 30s, 5m, 1h30m or 7d")
    return Span(sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)))


def show_duration(ms: int) -> str:
    """The shortest text that is read as the same."""
    for unit, size in reversed(_UNITS.items()):
        if ms and ms % size == 0:
            return f"{ms // size}{unit}"
    return "0s" if not ms else f"{ms}ms"


Duration = Annotated[Span, WithJsonSchema({"type": "string", "examples": ["30s", "5m", "1h30m"]})]

"""ClickHouse values as a person or a program reads them.

`plain` makes what JSON can hold: times as RFC 3339 (UTC with Z), Decimal, UUID and addresses as
text (nothing is rounded), NaN and infinities as null, maps as objects, bytes that are not UTF-8
as `\\xNN`. `as_cell` is the same for CSV and tables, with lists and maps as JSON text.
"""

import json
import math
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from pipeline.console.output import as_text


def plain(value: Any) -> Any:
    """For json.dumps."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case bytes():
            return as_text(value)
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Mapping():
            return {_key(key): plain(inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(inner) for inner in value]
    return str(value)  # Decimal, UUID, IPv4Address, IPv6Address


def _key(value: Any) -> str:
    found = plain(value)
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


def as_cell(value: Any) -> str:
    """One field of a table or a CSV file; NULL is empty."""
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)  # nan and inf have a name here
    found = plain(value)
    if isinstance(found, str):
        return found
    return json.dumps(found, ensure_ascii=False)

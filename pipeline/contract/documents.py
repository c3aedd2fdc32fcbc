"""JSON that somebody else wrote, read with one kind of error."""

import json
from typing import Any

from pipeline.contract.fields import VERSION, RecordError


def read_json(text: str | bytes) -> Any:
    """Raises ValueError, also for what is nested too deeply: there the library raises another."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_record(value: bytes, what: str) -> dict[str, Any]:
    """An object of the format that this reads. Raises RecordError, which names `what` it is."""
    try:
        document = read_json(value)
    except ValueError as error:
        raise RecordError(f"{what} is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("v") != VERSION:
        found = document.get("v") if isinstance(document, dict) else type(document).__name__
        raise RecordError(f"{what} format {found!r} is not known (this reads {VERSION})")
    return document

"""Bytes of the API -> JSON objects."""

from collections.abc import Iterator
from typing import Any

import orjson

from pipeline.contract.documents import read_json

MAX_LINE = 16 << 20  # an object is at most 1.5 MB in etcd; beyond this it is no watch stream


class Unreadable(ValueError):
    """Not what the API sends."""


def parse(text: bytes) -> dict[str, Any]:
    """A JSON object. The fast reader first; the patient one for what it refuses (half surrogates,
    numbers beyond 64 bits)."""
    try:
        found = orjson.loads(text)
    except ValueError:
        try:
            found = read_json(text)
        except ValueError as error:
            raise Unreadable(f"not JSON: {error}") from None
    if not isinstance(found, dict):
        raise Unreadable(f"a JSON {type(found).__name__}, not an object")
    return found


class Lines:
    """Whole lines out of bytes that are cut anywhere. State: the beginning of the next line."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._rest += data
        if b"\n" in data:
            lines = self._rest.split(b"\n")
            self._rest = lines.pop()
            yield from (bytes(line) for line in lines if line)
        if len(self._rest) > MAX_LINE:
            raise Unreadable(f"a line of more than {MAX_LINE} bytes")

"""One entry of a message, as msgpack -> when, and what as JSON. Pure.

The time is an EventTime (extension type 0: seconds and nanoseconds, 32 bits each, big-endian),
whole seconds, or seconds with a fraction. Fluent Bit may send `[[time, metadata], record]`; such
metadata is kept as field `_metadata`.

Bytes that are no UTF-8 stay as they are inside the JSON text. Binary values become text, other
extensions `{"type": n, "data": hex}`, what JSON has no number for becomes null.
"""

import json
import math
from datetime import UTC, datetime
from typing import Any

import msgpack
import orjson

from collectors.forward.framing import explained
from collectors.forward.refusal import NOT_MSGPACK, TOO_LARGE, WRONG_TYPE, Refused

_LARGE = 64 << 10  # an event of more bytes may not have more than so many maps and lists:
_CONTAINERS = 16_384  # an empty one is one byte in msgpack and 64 in memory
_DEEPEST = 200  # maps and lists inside of each other; orjson's own bound is 254
_NS = 1_000_000_000
_LAST_S = (1 << 63) // _NS  # later times are not representable in 64 bits


class EventTime:
    """Unix nanoseconds, as clients send them."""

    __slots__ = ("ns",)

    def __init__(self, ns: int) -> None:
        self.ns = ns


def read_event(entry: bytes) -> tuple[int, dict[str, Any]]:
    """Unix ns and record. Raises Refused."""
    hooks = _counting() if len(entry) > _LARGE else {}
    try:
        found = msgpack.unpackb(
            entry, ext_hook=_extension, unicode_errors="surrogateescape", **hooks
        )
    except (ValueError, msgpack.UnpackException) as error:
        raise Refused(NOT_MSGPACK, explained(error)) from error
    if not isinstance(found, list) or len(found) != 2:
        raise Refused(WRONG_TYPE, f"an event is not [time, record] but {_kind(found)}")
    time, record = found
    if not isinstance(record, dict):
        raise Refused(WRONG_TYPE, f"a record is not a map but {_kind(record)}")
    if isinstance(time, list):
        if len(time) != 2 or not isinstance(time[1], dict):
            raise Refused(WRONG_TYPE, "the time of an event is a list, and not [time, metadata]")
        if time[1]:
            record = {**record, "_metadata": time[1]}
        time = time[0]
    return nanoseconds(time), record


def nanoseconds(time: object) -> int:
    """Unix ns of what a client says. Raises Refused."""
    if isinstance(time, msgpack.Timestamp):
        time = EventTime(time.to_unix_nano()) if 0 <= time.seconds < _LAST_S else time.seconds
    if isinstance(time, EventTime):
        return time.ns
    if isinstance(time, float) and math.isfinite(time) and 0 <= time < _LAST_S:
        return round(time * 1_000_000) * 1000  # a double has no more digits
    if type(time) is int and 0 <= time < _LAST_S:
        return time * _NS
    raise Refused(WRONG_TYPE, f"{_kind(time)} is not the time of an event: {time!r:.60}")


def json_of(record: dict[str, Any]) -> bytes:
    """One line, no newline in it. Raises Refused for what is nested too deep."""
    try:
        return orjson.dumps(record, default=_plain)
    except TypeError:  # bytes that are no text, binary keys, too deep
        text = json.dumps(_clean(record, 0), ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "surrogateescape")


def rfc3339(ns: int) -> str:
    moment = datetime.fromtimestamp(ns // _NS, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{ns % _NS:09d}Z"


def _extension(code: int, data: bytes) -> object:
    if code == 0 and len(data) == 8:
        seconds, ns = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:], "big")
        if ns < _NS:
            return EventTime(seconds * _NS + ns)
    return msgpack.ExtType(code, data)


def _counting() -> dict[str, Any]:
    """Hooks that refuse an event of too many maps and lists while it is built."""
    left = _CONTAINERS

    def one(container: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise Refused(TOO_LARGE, f"an event of more than {_CONTAINERS} maps and lists")
        return container

    return {"object_hook": one, "list_hook": one}


def _plain(value: object) -> object:
    """What JSON does not know."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, EventTime):
        return rfc3339(value.ns)
    if isinstance(value, msgpack.Timestamp):
        return rfc3339(value.to_unix_nano()) if value.seconds >= 0 else value.to_unix()
    if isinstance(value, msgpack.ExtType):
        return {"type": value.code, "data": value.data.hex()}
    raise TypeError


def _clean(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        raise Refused(TOO_LARGE, f"a record of more than {_DEEPEST} maps and lists in each other")
    if isinstance(value, dict):
        return {_key(key): _clean(found, depth + 1) for key, found in value.items()}
    if isinstance(value, msgpack.ExtType) or not isinstance(value, list | tuple):
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        known = value is None or isinstance(value, str | int)
        return value if known else _plain(value)
    return [_clean(found, depth + 1) for found in value]


def _key(key: str | bytes) -> str:
    return key.decode("utf-8", "surrogateescape") if isinstance(key, bytes) else key


def _kind(value: object) -> str:
    names = {dict: "a map", list: "a list", str: "text", bytes: "binary", type(None): "nil"}
    return names.get(type(value), type(value).__name__)

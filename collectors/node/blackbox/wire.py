"""Just enough of the protobuf encoding to ask a runtime and read its answer.

The messages in question are small and few, and the protobuf library would add 10 MB and 75 ms to
a process that lives for seconds. Source: protobuf.dev/programming-guides/encoding.
"""

from collections.abc import Iterator

_VARINT, _I64, _BYTES, _I32 = 0, 1, 2, 5
Fields = dict[int, list["int | bytes"]]


class Malformed(ValueError):
    """Not a protobuf message."""


def string(number: int, value: str) -> bytes:
    """A field of type string."""
    data = value.encode()
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def fields(data: bytes) -> Fields:
    """Field number to its values, in order: ints of varint fields, bytes of strings, bytes and
    messages; fixed-width fields are skipped. Raises Malformed."""
    found: Fields = {}
    for number, value in _walk(data):
        found.setdefault(number, []).append(value)
    return found


def text(found: Fields, number: int) -> str:
    """The last value of a string field; empty if absent, which is the same in proto3."""
    value = found.get(number, [b""])[-1]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def integer(found: Fields, number: int) -> int:
    """The last value of a varint field, as int64; 0 if absent."""
    value = found.get(number, [0])[-1]
    if not isinstance(value, int):
        return 0
    return value - (1 << 64) if value >> 63 else value


def messages(found: Fields, number: int) -> list[Fields]:
    """All values of a message field. Raises Malformed."""
    return [fields(value) for value in found.get(number, []) if isinstance(value, bytes)]


def message(found: Fields, number: int) -> Fields:
    """The last value of a message field, empty if absent. Raises Malformed."""
    return (messages(found, number) or [{}])[-1]


def _walk(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        tag, at = _read(data, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _read(data, at)
            yield tag >> 3, value
        elif kind == _BYTES:
            length, at = _read(data, at)
            if at + length > len(data):
                raise Malformed(f"a field of {length} bytes at {at}, and {len(data)} in all")
            yield tag >> 3, data[at : at + length]
            at += length
        elif kind in (_I64, _I32):
            at += 8 if kind == _I64 else 4
        else:
            raise Malformed(f"wire type {kind} at {at}")


def _read(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise Malformed(f"a number that does not end, at {at}")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)

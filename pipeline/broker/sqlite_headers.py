"""Headers of a record as one blob: per header two lengths (2 and 4 bytes), name, content."""

import struct

from pipeline.contract.record import Headers

_LENGTHS = struct.Struct(">HI")


def pack_headers(headers: Headers) -> bytes:
    parts: list[bytes] = []
    for name, content in headers:
        encoded = name.encode()
        parts += (_LENGTHS.pack(len(encoded), len(content)), encoded, content)
    return b"".join(parts)


def unpack_headers(blob: bytes) -> Headers:
    headers = []
    at = 0
    while at < len(blob):
        name_length, length = _LENGTHS.unpack_from(blob, at)
        middle = at + _LENGTHS.size + name_length
        name = blob[at + _LENGTHS.size : middle].decode()
        at = middle + length
        headers.append((name, blob[middle:at]))
    return tuple(headers)

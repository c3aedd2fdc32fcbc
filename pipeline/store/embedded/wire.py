"""Bytes of the native TCP protocol: numbers, texts, compressed frames."""

import struct
from collections.abc import Callable, Iterable

import lz4.block
import zstandard
from clickhouse_cityhash.cityhash import CityHash128

FRAME_BYTES = 1 << 20  # raw bytes of one compressed frame that is sent
_LARGEST_FRAME = 256 << 20  # clients send 1 MiB, or a block of some 10 MiB
_LARGEST_BLOCK = 1 << 30
_LARGEST_NUMBER = 63  # bits before the last 7
# A byte cannot become more: with LZ4 a length goes on by 255 for each byte, with ZSTD a block of
# 4 bytes is 128 KiB of the same one.
_MOST_OF_A_BYTE = {0x82: 255, 0x90: 1 << 15}
_METHODS = {"LZ4": 0x82, "LZ4HC": 0x82, "ZSTD": 0x90, "NONE": 0x02}


class Closed(ConnectionError):
    """The other side is gone."""


class Malformed(ValueError):
    """Bytes that the protocol does not allow; the connection cannot go on."""


class Source:
    """Bytes that arrive while they are read. `refill` gives more, or raises Closed.

    What was read is dropped at the next refill unless it lies behind a mark."""

    def __init__(self, refill: Callable[[], bytes]) -> None:
        self._refill = refill
        self._data: bytearray | bytes = bytearray()
        self._mark: int | None = None
        self.at = 0

    @classmethod
    def over(cls, data: bytes) -> "Source":
        """Over bytes that are all there."""

        def nothing() -> bytes:
            raise Malformed("the block is shorter than its header says")

        source = cls(nothing)
        source._data = data
        return source

    def fill(self) -> None:
        """Wait for more bytes."""
        self._more()

    def _more(self) -> None:
        fresh = self._refill()
        data = self._data
        if isinstance(data, bytes):
            raise Malformed("the block is shorter than its header says")
        keep = self.at if self._mark is None else self._mark
        if len(data) - keep > _LARGEST_BLOCK:
            raise Malformed(f"a block of more than {_LARGEST_BLOCK} bytes")
        if keep:
            keep = min(keep, len(data))
            del data[:keep]
            self.at -= keep
            if self._mark is not None:
                self._mark = 0
        data += fresh

    def waiting(self) -> bool:
        """Are there bytes that have arrived and were not read?"""
        return self.at < len(self._data)

    def peek(self) -> int:
        """The next byte, which must have arrived."""
        return self._data[self.at]

    def mark(self) -> None:
        self._mark = self.at

    def marked(self) -> int:
        """Bytes read since the mark."""
        return self.at - (self._mark or 0)

    def since_mark(self) -> bytes:
        data = bytes(memoryview(self._data)[self._mark : self.at])
        self._mark = None
        return data

    def skip(self, count: int) -> None:
        self.at += count
        while self.at > len(self._data):
            self._more()

    def take(self, count: int) -> bytes:
        while len(self._data) - self.at < count:
            self._more()
        self.at += count
        return bytes(memoryview(self._data)[self.at - count : self.at])

    def varint(self) -> int:
        number = shift = 0
        while True:
            if self.at >= len(self._data):
                self._more()
            byte = self._data[self.at]
            self.at += 1
            number |= (byte & 127) << shift
            if byte < 128:
                return number
            shift += 7
            if shift > _LARGEST_NUMBER:
                raise Malformed("a number is longer than 64 bits")

    def text(self, most: int = _LARGEST_FRAME) -> str:
        length = self.varint()
        if length > most:
            raise Malformed(f"a text of {length} bytes is announced")
        return self.take(length).decode("utf-8", "surrogateescape")

    def unpack(self, form: str) -> int:
        shape = struct.Struct(form)
        return int(shape.unpack(self.take(shape.size))[0])

    def skip_strings(self, rows: int) -> None:
        """Over `rows` strings: the one loop that runs per row."""
        data, at = self._data, self.at
        while rows:
            start = at
            try:
                while rows:
                    start = at
                    length = data[at]
                    at += 1
                    if length > 127:
                        length, at = _long(data, at, length & 127)
                    at += length
                    rows -= 1
            except IndexError:
                self.at = start
                self._more()
                at = self.at
        self.at = at
        self.skip(0)


def _long(data: bytearray | bytes, at: int, number: int) -> tuple[int, int]:
    shift = 7
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7
        if shift > _LARGEST_NUMBER:
            raise Malformed("a number is longer than 64 bits")


def read_frame(source: Source) -> bytes:
    """One compressed frame, checked and unpacked."""
    high, low = source.unpack("<Q"), source.unpack("<Q")
    head = source.take(9)
    method, size, raw_size = struct.unpack("<BII", head)
    if not 9 <= size <= _LARGEST_FRAME or raw_size > _LARGEST_FRAME:
        raise Malformed(f"a compressed frame of {size} bytes is announced, {raw_size} unpacked")
    packed = source.take(size - 9)
    if CityHash128(head + packed) != (high << 64) + low:
        raise Malformed("the checksum of a compressed frame does not match")
    if method == 0x02:
        return packed
    if method not in _MOST_OF_A_BYTE:
        raise Malformed(f"compression method {method:#x} is not known")
    if raw_size > len(packed) * _MOST_OF_A_BYTE[method]:
        raise Malformed(f"{len(packed)} compressed bytes cannot become {raw_size}")
    try:
        if method == 0x82:
            return bytes(lz4.block.decompress(packed, uncompressed_size=raw_size))
        # A frame that says how large it is makes the library ignore the bound.
        if zstandard.frame_content_size(packed) > raw_size:
            raise Malformed(f"a compressed frame is larger than the {raw_size} bytes announced")
        return bytes(
            zstandard.ZstdDecompressor().decompress(packed, max_output_size=max(raw_size, 1))
        )
    except (lz4.block.LZ4BlockError, zstandard.ZstdError) as error:
        raise Malformed(f"a compressed frame is damaged: {error}") from error


def frames(pieces: Iterable[bytes | memoryview], method: str) -> Iterable[bytes]:
    """Compressed frames over the joined pieces."""
    data = memoryview(b"".join(pieces))
    for start in range(0, len(data), FRAME_BYTES):
        yield _frame(data[start : start + FRAME_BYTES], method)


def _frame(raw: memoryview, method: str) -> bytes:
    if method in ("LZ4", "LZ4HC"):
        packed = lz4.block.compress(raw, store_size=False)
    elif method == "ZSTD":
        packed = zstandard.ZstdCompressor(level=1).compress(raw)
    else:
        packed = bytes(raw)
    body: bytes = (
        struct.pack("<BII", _METHODS.get(method, 0x02), len(packed) + 9, len(raw)) + packed
    )
    checksum = int(CityHash128(body))
    return struct.pack("<QQ", checksum >> 64, checksum & (1 << 64) - 1) + body

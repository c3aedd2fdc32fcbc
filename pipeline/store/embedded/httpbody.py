"""Bodies of HTTP requests and answers: chunks, encodings, ClickHouse's own compression."""

import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

import lz4.frame
import zstandard

from pipeline.store.embedded.wire import Closed, Malformed, Source, frames, read_frame

PIECE = 1 << 18
# Of a zstd frame at once: 4 bytes of it may be 128 KiB, and there is no bound to ask for.
_SIP = 1 << 8
ENCODINGS = ("zstd", "lz4", "gzip", "deflate")


class Encoder(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def raw_body(stream: BinaryIO, length: str | None, transfer: str) -> Iterator[bytes]:
    """The body as it came, without its chunked framing."""
    if "chunked" in transfer.lower():
        yield from _chunks(stream)
        return
    try:
        left = int(length or 0)
    except ValueError:
        left = -1
    if left < 0:
        raise Malformed(f"Content-Length {length!r:.40} is no length")
    while left:
        piece = stream.read(min(left, PIECE))
        if not piece:
            raise Closed
        left -= len(piece)
        yield piece


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while True:
        line = stream.readline(1024)
        if not line:
            raise Closed
        try:
            size = int(line.split(b";")[0], 16)
            if size < 0:
                raise ValueError
        except ValueError:
            raise Malformed(f"a chunk begins with {line[:20]!r}") from None
        if not size:
            while stream.readline(8192).strip():
                pass  # trailers
            return
        yield from raw_body(stream, str(size), "")
        stream.readline(8)


def decoded(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Without its Content-Encoding, a little at a time: few bytes may stand for gigabytes."""
    if encoding in ("", "identity"):
        yield from pieces
        return
    step = _decoder(encoding)
    try:
        for piece in pieces:
            for plain in step(piece):
                if plain:
                    yield plain
    except (zlib.error, zstandard.ZstdError, RuntimeError, EOFError) as error:
        raise Malformed(f"the body is not {encoding}: {error}") from error


def _decoder(encoding: str) -> Callable[[bytes], Iterator[bytes]]:
    if encoding == "gzip":
        return _inflated(zlib.MAX_WBITS | 16)
    if encoding == "deflate":
        return _inflated(zlib.MAX_WBITS)
    if encoding == "zstd":
        return _of_zstd()
    if encoding == "lz4":
        return _of_lz4()
    known = "gzip, deflate, zstd and lz4"
    raise Malformed(f"Content-Encoding {encoding} is not known; {known} are")


def _inflated(wbits: int) -> Callable[[bytes], Iterator[bytes]]:
    member = zlib.decompressobj(wbits=wbits)

    def step(piece: bytes) -> Iterator[bytes]:
        while piece:
            yield member.decompress(piece, PIECE)
            piece = member.unconsumed_tail

    return step


def _of_zstd() -> Callable[[bytes], Iterator[bytes]]:
    frame = zstandard.ZstdDecompressor().decompressobj()

    def step(piece: bytes) -> Iterator[bytes]:
        for at in range(0, len(piece), _SIP):
            yield frame.decompress(piece[at : at + _SIP])

    return step


def _of_lz4() -> Callable[[bytes], Iterator[bytes]]:
    frame = lz4.frame.LZ4FrameDecompressor()

    def step(piece: bytes) -> Iterator[bytes]:
        yield frame.decompress(piece, PIECE)
        while not (frame.eof or frame.needs_input):
            yield frame.decompress(b"", PIECE)

    return step


def unframed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Without ClickHouse's own frames (`decompress=1`)."""

    def refill() -> bytes:
        try:
            return next(pieces)
        except StopIteration:
            raise Closed from None

    source = Source(refill)
    while True:
        if not source.waiting():
            try:
                source.fill()
            except Closed:
                return
        yield read_frame(source)


def chosen_encoding(accepted: str) -> str:
    """The first of ours that the client takes."""
    wanted = {part.split(";")[0].strip().lower() for part in accepted.split(",")}
    return next((name for name in ENCODINGS if name in wanted), "")


def encoder(encoding: str) -> Encoder:
    if encoding == "zstd":
        return zstandard.ZstdCompressor(level=1).compressobj()
    if encoding == "lz4":
        return _Lz4()
    wbits = zlib.MAX_WBITS | 16 if encoding == "gzip" else zlib.MAX_WBITS
    return zlib.compressobj(level=1, wbits=wbits)


class _Lz4:
    def __init__(self) -> None:
        self._compressor = lz4.frame.LZ4FrameCompressor()
        self._begun = False

    def compress(self, data: bytes, /) -> bytes:
        head = b"" if self._begun else bytes(self._compressor.begin())
        self._begun = True
        return head + bytes(self._compressor.compress(data))

    def flush(self) -> bytes:
        head = b"" if self._begun else bytes(self._compressor.begin())
        return head + bytes(self._compressor.flush())


class Framed:
    """ClickHouse's own frames (`compress=1`)."""

    def compress(self, data: bytes, /) -> bytes:
        return b"".join(frames([data], "LZ4"))

    def flush(self) -> bytes:
        return b""


class Plain:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""

"""gzip and zstd in pieces, bounded before memory is taken. Several members or frames one after
the other are one content: Fluentd makes a chunk by appending them."""

import zlib
from collections.abc import Iterator

from collectors.forward.refusal import BAD_FRAME, WRONG_TYPE, Refused

_PIECE = 256 << 10
_WINDOW = 8 << 20  # of a zstd frame; more is memory that nobody needs for logs
_GULP = 64 << 10  # bytes of gzip at a time
_SIP = 128  # bytes of zstd at a time: a block of 3 of them can give 128 KiB


def pieces(data: bytes, codec: str) -> Iterator[bytes]:
    """`codec`: gzip, zstd, or text for none."""
    if codec == "text":
        return (data[at : at + _PIECE] for at in range(0, len(data), _PIECE))
    if codec == "gzip":
        return _gzip(data)
    if codec == "zstd":
        return _zstd(data)
    raise Refused(WRONG_TYPE, f"compressed={codec!r:.40} is not gzip, zstd or text")


def _gzip(data: bytes) -> Iterator[bytes]:
    at = 0
    try:
        while at < len(data):
            member = zlib.decompressobj(wbits=31)
            while not member.eof:
                if at >= len(data):
                    raise Refused(BAD_FRAME, "gzip ends in the middle")
                sip = data[at : at + _GULP]
                at += len(sip)
                while sip and not member.eof:
                    if piece := member.decompress(sip, _PIECE):
                        yield piece
                    sip = member.unconsumed_tail
            at -= len(member.unused_data)
    except zlib.error as error:
        raise Refused(BAD_FRAME, f"gzip cannot be read: {error}") from error


def _zstd(data: bytes) -> Iterator[bytes]:
    import zstandard

    context = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
    at = 0
    try:
        while at < len(data):
            frame = context.decompressobj()
            while not frame.eof:
                if at >= len(data):
                    raise Refused(BAD_FRAME, "zstd ends in the middle")
                sip = data[at : at + _SIP]
                if piece := frame.decompress(sip):
                    yield piece
                at += len(sip) - len(frame.unused_data)
    except zstandard.ZstdError as error:
        raise Refused(BAD_FRAME, f"zstd cannot be read: {error}") from error

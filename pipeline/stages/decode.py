"""A record's headers and value -> an event and raw bytes, or the reason why not.

Nothing a producer can send raises here, and nothing it says is believed: the decompressed size
is bounded before memory is taken, length and checksum are compared.
"""

from dataclasses import dataclass

import crc32c
import zstandard

from pipeline.contract.record import VERSION, Chunk, Headers, LogRecord, RecordError, decode_headers

BAD_RECORD = "bad-record"
UNKNOWN_VERSION = "unknown-version"
TOO_LARGE = "too-large"
BAD_FRAME = "bad-frame"
BAD_LENGTH = "bad-length"
BAD_CHECKSUM = "bad-checksum"

MAX_RAW_BYTES = 32 * 1024 * 1024
MAX_LINES = 1_000_000  # a chunk of nothing but newlines must not become a block without bound


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Why a record becomes a dead letter."""

    reason: str
    detail: str


def decode_event(headers: Headers) -> LogRecord | Undecodable:
    """The event of a record on kubeledger.logs."""
    try:
        return decode_headers(headers)
    except RecordError as error:
        version = dict(headers).get("v")
        known = version is None or version == b"%d" % VERSION
        return Undecodable(BAD_RECORD if known else UNKNOWN_VERSION, str(error))
    except UnicodeError as error:
        return Undecodable(BAD_RECORD, f"a header is not text: {error}")


class Unpacker:
    """Decompresses chunks. Holds one zstd context, so one per thread."""

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdDecompressor()

    def unpack(self, chunk: Chunk, value: bytes | None) -> bytes | Undecodable:
        """The raw bytes of a chunk, checked."""
        if chunk.raw_length > MAX_RAW_BYTES:
            return Undecodable(TOO_LARGE, f"{chunk.raw_length} raw bytes, limit {MAX_RAW_BYTES}")
        raw = value or b"" if chunk.codec == "none" else self._inflate(chunk, value or b"")
        if isinstance(raw, Undecodable):
            return raw
        if len(raw) != chunk.raw_length:
            return Undecodable(BAD_LENGTH, f"{len(raw)} raw bytes, header says {chunk.raw_length}")
        if chunk.lines or len(raw) > MAX_LINES:  # 0: the sender did not count them
            lines = raw.count(b"\n")
            if chunk.lines and lines != chunk.lines:
                return Undecodable(BAD_LENGTH, f"{lines} lines, header says {chunk.lines}")
            if lines > MAX_LINES:
                return Undecodable(TOO_LARGE, f"{lines} lines in one chunk, limit {MAX_LINES}")
        found = crc32c.crc32c(raw)
        if found != chunk.crc32c:
            return Undecodable(BAD_CHECKSUM, f"crc32c {found}, header says {chunk.crc32c}")
        return raw

    def _inflate(self, chunk: Chunk, value: bytes) -> bytes | Undecodable:
        """A frame that announces its size makes the library ignore the bound, so the
        announcement is checked first."""
        try:
            announced = zstandard.frame_content_size(value)
            if announced > chunk.raw_length:
                return Undecodable(
                    BAD_LENGTH, f"frame of {announced} bytes, header says {chunk.raw_length}"
                )
            return self._zstd.decompress(
                value, max_output_size=max(chunk.raw_length, 1), allow_extra_data=False
            )
        except zstandard.ZstdError as error:
            return Undecodable(BAD_FRAME, f"zstd: {error}")

"""A whole message -> lines of logs. Pure, total: a message gives a Batch or raises Refused.

  Message            [tag, time, record, option?]
  Forward            [tag, [[time, record], …], option?]
  PackedForward      [tag, msgpack of [time, record] one after the other, option?]
  Compressed…        the same, gzip or zstd (option `compressed`)

Lines have the form of the CRI's logs, so that every reader knows them: time, stream, and the
record as JSON; one of more than 64 KiB is several parts, tagged P. Nothing is kept of a message
that is refused: it is a client's to send again, or its loss is named.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgpack

from collectors.forward.event import json_of, read_event
from collectors.forward.framing import explained, span
from collectors.forward.inflate import pieces
from collectors.forward.origin import Origin, checked_tag, of_record, of_tag
from collectors.forward.refusal import NOT_LOGS, NOT_MSGPACK, TOO_LARGE, WRONG_TYPE, Refused

if TYPE_CHECKING:
    from collectors.forward.config import ForwardConfig

_PART = 64 << 10  # of a record in one line
_OPTION_BYTES = 64 << 10
_CHUNK_CHARS = 256
_LOGS = 0  # fluent_signal; 1 metrics, 2 traces (Fluent Bit)
_NS = 1_000_000_000


@dataclass(slots=True)
class Batch:
    """`chunk`: id to acknowledge, empty if the client does not ask. `digest`: of all that the
    client sent, so that a chunk that comes again is known."""

    tag: str
    chunk: str
    digest: bytes
    announced: int | None  # events, by the client
    events: int = 0
    lines: dict[Origin, bytearray] = field(default_factory=dict)


def decode(message: bytes, config: "ForwardConfig", node: str) -> Batch:
    """Raises Refused, with the tag if there is one."""
    found = span(message, 1)
    if found is None or found[1] > len(message):
        raise Refused(WRONG_TYPE, "a message does not begin with a tag", size=len(message))
    tag = checked_tag(message[found[0] : found[1]])
    asked = None
    try:
        entries, packed, option = _parts(message, found[1])
        batch = _described(tag, message, option)
        asked = bool(batch.chunk)
        codec = option.get("compressed", "text") if packed else "text"
        content = _bounded(pieces(entries, str(codec)), config.expanded_bytes)
        _collect(batch, _slices(content, config.event_bytes), config, node)
    except Refused as refusal:
        refusal.tag, refusal.size, refusal.asked = tag, len(message), asked
        raise
    return batch


def _parts(message: bytes, at: int) -> tuple[bytes, bool, dict[str, Any]]:
    """The events one after the other; are they packed, so that they may be compressed; the
    option."""
    packed = span(message, at)
    if packed is not None:
        return message[packed[0] : packed[1]], True, _option(message[packed[1] :])
    first = message[at]
    if 0x90 <= first <= 0x9F or first in (0xDC, 0xDD):
        inside = at + {0xDC: 3, 0xDD: 5}.get(first, 1)
        stop = _stop(message, at)
        return message[inside:stop], False, _option(message[stop:])
    record = _stop(message, at)
    stop = _stop(message, record)
    return b"\x92" + message[at:stop], False, _option(message[stop:])


def _stop(message: bytes, at: int) -> int:
    """Behind the value at `at`."""
    unpacker = msgpack.Unpacker(max_buffer_size=len(message) + 1)
    unpacker.feed(memoryview(message)[at:])
    try:
        unpacker.skip()
    except (ValueError, msgpack.UnpackException) as error:
        raise Refused(WRONG_TYPE, "a message has no record") from error
    return at + int(unpacker.tell())


def _option(data: bytes) -> dict[str, Any]:
    if not data:
        return {}
    if len(data) > _OPTION_BYTES:
        raise Refused(TOO_LARGE, f"an option of {len(data)} bytes")
    try:
        option = msgpack.unpackb(data)
    except (ValueError, msgpack.UnpackException) as error:
        raise Refused(NOT_MSGPACK, f"option: {explained(error)}") from error
    if option is None:
        return {}
    if not isinstance(option, dict):
        raise Refused(WRONG_TYPE, "the option is not a map")
    return option


def _described(tag: str, message: bytes, option: dict[str, Any]) -> Batch:
    chunk, size = option.get("chunk", ""), option.get("size")
    if not isinstance(chunk, str) or len(chunk) > _CHUNK_CHARS:
        raise Refused(WRONG_TYPE, f"chunk {chunk!r:.60} is not text of a usual length")
    if option.get("fluent_signal", _LOGS) != _LOGS:
        raise Refused(
            NOT_LOGS, "metrics and traces are not taken; let the client's output match logs only"
        )
    digest = blake2b(message, digest_size=16).digest() if chunk else b""
    return Batch(tag, chunk, digest, size if type(size) is int else None)


def _bounded(parts: Iterable[bytes], limit: int) -> Iterator[bytes]:
    total = 0
    for part in parts:
        total += len(part)
        if total > limit:
            raise Refused(TOO_LARGE, f"a message expands to more than {limit} bytes")
        yield part


def _slices(parts: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """The values in a stream of msgpack, as they are."""
    rest = bytearray()
    goal = 0
    for part in parts:
        rest += part
        if len(rest) >= goal:
            yield from _taken(rest, limit)
            goal = 2 * len(rest)  # a long one is not looked at again for each piece
    yield from _taken(rest, limit)
    if rest:
        raise Refused(NOT_MSGPACK, "the events end in the middle of one")


def _taken(data: bytearray, limit: int) -> Iterator[bytes]:
    """Whole values at the beginning; they leave the buffer."""
    unpacker = msgpack.Unpacker(max_buffer_size=len(data) + 1)
    unpacker.feed(data)
    at = 0
    while True:
        try:
            unpacker.skip()
        except msgpack.OutOfData:
            break
        except (ValueError, msgpack.UnpackException) as error:
            raise Refused(NOT_MSGPACK, explained(error)) from error
        stop = int(unpacker.tell())
        if stop - at > limit:
            raise Refused(TOO_LARGE, f"an event of {stop - at} bytes; at most {limit}")
        yield bytes(memoryview(data)[at:stop])
        at = stop
    del data[:at]
    if len(data) > limit:
        raise Refused(TOO_LARGE, f"an event of more than {limit} bytes")


def _collect(batch: Batch, entries: Iterable[bytes], config: "ForwardConfig", node: str) -> None:
    default = of_tag(batch.tag, node)
    second, stamp, total = -1, b"", 0
    for entry in entries:
        ns, record = read_event(entry)
        if ns // _NS != second:
            second = ns // _NS
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
        stream = b"stderr" if record.get("stream") == "stderr" else b"stdout"
        lines = _lines(b"%s.%09dZ %s " % (stamp, ns % _NS, stream), json_of(record))
        total += len(lines)
        if total > config.expanded_bytes:
            raise Refused(TOO_LARGE, f"a message makes more than {config.expanded_bytes} bytes")
        batch.lines.setdefault(of_record(record, default), bytearray()).extend(lines)
        batch.events += 1


def _lines(head: bytes, body: bytes) -> bytes:
    if len(body) <= _PART:
        return b"%sF %s\n" % (head, body)
    parts = [body[at : at + _PART] for at in range(0, len(body), _PART)]
    return b"".join(b"%sP %s\n" % (head, part) for part in parts[:-1]) + b"%sF %s\n" % (
        head,
        parts[-1],
    )

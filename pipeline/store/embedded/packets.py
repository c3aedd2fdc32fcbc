"""Packets of the native TCP protocol, as the server reads and writes them.

Revision 54460 is announced. It has query parameters (54459) and the serialization byte of each
column (54454), and ends before what an embedded store has no use for.
"""

import struct
from dataclasses import dataclass

from pipeline.store.embedded.blocks import Columns, empty_block
from pipeline.store.embedded.failure import EngineError
from pipeline.store.embedded.sql import tokens
from pipeline.store.embedded.wire import Malformed, Source
from pipeline.store.format import string, varint

REVISION = 54460
_NAME_BYTES = 64 << 10  # of a text in the greeting: from somebody who is not known yet
OLDEST_CLIENT = 54429  # settings as strings

# From the client.
HELLO, QUERY, DATA, CANCEL, PING, TABLES_STATUS = range(6)
# To the client.
S_HELLO, S_DATA, S_EXCEPTION, S_PROGRESS, S_PONG, S_END, S_PROFILE = range(7)
S_PROFILE_EVENTS = 14
_EVENTS = Columns(
    ("host_name", "current_time", "thread_id", "type", "name", "value"),
    ("String", "DateTime", "UInt64", "Int8", "String", "UInt64"),
)


@dataclass(frozen=True, slots=True)
class Login:
    client: str
    revision: int
    database: str
    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Query:
    query_id: str
    text: str
    compressed: bool
    settings: dict[str, str]
    important: frozenset[str]
    params: dict[str, str]


@dataclass(slots=True)
class Counts:
    """What a Progress or ProfileInfo packet tells, in total so far."""

    rows: int = 0
    bytes: int = 0
    total_rows: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    elapsed_ns: int = 0


def read_hello(source: Source) -> Login:
    if source.varint() != HELLO:
        raise Malformed("the client does not speak the ClickHouse native protocol")
    client = source.text(_NAME_BYTES)
    source.varint()
    source.varint()
    revision = source.varint()
    database, user, password = (source.text(_NAME_BYTES) for _ in range(3))
    return Login(client, revision, database, user, password)


def hello(revision: int, version: str, timezone: str) -> bytes:
    major, minor, patch = (*map(int, version.split(".")[:3]), 0, 0, 0)[:3]
    parts = [
        varint(S_HELLO),
        string("ClickHouse"),
        varint(major),
        varint(minor),
        varint(REVISION),
        string(timezone),
        string("kubeledger embedded store"),
        varint(patch),
    ]
    return b"".join(parts)


def read_query(source: Source, revision: int) -> Query:
    query_id = source.text()
    _skip_client_info(source, revision)
    settings, important = _settings(source)
    if revision >= 54441:
        source.text()  # interserver secret
    source.varint()  # stage: always complete
    compressed = bool(source.varint())
    text = source.text()
    params: dict[str, str] = {}
    if revision >= 54459:
        quoted, _ = _settings(source)
        params = {name: _unquoted(value) for name, value in quoted.items()}
    return Query(query_id, text, compressed, settings, important, params)


def _skip_client_info(source: Source, revision: int) -> None:
    if source.unpack("<B") == 0:
        return
    for _ in range(3):
        source.text()  # initial user, query id, address
    if revision >= 54449:
        source.skip(8)
    if source.unpack("<B") != 1:
        raise Malformed("a query that did not come over TCP is forwarded")
    for _ in range(3):
        source.text()  # user of the system, host, client
    for _ in range(3):
        source.varint()  # version and revision
    source.text()  # quota key
    if revision >= 54448:
        source.varint()  # depth
    source.varint()  # patch
    if revision >= 54442 and source.unpack("<B"):
        source.skip(24)  # trace and span
        source.text()
        source.skip(1)
    if revision >= 54453:
        for _ in range(3):
            source.varint()  # parallel replicas


def _settings(source: Source) -> tuple[dict[str, str], frozenset[str]]:
    values: dict[str, str] = {}
    important = set()
    while name := source.text():
        if source.varint() & 1:
            important.add(name)
        values[name] = source.text()
    return values, frozenset(important)


_ESCAPES = {"b": "\b", "f": "\f", "r": "\r", "n": "\n", "t": "\t", "0": "\0", "a": "\a", "v": "\v"}


def _unquoted(dump: str) -> str:
    """A parameter arrives as a quoted literal; inside is the text form that the engine reads."""
    found = next(tokens(dump), None)
    if found is None or found.kind != "string":
        return dump
    out, chars = [], iter(found.text[1:-1])
    for char in chars:
        if char == "\\":
            escaped = next(chars, "")
            out.append(_ESCAPES.get(escaped, escaped))
        else:
            out.append(char)
    return "".join(out)


def exception(error: EngineError) -> bytes:
    return b"".join(
        (
            varint(S_EXCEPTION),
            struct.pack("<i", error.code),
            string("DB::Exception"),
            string(error.displayed),
            string(""),
            b"\0",
        )
    )


def progress(counts: Counts, before: Counts, revision: int) -> bytes:
    """Progress is sent as what came on top since the last packet."""
    numbers = [
        counts.rows - before.rows,
        counts.bytes - before.bytes,
        max(counts.total_rows - before.total_rows, 0),
        counts.written_rows - before.written_rows,
        counts.written_bytes - before.written_bytes,
    ]
    if revision >= 54460:
        numbers.append(counts.elapsed_ns - before.elapsed_ns)
    return varint(S_PROGRESS) + b"".join(varint(max(number, 0)) for number in numbers)


def profile(rows: int, blocks: int, size: int) -> bytes:
    return b"".join(
        (varint(S_PROFILE), varint(rows), varint(blocks), varint(size), b"\0", varint(0), b"\0")
    )


def profile_events(revision: int) -> bytes:
    """No events; never compressed."""
    if revision < 54456:
        return b""
    return varint(S_PROFILE_EVENTS) + string("") + empty_block(_EVENTS, revision)

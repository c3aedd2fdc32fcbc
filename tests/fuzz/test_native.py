"""The native protocol and HTTP bodies of the embedded store, and ClickHouse's answers to us."""

import gzip
import io
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import lz4.frame
import pytest
import zstandard
from clickhouse_cityhash.cityhash import CityHash128
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import KubeledgerError
from pipeline.store.clickhouse import open_store
from pipeline.store.config import StoreConfig
from pipeline.store.embedded import packets
from pipeline.store.embedded.blocks import Columns, empty_block, from_packet, to_packet
from pipeline.store.embedded.columns import UnknownLayout, layout
from pipeline.store.embedded.httpbody import decoded, raw_body, unframed
from pipeline.store.embedded.sql import parse
from pipeline.store.embedded.wire import Closed, Malformed, Source, frames, read_frame
from pipeline.store.format import string, varint
from tests.fuzz.hostile import MIB, bent, examples, only, within

REVISION = packets.REVISION
HELLO = b"".join((varint(0), string("c"), varint(1), varint(2), varint(REVISION),
                  string("db"), string("u"), string("p")))  # fmt: skip
QUERY = b"".join(
    (string("id"), b"\1", string("u"), string("i"), string("a"), bytes(8), b"\1", string("o"),
     string("h"), string("c"), varint(1), varint(2), varint(REVISION), string("q"), varint(0),
     varint(3), b"\0", bytes(3), string("max_threads"), varint(1), string("1"), string(""),
     string("s"), varint(2), varint(0), string("SELECT {x:String}"), string("x"), varint(0),
     string("'a\\n'"), string(""))
)  # fmt: skip
TYPES = ("String", "UInt64", "LowCardinality(Nullable(String))", "Array(Map(String, UInt8))",
         "Tuple(a UInt8, b Array(String))", "FixedString(3)", "Decimal(10, 2)", "Enum8('a' = 1)",
         "Variant(String, UInt8)", "DateTime64(3, 'UTC')", "SimpleAggregateFunction(sum, UInt8)",
         "Polygon", "Nested(a UInt8)")  # fmt: skip
HEADER = empty_block(Columns(tuple(TYPES), TYPES), REVISION)
ROWS = b"".join(
    (varint(1), b"\0", varint(2), struct.pack("<i", -1), varint(0), varint(2), varint(3),
     string("s"), string("String"), b"\0", string("a"), string(""), string("c" * 300),
     string("l"), string("LowCardinality(String)"), b"\0", struct.pack("<QQQ", 1, 0x600, 2),
     string(""), string("x"), struct.pack("<Q", 3), b"\0\1\1")
)  # fmt: skip


def over(data: bytes, piece: int = 7) -> Source:
    """As a socket gives it: piece by piece, and then the end."""
    stream = io.BytesIO(data)

    def refill() -> bytes:
        if not (found := stream.read(piece)):
            raise Closed
        return found

    return Source(refill)


READERS = {
    "hello": (packets.read_hello, [HELLO]),
    "query": (lambda source: packets.read_query(source, REVISION), [QUERY]),
    "block": (lambda source: from_packet(source, REVISION), [ROWS, HEADER]),
    "frame": (read_frame, [b"".join(frames([ROWS * 9], m)) for m in ("LZ4", "ZSTD", "NONE")]),
}


@pytest.mark.parametrize("name", READERS)
def test_what_clients_send(name: str) -> None:
    read, samples = READERS[name]
    for sample in samples:
        assert read(over(sample))

    @examples(80)
    @given(bent(samples) | st.binary(max_size=80))
    def run(data: bytes) -> None:
        for piece in (3, 1 << 18):
            only((Malformed, UnknownLayout, Closed), lambda piece=piece: read(over(data, piece)))

    run()


@examples(100)
@given(bent([t.encode() for t in TYPES]).map(lambda t: t.decode("utf-8", "replace")), st.binary())
def test_types(name: str, data: bytes) -> None:
    def walk() -> None:
        source = over(data * 9)
        source.mark()
        layout(name).skip(source, 3)
        assert source.marked() >= 0, "a type led backwards"

    only((Malformed, UnknownLayout, Closed), walk)


@pytest.mark.parametrize(
    "name",
    ["Array(" * 5000, "Array(" * 5000 + ")" * 5000, "FixedString(-5)", "FixedString(0)",
     "FixedString(x)", "FixedString()", "Decimal(99)", "Decimal", "Array", "Array()", "Nullable",
     "Map(", "LowCardinality()", "SimpleAggregateFunction(sum)", "Tuple(,)", "(", ")", "", "`"],
)  # fmt: skip
def test_what_is_no_type(name: str) -> None:
    only(UnknownLayout, lambda: layout(name).skip(over(bytes(100)), 1))


@examples(100)
@given(bent([b"INSERT INTO a.b (x, y) FORMAT Native", b"INSERT INTO FUNCTION f(1) SELECT 'x'",
             b"/* c */ SELECT `a`, \"b\", 'c\\'' FORMAT JSON SETTINGS a = 1;", QUERY]))  # fmt: skip
def test_statements(text: bytes) -> None:
    parse(text.decode("utf-8", "surrogateescape"))


@examples(100)
@given(bent([ROWS]), st.sampled_from([0, REVISION]))
def test_blocks_of_the_engine(block: bytes, revision: int) -> None:
    only((Malformed, UnknownLayout), lambda: to_packet(block, None, revision))


def framed(method: int, packed: bytes, raw_size: int) -> bytes:
    body = struct.pack("<BII", method, len(packed) + 9, raw_size) + packed
    checksum = CityHash128(body)
    return struct.pack("<QQ", checksum >> 64, checksum & (1 << 64) - 1) + body


ZEROS = bytes(64 * MIB)
BOMBS = {
    "lz4, large": framed(0x82, b"\1\2\3", 1 << 30),
    "lz4, within the bound": framed(0x82, b"\1\2\3", 200 << 20),
    "zstd, says more than the frame": framed(0x90, zstandard.compress(ZEROS), 100),
    "zstd, says nothing": framed(0x90, b"\x28\xb5\x2f\xfd", 200 << 20),
    "zstd, a silent one": framed(
        0x90, zstandard.ZstdCompressor(write_content_size=False).compress(ZEROS), 100
    ),
    "endless number": b"\x80" * MIB,
    "long text": varint(0) + varint(1 << 29),
    "many strings": varint(0) + varint(1) + varint(1 << 60) + string("n") + string("String")
                    + b"\0",
    "endless string": varint(0) + varint(1) + varint(1) + string("n") + string("String") + b"\0"
                      + b"\xff" * MIB,
    "wide": varint(0) + varint(1) + varint(1 << 60) + string("n") + string("UInt256") + b"\0",
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_what_is_announced_takes_no_memory(name: str) -> None:
    """Whoever reads it, whatever it makes of it."""
    for read, _ in READERS.values():
        with within(8 * MIB):
            only(
                (Malformed, UnknownLayout, Closed),
                lambda read=read: read(over(BOMBS[name], 1 << 18)),
            )


# -- HTTP


@examples(80)
@given(
    st.binary(max_size=80) | bent([b"5\r\nhello\r\n0\r\n\r\n", b"-1\r\nx", b"5;x=y\r\nhello"]),
    st.none() | st.text(max_size=6) | st.sampled_from(["-1", "5", "99999999999", "1e3", "٣"]),
    st.sampled_from(["", "chunked"]),
)
def test_bodies(data: bytes, length: str | None, transfer: str) -> None:
    only((Malformed, Closed), lambda: b"".join(raw_body(io.BytesIO(data), length, transfer)))


PACKED = {
    "gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstandard.compress,
    "lz4": lz4.frame.compress,
}  # fmt: skip


@pytest.mark.parametrize("encoding", PACKED)
def test_encodings(encoding: str) -> None:
    @examples(80)
    @given(bent([PACKED[encoding](ROWS * 9)]), st.integers(1, 50))
    def run(data: bytes, piece: int) -> None:
        pieces = (data[at : at + piece] for at in range(0, len(data), piece))
        only(Malformed, lambda: b"".join(decoded(pieces, encoding)))
        only((Malformed, Closed), lambda: b"".join(unframed(iter([data]))))

    run()


@pytest.mark.parametrize("encoding", PACKED)
def test_a_body_is_unpacked_a_little_at_a_time(encoding: str) -> None:
    bomb = PACKED[encoding](ZEROS)
    with within(40 * MIB):  # zstd: 256 bytes of it may become 8 MiB
        assert sum(len(piece) for piece in decoded(iter([bomb]), encoding)) == len(ZEROS)


# -- ClickHouse's side, as clickhouse-driver reads it

S_HELLO = packets.hello(REVISION, "26.3.1", "UTC")
ANSWERS = [
    varint(packets.S_DATA) + string("") + ROWS,
    varint(packets.S_DATA) + string("") + HEADER,
    varint(packets.S_PROGRESS) + bytes(6),
    varint(packets.S_PROFILE) + bytes(6),
    varint(packets.S_PROFILE_EVENTS) + string("") + ROWS,
    varint(packets.S_EXCEPTION) + struct.pack("<i", 60) + string("E") + string("no") + string("")
    + b"\0",
    varint(packets.S_END),
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
]  # fmt: skip


class Liar:
    """A server that answers any connection with the given bytes, and ends it."""

    def __init__(self) -> None:
        self.says = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with suppress(OSError), connection:
                connection.recv(4096)
                connection.sendall(self.says)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1 << 16):
                    pass

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5.0)


@pytest.fixture(scope="module")
def liar() -> Iterator[Liar]:
    server = Liar()
    yield server
    server.close()


def asked(server: Liar, says: bytes) -> None:
    server.says = says
    config: dict[str, Any] = {"host": "127.0.0.1", "port": server.port, "secure": False}
    store = open_store(StoreConfig(**config, send_receive_timeout_s=5.0))
    try:
        only(KubeledgerError, lambda: store.query("SELECT 1"))
    finally:
        store.close()


def test_what_a_server_answers(liar: Liar) -> None:
    @examples(80)
    @given(bent([S_HELLO]), st.lists(bent(ANSWERS), max_size=3))
    def run(hello: bytes, answers: list[bytes]) -> None:
        asked(liar, hello + b"".join(answers))
        asked(liar, S_HELLO + b"".join(answers))

    run()


@pytest.mark.parametrize("announced", [1 << 31, 1 << 40, 1 << 62])
def test_what_a_server_announces_takes_no_memory(liar: Liar, announced: int) -> None:
    head = S_HELLO + varint(packets.S_DATA) + string("") + varint(0) + varint(1)
    for says in (
        varint(0) + varint(announced),  # a greeting's text
        head + varint(1) + varint(announced),
        head + varint(announced) + string("n") + string("String"),
        head + varint(announced) + string("n") + string("UInt64"),
        S_HELLO + varint(packets.S_EXCEPTION) + struct.pack("<i", 60) + varint(announced),
    ):
        with within(16 * MIB):
            asked(liar, says)

"""One client of the native TCP protocol: greet, then answer queries until it leaves."""

import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from pipeline.store.embedded import packets
from pipeline.store.embedded.blocks import (
    Columns,
    empty_block,
    from_packet,
    to_packet,
)
from pipeline.store.embedded.columns import UnknownLayout
from pipeline.store.embedded.engine import Engine
from pipeline.store.embedded.failure import EngineError
from pipeline.store.embedded.login import Login
from pipeline.store.embedded.packets import Counts, Query
from pipeline.store.embedded.session import Session
from pipeline.store.embedded.sql import Insert, Statement, identifier, parse
from pipeline.store.embedded.watch import Watch
from pipeline.store.embedded.wire import Closed, Malformed, Source, frames, read_frame
from pipeline.store.format import string, varint

_RECEIVE_BYTES = 1 << 18
_SEND_TIMEOUT = struct.pack("ll", 300, 0)  # a client that stops reading is given up


class TcpClient:
    """Runs on a thread of its own until the connection ends."""

    def __init__(self, connection: socket.socket, engine: Engine, login: Login, watch: Watch):
        self._socket = connection
        self._engine = engine
        self._login = login
        self._watch = watch
        self._source = Source(self._receive)
        self._sending = threading.Lock()
        self._revision = packets.REVISION

    def run(self) -> None:
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SEND_TIMEOUT)
        try:
            session = self._greet()
            if session is not None:
                try:
                    self._serve(session)
                finally:
                    session.close()
        except Malformed as error:
            with suppress(OSError):
                self._send(
                    packets.exception(EngineError(101, str(error), "UNEXPECTED_PACKET_FROM_CLIENT"))
                )
        except OSError:
            pass  # the client is gone; nothing is left to tell it
        finally:
            self._socket.close()

    def _receive(self) -> bytes:
        data = self._socket.recv(_RECEIVE_BYTES)
        if not data:
            raise Closed
        return data

    def _send(self, *pieces: bytes | memoryview) -> None:
        with self._sending:
            self._socket.sendall(b"".join(pieces))

    def _greet(self) -> Session | None:
        asked = packets.read_hello(self._source)
        self._revision = min(asked.revision, packets.REVISION)
        try:
            if asked.revision < packets.OLDEST_CLIENT:
                raise EngineError(20, f"client revision {asked.revision} is too old", "")
            if not self._login.allows(asked.user, asked.password):
                raise EngineError(
                    516,
                    f"{asked.user}: Authentication failed: password is incorrect, or there is no "
                    "user with such name.",
                    "AUTHENTICATION_FAILED",
                )
            session = self._engine.session(asked.database)
        except EngineError as error:
            self._send(packets.exception(error))
            return None
        self._send(packets.hello(self._revision, self._engine.version, self._engine.timezone))
        if self._revision >= 54458:
            self._source.text()  # quota key
        return session

    def _serve(self, session: Session) -> None:
        while True:
            kind = self._source.varint()
            if kind == packets.PING:
                self._send(varint(packets.S_PONG))
            elif kind == packets.QUERY:
                _Answer(self, session, packets.read_query(self._source, self._revision)).run()
            elif kind != packets.CANCEL:  # a cancel that came after its query had ended
                raise Malformed(f"packet {kind} was not expected")


class _Answer:
    """One query, from its first byte to the end of the answer."""

    def __init__(self, client: TcpClient, session: Session, query: Query) -> None:
        self._client = client
        self._session = session
        self._query = query
        self._source = client._source
        self._revision = client._revision
        self._method = query.settings.get("network_compression_method", "LZ4").upper()
        self._counts = Counts()
        self._told = Counts()
        self._temporary: list[str] = []

    def run(self) -> None:
        statement = parse(self._query.text)
        self._session.cancelled = False  # what became of the one before is no matter here
        try:
            self._prepare(statement)
            self._external_tables()
            self._dispatch(statement)
        except (EngineError, UnknownLayout) as error:
            self._fail(error)
        finally:
            for name in self._temporary:
                with suppress(EngineError):
                    self._session.command(f"DROP TEMPORARY TABLE IF EXISTS {identifier(name)}")

    def _fail(self, error: EngineError | UnknownLayout) -> None:
        if isinstance(error, UnknownLayout):
            text = f"Type {error} cannot pass through the embedded endpoint's native protocol."
            self._send(packets.exception(EngineError(48, text, "NOT_IMPLEMENTED")))
            raise Closed  # bytes of that type may be on the way and cannot be skipped
        if self._session.cancelled:
            self._send(varint(packets.S_END))
        else:
            self._send(packets.exception(error))

    def _send(self, *pieces: bytes | memoryview) -> None:
        self._client._send(*pieces)

    def _prepare(self, statement: Statement) -> None:
        known = self._client._engine.settings
        unknown = [n for n in self._query.settings if n not in known]
        refused = [n for n in unknown if n in self._query.important]
        settings = {n: v for n, v in self._query.settings.items() if n in known}
        try:
            if refused:
                raise EngineError(115, f"Unknown setting '{refused[0]}'.", "UNKNOWN_SETTING")
            if statement.verb == "SET":
                self._session.apply({})
            else:
                self._session.apply(settings)
        except EngineError:
            self._drain()
            raise

    def _drain(self) -> None:
        """Skip the external tables of a query that fails before it starts."""
        for _ in self._incoming():
            pass

    def _incoming(self) -> Iterator[tuple[str, Columns, list[memoryview]]]:
        """Data packets up to the empty one."""
        while True:
            kind = self._source.varint()
            if kind == packets.CANCEL:
                raise Closed
            if kind != packets.DATA:
                raise Malformed(f"packet {kind} was not expected, only data")
            name = self._source.text()
            source = (
                Source(lambda: read_frame(self._source)) if self._query.compressed else self._source
            )
            header, pieces = from_packet(source, self._revision)
            if not name and not header.columns.names:
                return
            yield name, header.columns, pieces if header.rows else []

    def _external_tables(self) -> None:
        made: set[str] = set()
        failure: EngineError | None = None
        for name, columns, pieces in self._incoming():
            try:
                if name not in made:
                    self._session.make_temporary(name, columns)
                    made.add(name)
                    self._temporary.append(name)
                if pieces:
                    self._session.fill_temporary(name, columns, pieces)
            except EngineError as error:
                failure = failure or error
        if failure:
            raise failure

    def _dispatch(self, statement: Statement) -> None:
        insert = statement.insert
        if insert is not None and insert.format and not insert.inline:
            self._insert(insert)
            return
        client = self._client
        with client._watch.watching(client._socket, self._session.cancel):
            self._select(statement)

    def _select(self, statement: Statement) -> None:
        columns: Columns | None = None
        types: tuple[str, ...] | None = None
        rows = blocks = size = 0
        params = self._query.params
        for block in self._session.native(statement, params=params, progress=self._progress):
            if columns is None:
                columns = to_packet(block, None, 0)[0].columns
                typed = self._session.typed(statement, columns, params)
                types = typed.types
                self._send_block([empty_block(typed, self._revision)])
            header, pieces = to_packet(block, columns, self._revision, types=types)
            self._send_block(pieces)
            rows, blocks, size = rows + header.rows, blocks + 1, size + len(block)
        if columns is None and not self._session.cancelled:
            described = self._session.describe(statement, params)
            if described:
                self._send_block([empty_block(described, self._revision)])
        last = packets.progress(self._told, self._told, self._revision)
        self._send(last, packets.profile(rows, blocks, size), varint(packets.S_END))

    def _send_block(self, pieces: Sequence[bytes | memoryview]) -> None:
        head = varint(packets.S_DATA) + string("")
        if self._query.compressed:
            self._send(head, *frames(pieces, self._method))
        else:
            self._send(head, *pieces)

    def _insert(self, insert: Insert) -> None:
        columns = self._session.sample(insert)
        self._send_block([empty_block(columns, self._revision)])
        self._session.insert(insert, columns, self._acknowledged())
        self._send(varint(packets.S_END))

    def _acknowledged(self) -> Iterator[list[memoryview]]:
        """Blocks of an INSERT; clients wait for profile events after each, and at the end."""
        for _, _, pieces in self._incoming():
            yield pieces
            self._send(packets.profile_events(self._revision))
        self._send(packets.profile_events(self._revision))

    def _progress(self, values: dict[str, int]) -> None:
        """Called by the engine about ten times a second, while this thread waits for it."""
        counts = Counts(
            rows=values["read_rows"],
            bytes=values["read_bytes"],
            total_rows=values["total_rows_to_read"],
            written_rows=values["written_rows"],
            written_bytes=values["written_bytes"],
            elapsed_ns=values["elapsed_ns"],
        )
        packet = packets.progress(counts, self._told, self._revision)
        self._told = replace(counts)
        with suppress(OSError):
            self._send(packet)

"""ClickHouse's HTTP interface, as far as curl, clickhouse-connect and Grafana need it.

    GET /ping                                   Ok.
    GET|POST /?query=…&database=…&param_x=…     the answer; the body is the query, or its data

Parameters that are neither words of the interface nor `param_…` are settings of this statement.
A request without `session_id` has a session of its own. An error has its ClickHouse code in
`X-ClickHouse-Exception-Code`; one that comes after the answer has begun cuts the answer off, so
that no client takes it for whole.
"""

import base64
import json
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pipeline.store.embedded.columns import UnknownLayout
from pipeline.store.embedded.engine import Engine
from pipeline.store.embedded.failure import EngineError
from pipeline.store.embedded.httpbody import (
    Encoder,
    Framed,
    Plain,
    chosen_encoding,
    decoded,
    encoder,
    raw_body,
    unframed,
)
from pipeline.store.embedded.login import Login
from pipeline.store.embedded.session import Session
from pipeline.store.embedded.sessions import Sessions
from pipeline.store.embedded.sql import Statement, parse
from pipeline.store.embedded.watch import Watch
from pipeline.store.embedded.wire import Closed, Malformed

LARGEST_TEXT = 256 << 20  # a statement with its data, in formats that are not streamed
_WORDS = frozenset(
    {
        *("query", "database", "default_format", "query_id", "user", "password", "quota_key"),
        *("session_id", "session_timeout", "session_check", "compress", "decompress", "role"),
        *("client_protocol_version", "stacktrace", "wait_end_of_query", "buffer_size"),
        *("http_write_exception_in_output_format", "send_progress_in_http_headers"),
        *("http_headers_progress_interval_ms", "cancel_http_readonly_queries_on_client_close"),
        "enable_http_compression",
    }
)
_BINARY = ("Native", "RowBinary", "Arrow", "ArrowStream", "Parquet")
_STATUS = {62: 400, 46: 404, 47: 404, 60: 404, 81: 404, 159: 408, 192: 403, 193: 403, 194: 401,
           241: 507, 497: 403, 516: 403}  # fmt: skip
_TYPES = {"JSON": "application/json", "JSONCompact": "application/json", "CSV": "text/csv"}


@dataclass(frozen=True, slots=True)
class Served:
    """What a request is answered with."""

    engine: Engine
    login: Login
    watch: Watch
    sessions: Sessions


@dataclass(slots=True)
class _Request:
    words: dict[str, str]
    params: dict[str, str]
    settings: dict[str, str]
    query_id: str
    counts: dict[str, int] = field(default_factory=dict)


class Handler(BaseHTTPRequestHandler):
    """One connection; several requests, one after the other."""

    protocol_version = "HTTP/1.1"
    served: Served  # given by the subclass of `http_answerer`
    timeout = 600

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path in ("/ping", "/replicas_status"):
            self._short(200, b"Ok.\n")
        elif path not in ("/", "/query"):
            self._short(404, b"There is no handle " + path.encode() + b"\n")
        else:
            self._answer()

    def do_POST(self) -> None:
        self.do_GET()

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        """Requests are not news."""

    def _answer(self) -> None:
        request = None
        self._begun = False
        try:
            request = self._request()
            self._run(request)
        except (EngineError, UnknownLayout) as error:
            self._fail(error if isinstance(error, EngineError) else EngineError(48, str(error)))
        except Malformed as error:
            self._fail(EngineError(27, str(error), "CANNOT_PARSE_INPUT_ASSERTION_FAILED"))
        except OSError:
            self.close_connection = True  # the client is gone

    def _request(self) -> _Request:
        found = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        user, password = self._credentials(found)
        if not self.served.login.allows(user, password):
            raise EngineError(
                516,
                f"{user}: Authentication failed: password is incorrect, or there is no user "
                "with such name.",
                "AUTHENTICATION_FAILED",
            )
        params = {k[6:]: v for k, v in found.items() if k.startswith("param_")}
        rest = {k: v for k, v in found.items() if k not in _WORDS and not k.startswith("param_")}
        for name in rest:
            if name not in self.served.engine.settings:
                raise EngineError(115, f"Unknown setting '{name}'.", "UNKNOWN_SETTING")
        words = {k: v for k, v in found.items() if k in _WORDS}
        words.setdefault("database", self.headers.get("X-ClickHouse-Database", ""))
        words.setdefault("default_format", self.headers.get("X-ClickHouse-Format", ""))
        return _Request(words, params, rest, words.get("query_id") or str(uuid.uuid4()))

    def _credentials(self, found: Mapping[str, str]) -> tuple[str, str]:
        if "X-ClickHouse-User" in self.headers or "X-ClickHouse-Key" in self.headers:
            key = self.headers.get("X-ClickHouse-Key", "")
            return self.headers.get("X-ClickHouse-User", ""), key
        kind, _, text = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "basic":
            try:
                user, _, password = base64.b64decode(text).decode().partition(":")
            except ValueError:
                raise Malformed("the Authorization header is not Basic") from None
            return user, password
        return found.get("user", ""), found.get("password", "")

    def _body(self, request: _Request) -> Iterator[bytes]:
        length, transfer = self.headers.get("Content-Length"), self.headers.get("Transfer-Encoding")
        pieces = raw_body(self.rfile, length, transfer or "")  # type: ignore[arg-type]
        pieces = decoded(pieces, self.headers.get("Content-Encoding", "").lower())
        return unframed(pieces) if request.words.get("decompress") == "1" else pieces

    def _run(self, request: _Request) -> None:
        text = request.words.get("query", "").encode("utf-8", "surrogateescape")
        pieces = self._body(request)
        statement = parse(text.decode("utf-8", "surrogateescape"))
        with self.served.sessions.lent(request.words, self.command == "GET") as session:
            session.apply(request.settings)
            if statement.insert is not None and statement.insert.format in _BINARY:
                self._insert(request, session, statement, pieces)
                return
            text += (b"\n" if text else b"") + _whole(pieces)
            statement = parse(text.decode("utf-8", "surrogateescape"))
            insert = statement.insert
            if insert is not None and insert.format in _BINARY:
                data = text[_data_start(statement) :]
                self._insert(request, session, statement, iter([data]))
            elif not statement.text.strip():
                self._short(200, b"Ok.\n")
            else:
                self._select(request, session, statement)

    def _insert(
        self, request: _Request, session: Session, statement: Statement, pieces: Iterator[bytes]
    ) -> None:
        insert = statement.insert
        if insert is None:
            return
        columns = session.sample(insert)
        if insert.format != "Native":
            # Only of Native it is sure that the engine refuses data that was cut off.
            pieces = iter([_whole(pieces)])
        blocks = ([piece] for piece in pieces)
        session.insert(insert, columns, blocks, form=insert.format, progress=request.counts.update)
        self._head(request, "", 0)

    def _select(self, request: _Request, session: Session, statement: Statement) -> None:
        form = statement.format or request.words.get("default_format") or "TabSeparated"
        body = self._encoder(request)
        # A client that leaves is seen only while its statement runs.
        with (
            self.served.watch.watching(self.connection, session.cancel),
            closing(
                session.answer(
                    statement, form, params=request.params, progress=request.counts.update
                )
            ) as answer,
        ):
            first = next(answer, b"")
            self._head(request, form, None)
            self._chunk(body.compress(first) if first else b"")
            for piece in answer:
                self._chunk(body.compress(piece))
        if session.cancelled:
            raise Closed
        self._chunk(body.flush())
        self.wfile.write(b"0\r\n\r\n")

    def _encoder(self, request: _Request) -> Encoder:
        self._encoding = ""
        if request.words.get("compress") == "1":
            return Framed()
        if request.words.get("enable_http_compression") == "1":
            self._encoding = chosen_encoding(self.headers.get("Accept-Encoding", ""))
        return encoder(self._encoding) if self._encoding else Plain()

    def _chunk(self, data: bytes) -> None:
        if data and self.command != "HEAD":
            self.wfile.write(b"%x\r\n" % len(data))
            self.wfile.write(data)
            self.wfile.write(b"\r\n")

    def _head(self, request: _Request, form: str, length: int | None) -> None:
        self._begun = True
        self.send_response(200)
        kind = _TYPES.get(form, "application/octet-stream" if form else "text/plain")
        self.send_header("Content-Type", f"{kind}; charset=UTF-8")
        if length is None:
            self.send_header("Transfer-Encoding", "chunked")
            if self._encoding:
                self.send_header("Content-Encoding", self._encoding)
        else:
            self.send_header("Content-Length", str(length))
        self.send_header("X-ClickHouse-Query-Id", request.query_id)
        if form:
            self.send_header("X-ClickHouse-Format", form)
        self.send_header("X-ClickHouse-Timezone", self.served.engine.timezone)
        self.send_header("X-ClickHouse-Server-Display-Name", "kubeledger embedded store")
        numbers = {name: str(number) for name, number in request.counts.items()}
        self.send_header("X-ClickHouse-Summary", json.dumps(numbers))
        self.end_headers()

    def _fail(self, error: EngineError) -> None:
        version = self.served.engine.version
        text = f"Code: {error.code}. {error.displayed} (version {version})\n".encode()
        self.close_connection = True  # part of the request may not have been read
        with suppress(OSError):
            if self._begun:
                self._chunk(text)  # and no last chunk
                return
            self.send_response(_STATUS.get(error.code, 500))
            self.send_header("X-ClickHouse-Exception-Code", str(error.code))
            self.send_header("Content-Type", "text/plain; charset=UTF-8")
            self.send_header("Content-Length", str(len(text)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(text)

    def _short(self, status: int, text: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=UTF-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)


def http_answerer(what: Served) -> Callable[[socket.socket], None]:
    """Answers all requests of one connection."""

    class Bound(Handler):
        served = what

    def answer(connection: socket.socket) -> None:
        Bound(connection, ("", 0), None)  # type: ignore[arg-type]

    return answer


def _whole(pieces: Iterator[bytes]) -> bytes:
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > LARGEST_TEXT:
            raise EngineError(
                131, f"The body is larger than {LARGEST_TEXT} bytes; send Native or in parts."
            )
    return bytes(body)


def _data_start(statement: Statement) -> int:
    """Binary data begins after the one newline that follows FORMAT Name."""
    text, insert = statement.text, statement.insert
    at = insert.data_at if insert else len(text)
    while at < len(text) and text[at] in " \t\r":
        at += 1
    if at < len(text) and text[at] == "\n":
        at += 1
    return len(text[:at].encode("utf-8", "surrogateescape"))

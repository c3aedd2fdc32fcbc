"""Far sides that are really there: HTTP and SMTP servers on loopback that keep what they get."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.real.listener import listening


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class HttpSink:
    """`answers`: (status, body, headers) one after the other, then 200 with `usual`."""

    usual: bytes = b"{}"
    got: list[Request] = field(default_factory=list)
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    url: str = ""


@contextmanager
def http_sink(
    usual: bytes = b"{}", *, heard: Callable[[Any], None] = lambda document: None
) -> Iterator[HttpSink]:
    """`heard` is given each document when it comes."""
    sink = HttpSink(usual)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            if len(body) < length:
                return  # whoever sent it was killed on the way
            sink.got.append(Request(self.path, dict(self.headers), body))
            heard(sink.got[-1].json if body else {})
            status, answer = sink.answers.pop(0) if sink.answers else (200, sink.usual)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    sink.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class SmtpSink:
    """`refuse`: answers to RCPT instead of 250."""

    port: int = 0
    mails: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)  # what the client said
    refuse: list[str] = field(default_factory=list)


@contextmanager
def smtp_sink(pem: Path, key: Path) -> Iterator[SmtpSink]:
    """STARTTLS is offered."""
    sink = SmtpSink()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)

    def talk(peer: socket.socket) -> None:
        with peer, suppress(OSError):  # who does not trust us hangs up
            _talk(peer, context, sink)

    with listening(talk) as sink.port:
        yield sink


def _talk(peer: socket.socket, context: ssl.SSLContext, sink: SmtpSink) -> None:
    lines = peer.makefile("rb")

    def say(text: str) -> None:
        peer.sendall(f"{text}\r\n".encode())

    say("220 sink")
    while line := lines.readline():
        words = line.decode().strip()
        sink.said.append(words)
        verb = words.split(" ")[0].upper()
        if verb == "EHLO":
            say("250-sink\r\n250-STARTTLS\r\n250 AUTH PLAIN")
        elif verb == "STARTTLS":
            say("220 go")
            lines.close()
            with context.wrap_socket(peer, server_side=True) as inner:
                _after(inner, sink)
            return
        elif not _usual(verb, say, lines, sink):
            return


def _after(peer: ssl.SSLSocket, sink: SmtpSink) -> None:
    with peer.makefile("rb") as lines:

        def say(text: str) -> None:
            peer.sendall(f"{text}\r\n".encode())

        while line := lines.readline():
            words = line.decode().strip()
            sink.said.append(f"tls {words}")
            verb = words.split(" ")[0].upper()
            if verb == "EHLO":
                say("250-sink\r\n250 AUTH PLAIN")
            elif not _usual(verb, say, lines, sink):
                return


def _usual(verb: str, say: Any, lines: Any, sink: SmtpSink) -> bool:
    if verb == "AUTH":
        say("235 welcome")
    elif verb == "RCPT":
        say(sink.refuse.pop(0) if sink.refuse else "250 fine")
    elif verb == "DATA":
        say("354 go on")
        text = b""
        while not text.endswith(b"\r\n.\r\n"):
            text += lines.readline()
        sink.mails.append(text.decode())
        say("250 kept")
    elif verb == "QUIT":
        say("221 bye")
        return False
    else:
        say("250 fine")
    return True

"""A kubelet for tests: a real HTTPS server on loopback, with certificates made for the test.

Every answer can be anything that has been seen of a kubelet: a body, a status, headers that come
and a body that does not (hang), bytes one by one (trickle), a connection that ends in the middle.
By default all paths answer alike (`status`, `body`); `routes` holds the exceptions. Without a
certificate it speaks clear text, as the kubelet's health port does.
"""

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.real.authority import self_signed


def make_certificates(folder: Path) -> tuple[Path, Path]:
    """Certificate and key, valid for node-a and 127.0.0.1, of a kubelet that is its own CA."""
    return self_signed(folder, "kubelet", "node-a", "127.0.0.1")


@dataclass
class Route:
    """One way to answer. `gate` holds the whole answer back until it is set; `between` runs
    before each piece of the body; `cut` promises more bytes than come."""

    status: int = 200
    body: bytes | list[bytes] = b""
    gate: threading.Event | None = None
    between: Callable[[], object] = lambda: None
    cut: int = 0


@dataclass
class KubeletServer:
    """A context manager. `routes` by path without query; `requests` is what was asked."""

    certificate: Path | None = None
    key: Path | None = None
    status: int = 200
    body: bytes | list[bytes] = b'{"kind":"PodList","items":null}'
    between: Callable[[], object] = lambda: None
    routes: dict[str, Route] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)  # path, Authorization

    def __post_init__(self) -> None:
        self.closing = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append((self.path, self.headers.get("Authorization", "")))
                default = Route(outer.status, outer.body, between=outer.between)
                route = outer.routes.get(self.path.partition("?")[0], default)
                if route.gate is not None:
                    while not (route.gate.wait(0.02) or outer.closing.is_set()):
                        pass
                pieces = [route.body] if isinstance(route.body, bytes) else route.body
                try:
                    self.send_response(route.status)
                    self.send_header("Content-Length", str(sum(map(len, pieces)) + route.cut))
                    self.end_headers()
                    for piece in pieces:
                        route.between()
                        self.wfile.write(piece)
                        self.wfile.flush()
                except OSError:
                    pass  # the client has had enough

            def log_message(self, *_: object) -> None:
                pass

        context = None
        if self.certificate and self.key:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate, self.key)

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def get_request(self) -> tuple[object, object]:  # type: ignore[override]
                connection, address = self.socket.accept()
                connection.settimeout(60)
                if context is None:
                    return connection, address
                return context.wrap_socket(
                    connection, server_side=True, do_handshake_on_connect=False
                ), address

            def handle_error(self, *_: object) -> None:
                pass  # a client that refuses the certificate

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http{'s' if self.certificate else ''}://127.0.0.1:{self.port}"

    def asked(self, path: str) -> int:
        return sum(asked.partition("?")[0] == path for asked, _ in self.requests)

    def __enter__(self) -> "KubeletServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

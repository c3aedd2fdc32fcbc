"""`/healthz` and `/metrics` over HTTP, loopback unless told otherwise.

Liveness is progress, not a process that answers: the service gives a function that says what is
stuck, or nothing.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from pipeline.base.address import split_address
from pipeline.base.errors import UsageError
from pipeline.base.listener import Listener
from pipeline.base.telemetry import ServiceTelemetry

Health = Callable[[], str | None]  # None: fine; a text: what is wrong and since when


@contextmanager
def serve_health(
    address: str, telemetry: ServiceTelemetry, health: Health
) -> Iterator[tuple[str, int]]:
    """Serve until the block ends. `address` is HOST:PORT, port 0 takes a free one; yields what
    was bound."""
    host, port = split_address(address, example="127.0.0.1:9600", what="health address")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = _answer(self.path, telemetry, health)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Scrapes are not news."""

    try:
        server = Listener((host, port), Handler)
    except OSError as error:
        raise UsageError(f"cannot listen on {address}: {error.strerror}") from error
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield str(server.server_address[0]), int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


def _answer(path: str, telemetry: ServiceTelemetry, health: Health) -> tuple[int, str, bytes]:
    if path == "/metrics":
        from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

        return 200, CONTENT_TYPE_LATEST, generate_latest(telemetry.registry())
    if path == "/healthz":
        wrong = health()
        return (503, "text/plain", f"{wrong}\n".encode()) if wrong else (200, "text/plain", b"ok\n")
    return 404, "text/plain", b"only /healthz and /metrics are here\n"

"""The page's HTTP server: files, and answers in JSON.

    GET /  /d/UID                       the page
    GET /static/NAME                    its files
    GET /api/boards                     all dashboards, without their queries
    GET /api/span                       the newest time of what is stored
    GET /api/{panel,variable,annotation}?d=UID&name=N&from&to&width&var-…
    GET /api/logs  /api/around          lines, and the neighbours of one
    GET /api/tail                       what arrives, as server-sent events

Everything is read-only. An error is JSON too: {"error": …}, with 400 for what was asked wrongly and
503 for a store that does not answer.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pipeline.base.clock import Clock
from pipeline.base.errors import KubeledgerError, Unavailable, UsageError
from pipeline.base.lifecycle import Stop
from pipeline.base.listener import Listener
from pipeline.console.page import asking, loglines
from pipeline.console.page.asking import Query
from pipeline.console.page.boards import Board, open_boards
from pipeline.console.page.connections import Connections
from pipeline.console.page.guard import HEADERS, is_foreign, is_ours, refuses
from pipeline.store.protocol import Store

_CONNECTIONS = 4
_TAILS = 8  # each holds a connection of its own
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_ASKS = {"panel": asking.panel, "variable": asking.variable, "annotation": asking.annotation}


class Page:
    """What the handlers share. Any thread."""

    def __init__(self, opener: Callable[[], Store], *, clock: Clock, stop: Stop) -> None:
        self.opener = opener
        self.clock = clock
        self.stop = stop
        self.connections = Connections(opener, _CONNECTIONS)
        self.boards: Mapping[str, Board] = open_boards()
        self.files = _files()
        self.tails = threading.BoundedSemaphore(_TAILS)
        self.address = ("", 0)  # once it is bound

    def answer(self, what: str, query: Query) -> dict[str, Any]:
        """Raises UsageError for what is asked wrongly, Unavailable without a store."""
        if what == "boards":
            return {"boards": [board.document for board in self.boards.values()]}
        if what == "span":
            return asking.span(self.connections)
        if what == "logs":
            return loglines.page(self.connections, query)
        if what == "around":
            return loglines.around(self.connections, query)
        if what in _ASKS:
            uid = (query.get("d") or [""])[0]
            if uid not in self.boards:
                raise UsageError(f"there is no dashboard {uid!r}")
            name = (query.get("name") or [""])[0]
            return _ASKS[what](self.connections, self.boards[uid], name, query)
        raise UsageError(f"there is no /api/{what}")


def _files() -> dict[str, tuple[str, bytes]]:
    """Name -> type and bytes. Read once: nothing that a request names is ever looked for."""
    directory = resources.files("pipeline.console.page") / "static"
    found = {}
    for entry in directory.iterdir():
        kind = _TYPES.get(entry.name.rpartition(".")[2])
        if kind is not None:
            found[entry.name] = (kind, entry.read_bytes())
    return found


class Handler(BaseHTTPRequestHandler):
    """One connection of a browser."""

    protocol_version = "HTTP/1.1"
    server_version = "kubeledger"
    sys_version = ""
    timeout = 60
    page: Page  # given by the subclass of `serving`

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if not is_ours(self.headers.get("Host"), self.page.address):
            self._send(421, "text/plain", b"this server is not the host that was asked for\n")
        elif url.path.startswith("/api/"):
            self._api(url.path.removeprefix("/api/"), url.query)
        elif url.path.startswith("/static/") and (name := url.path[8:]) in self.page.files:
            self._send(200, *self.page.files[name])
        elif url.path == "/" or url.path.startswith("/d/"):
            self._send(200, *self.page.files["index.html"])
        else:
            self._send(404, "text/plain", b"there is nothing here; begin at /\n")

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        """Requests are not news."""

    def _api(self, what: str, text: str) -> None:
        if is_foreign(self.headers.get("Sec-Fetch-Site")):
            self._send(403, "text/plain", b"other pages may not ask\n")
            return
        try:
            query = parse_qs(text, keep_blank_values=True, max_num_fields=500)
            if what == "tail":
                self._tail(query)
                return
            status, document = 200, self.page.answer(what, query)
        except (UsageError, ValueError) as error:
            status, document = 400, {"error": str(error)}
        except Unavailable as error:
            status, document = 503, {"error": str(error)}
        except KubeledgerError as error:
            status, document = 500, {"error": str(error)}
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        self._send(status, "application/json", body.encode("utf-8", "replace"))

    def _tail(self, query: Query) -> None:
        if not self.page.tails.acquire(blocking=False):
            raise Unavailable(f"{_TAILS} tails are open already; close one")
        store = self.page.opener()
        try:
            events = loglines.follow(store, query, clock=self.page.clock, stop=self.page.stop)
            begun = next(events, None)  # what is wrong shows before the head is sent
            self._head(200, "text/event-stream", None)
            while begun is not None:
                body = json.dumps(begun, ensure_ascii=False)
                self.wfile.write(f"data: {body}\n\n".encode("utf-8", "replace"))
                begun = next(events, None)
        except (OSError, Unavailable):
            pass  # the reader left, or the store: the browser asks again by itself
        finally:
            self.close_connection = True
            store.close()
            self.page.tails.release()

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self._head(status, kind, len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, kind: str, length: int | None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        if length is None:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(length))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()


@contextmanager
def serving(
    address: str, opener: Callable[[], Store], *, clock: Clock, stop: Stop
) -> Iterator[str]:
    """Serve until the block ends; yields the page's URL. `address` is HOST:PORT on loopback, port
    0 takes a free one. Raises UsageError where it cannot be served."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"page address {address!r} is not HOST:PORT, for example 127.0.0.1:7300")
    if why := refuses(host):
        raise UsageError(why)
    page_ = Page(opener, clock=clock, stop=stop)

    class Bound(Handler):
        page = page_

    try:
        server = Listener((host.strip("[]"), int(port)), Bound)
    except OSError as error:
        raise UsageError(f"cannot serve the page at {address}: {error.strerror}") from error
    page_.address = (str(server.server_address[0]), int(server.server_address[1]))
    thread = threading.Thread(target=server.serve_forever, name="page", daemon=True)
    thread.start()
    try:
        yield "http://{}:{}/".format(*page_.address)
    finally:
        stop.set()
        server.shutdown()
        server.server_close()
        page_.connections.close()

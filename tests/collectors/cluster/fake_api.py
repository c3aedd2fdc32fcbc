"""An API server for tests: real HTTP or HTTPS on loopback in front of a FakeStore.

Lists, watches with bookmarks in chunked encoding, Leases with conflicts; and every fault that the
watcher must live with: statuses, 410 as an answer and inside a stream, streams cut in the middle of
a line, slow ones, silent ones, connections that are dropped. Faults are set by collection path and
last until they are taken away, or once (`once`).
"""

import json
import ssl
import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from tests.collectors.cluster.fake_store import (
    FakeStore,
    Reply,
    change_line,
    error_line,
    gone,
    status,
)

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kubeledger/leases"


@dataclass
class Fault:
    """One way to misbehave. `cut_after`: bytes of a stream that arrive before it breaks off in the
    middle of whatever it is writing. `pause_s` before each byte or piece. `hang`: nothing comes,
    until the server stops. `brief`: a watch ends, in order, after the first thing it told, as all
    do after a while; who resumes it says how far it has read."""

    reply: Reply | None = None
    cut_after: int | None = None
    pause_s: float = 0.0
    hang: bool = False
    watches_only: bool = False
    brief: bool = False


@dataclass
class FakeApi:
    """A context manager. `store` may be changed only inside `with api.changing():`."""

    store: FakeStore
    certificate: tuple[Path, Path] | None = None
    bookmark_s: float = 0.5
    faults: dict[str, Fault] = field(default_factory=dict)
    once: dict[str, deque[Fault]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)  # "list PATH", "watch PATH", "lease"
    watched_from: list[tuple[str, int]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)  # Authorization headers that came
    lease: dict | None = None
    patched: list[tuple[str, str]] = field(default_factory=list)  # collection path, name

    def __post_init__(self) -> None:
        self.changed = threading.Condition()
        self.closing = threading.Event()
        self.generation = 0  # streams of an older one are dropped
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.tokens.add(self.headers.get("Authorization", ""))
                parts = urlsplit(self.path)
                try:
                    outer.answer(self, parts.path, dict(parse_qsl(parts.query)))
                except OSError:
                    self.close_connection = True

            def do_POST(self) -> None:
                outer.write_lease(self, create=True)

            def do_PUT(self) -> None:
                outer.write_lease(self, create=False)

            def do_PATCH(self) -> None:
                outer.write_status(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.certificate)
            self._server.context = context
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> "FakeApi":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.drop_all()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://127.0.0.1:{self._server.server_address[1]}"

    def kubeconfig(self, folder: Path, *, ca: Path | None = None, token: str = "s3cret") -> Path:
        cluster: dict[str, str] = {"server": self.url}
        if ca:
            cluster["certificate-authority"] = str(ca)
        file = folder / "kubeconfig"
        document = {
            "apiVersion": "v1", "kind": "Config", "current-context": "lab",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": "lab", "user": {"token": token}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
        }  # fmt: skip
        file.write_text(json.dumps(document))
        return file

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Nothing is answered inside the block; open watches hear of what changed after it."""
        with self.changed:
            yield
            self.changed.notify_all()

    def drop_all(self) -> None:
        """Every open watch breaks off in the middle of a chunk, as when a server is killed."""
        with self.changed:
            self.generation += 1
            self.changed.notify_all()

    # -- answers -----------------------------------------------------------------------------

    def answer(self, handler: BaseHTTPRequestHandler, path: str, params: dict[str, str]) -> None:
        if path.startswith(LEASES + "/"):
            self.asked["lease"] += 1
            lease = self.lease
            self._reply(handler, status(404, "NotFound", "no such lease") if lease is None
                        else Reply(200, json.dumps(lease).encode()))  # fmt: skip
            return
        watching = params.get("watch") == "true"
        self.asked[f"{'watch' if watching else 'list'} {path}"] += 1
        fault = self._fault(path, watching)
        if fault.hang:
            self.closing.wait()
            raise OSError("hung up")
        if fault.reply is not None:
            self._reply(handler, fault.reply)
        elif watching:
            self._watch(handler, path, int(params["resourceVersion"]), fault)
        else:
            with self.changed:
                reply = self.store.listed(path, params)
            self._reply(handler, reply, pause_s=fault.pause_s)

    def _fault(self, path: str, watching: bool) -> Fault:
        waiting = self.once.get(path)
        if waiting and (watching or not waiting[0].watches_only):
            return waiting.popleft()
        fault = self.faults.get(path, Fault())
        return Fault() if fault.watches_only and not watching else fault

    def _reply(
        self, handler: BaseHTTPRequestHandler, reply: Reply, *, pause_s: float = 0.0
    ) -> None:
        handler.send_response(reply.status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers:
            handler.send_header(name, value)
        handler.end_headers()
        step = 200 if pause_s else len(reply.body) or 1
        for at in range(0, len(reply.body), step):
            handler.wfile.write(reply.body[at : at + step])
            self.closing.wait(pause_s)

    def _watch(
        self, handler: BaseHTTPRequestHandler, path: str, version: int, fault: Fault
    ) -> None:
        with self.changed:
            refused = self.store.refuses_watch(path, version)
            generation = self.generation
        if refused is not None:
            self._reply(handler, refused)
            return
        self.watched_from.append((path, version))
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.flush()
        left = fault.cut_after
        for data in self._lines(path, version, generation):
            if left is not None and len(data) > left:
                _chunk(handler, data[:left])
                raise OSError("cut")
            left = left if left is None else left - len(data)
            for at in range(0, len(data), 40) if fault.pause_s else (0,):
                _chunk(handler, data[at : at + 40] if fault.pause_s else data)
                self.closing.wait(fault.pause_s)
            if fault.brief:
                break
        handler.wfile.write(b"0\r\n\r\n")

    def _lines(self, path: str, version: int, generation: int) -> Iterator[bytes]:
        while True:
            with self.changed:
                found = list(self.store.after(path, version))
                if not found and generation == self.generation:
                    self.changed.wait(self.bookmark_s)
                    found = list(self.store.after(path, version))
                if generation != self.generation:
                    raise OSError("dropped")
                if version < self.store.compacted and not found:
                    yield error_line(gone(version, self.store.compacted))
                    return
                data = b"".join(map(change_line, found)) or self.store.bookmark(path)
                version = self.store.version
            yield data

    # -- statuses: a merge patch of the status subresource -------------------------------------

    def write_status(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        assert handler.headers["Content-Type"] == "application/merge-patch+json"
        parts = handler.path.strip("/").split("/")
        assert parts[-1] == "status"
        plural, name = parts[-3:-1]
        path = f"/{'/'.join(parts[:3])}/{plural}"
        with self.changing():
            found = self.store.objects.get((path, name))
            if found is not None:
                self.store.put(path, name, status={**found.get("status", {}), **body["status"]})
        self.patched.append((path, name))
        reply = status(404, "NotFound", "gone") if found is None else Reply(200, b"{}")
        self._reply(handler, reply)

    # -- the Lease ---------------------------------------------------------------------------

    def write_lease(self, handler: BaseHTTPRequestHandler, *, create: bool) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        fault = self.faults.get(LEASES, Fault())
        if fault.reply is not None:
            self._reply(handler, fault.reply)
            return
        wanted = json.loads(body)
        with self.changed:
            if create == (self.lease is not None) or not self._current(wanted):
                reply = status(409, "Conflict", "the object has been modified")
            else:
                self.store.version += 1
                wanted["metadata"]["resourceVersion"] = str(self.store.version)
                self.lease = wanted
                reply = Reply(201 if create else 200, json.dumps(wanted).encode())
        self._reply(handler, reply)

    def _current(self, wanted: dict) -> bool:
        if self.lease is None:
            return True
        return bool(
            wanted["metadata"].get("resourceVersion") == self.lease["metadata"]["resourceVersion"]
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    context: ssl.SSLContext | None = None

    def get_request(self) -> tuple[object, object]:  # type: ignore[override]
        connection, address = self.socket.accept()
        if self.context is None:
            return connection, address
        return self.context.wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False
        ), address

    def handle_error(self, *_: object) -> None:
        pass  # a client that refuses the certificate


def _chunk(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    handler.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
    handler.wfile.flush()

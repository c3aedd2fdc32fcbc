"""A kubelet's HTTPS endpoint in a thread, with certificates made for the test."""

import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


def make_certificates(folder: Path) -> tuple[Path, Path]:
    """A CA that signs nothing but itself and is the server's certificate as well: certificate
    and key, valid for localhost and 127.0.0.1."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command to make test certificates")
    certificate, key = folder / "server.pem", folder / "server.key"
    words = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    words += ["-nodes", "-days", "2", "-subj", "/CN=kubelet", "-keyout", str(key)]
    words += ["-out", str(certificate), "-addext", "subjectAltName=DNS:node-a,IP:127.0.0.1"]
    subprocess.run(words, check=True, capture_output=True)
    return certificate, key


class KubeletServer:
    """Answers GET with whatever `answer(path, headers)` gives: status and body. A list of
    bodies is sent piece by piece, each after `between` has been called."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.status = 200
        self.body: bytes | list[bytes] = b'{"kind":"PodList","items":null}'
        self.between: Callable[[], object] = lambda: None
        self.requests: list[tuple[str, str]] = []  # path, Authorization
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append((self.path, self.headers.get("Authorization", "")))
                pieces = [outer.body] if isinstance(outer.body, bytes) else outer.body
                self.send_response(outer.status)
                self.send_header("Content-Length", str(sum(map(len, pieces))))
                self.end_headers()
                try:
                    for piece in pieces:
                        outer.between()
                        self.wfile.write(piece)
                        self.wfile.flush()
                except OSError:
                    pass  # the client has had enough

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def get_request(self) -> tuple[ssl.SSLSocket, object]:
                connection, address = self.socket.accept()
                connection.settimeout(10)
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
        return f"https://127.0.0.1:{self.port}"

    def __enter__(self) -> "KubeletServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

"""TLS in front of a server that has none, as a load balancer would be."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.real.listener import listening


@contextmanager
def tls_proxy(target: tuple[str, int], certificate: Path, key: Path) -> Iterator[int]:
    """Its port on loopback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def talk(peer: socket.socket) -> None:
        with (
            suppress(OSError),
            peer,
            context.wrap_socket(peer, server_side=True) as inside,
            socket.create_connection(target) as server,
        ):
            back = threading.Thread(target=_pump, args=(server, inside))
            back.start()
            _pump(inside, server)
            back.join()

    with listening(talk) as port:
        yield port


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    for one in (source, sink):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)

"""A server of bytes on loopback: whoever connects is talked to, on a thread of his own."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def listening(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """Its port. `talk` closes what it is given."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def start(work: Callable[..., None], *words: object) -> None:
        threads.append(threading.Thread(target=work, args=words, daemon=True))
        threads[-1].start()

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            start(talk, peer)

    start(serve)
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in threads:
            thread.join(10)

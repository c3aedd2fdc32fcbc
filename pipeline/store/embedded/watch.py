"""Sees clients that cancel or vanish while their query runs."""

import os
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.store.embedded.packets import CANCEL

# A server looks for a cancel every `interactive_delay` (100 ms by default): what is answered
# sooner is answered in full, and clients rely on it. A little more, for a busy machine.
_PATIENCE_S = 0.3

Cancel = Callable[[Callable[[], bool]], None]


class Watch:
    """One thread that looks at the sockets of all running queries."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._wake_read, self._wake_write = os.pipe()
        self._open = True
        self._deaf = False
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._thread.start()

    def deafen(self) -> None:
        """From now on nothing is taken for a client that leaves: the server is closing."""
        self._deaf = True

    def stop(self) -> None:
        self._open = False
        self._wake()
        self._thread.join()
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _wake(self) -> None:
        os.write(self._wake_write, b"w")

    @contextmanager
    def watching(self, connection: socket.socket, cancel: Cancel) -> Iterator[None]:
        """For the time of the block: a cancel packet or a closed connection calls `cancel` on
        another thread, unless the block ends within the patience. It is given what says whether
        the block has ended."""
        ended = threading.Event()

        def give_up() -> None:
            if not ended.wait(_PATIENCE_S):
                cancel(ended.is_set)

        with self._lock:
            self._selector.register(connection, selectors.EVENT_READ, give_up)
        self._wake()
        try:
            yield
        finally:
            ended.set()
            with self._lock:
                if connection in self._selector.get_map():
                    self._selector.unregister(connection)

    def _run(self) -> None:
        while self._open:
            for key, _ in self._selector.select():
                if key.data is None:
                    os.read(self._wake_read, 4096)
                    continue
                with self._lock:
                    current = self._selector.get_map().get(key.fd)
                    if current is None or current.data is not key.data:
                        continue
                    self._selector.unregister(key.fileobj)
                if not self._deaf and _left_or_cancelled(key.fileobj):  # type: ignore[arg-type]
                    threading.Thread(target=key.data, name="cancel", daemon=True).start()


def _left_or_cancelled(connection: socket.socket) -> bool:
    try:
        data = connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return not data or data[0] == CANCEL

"""A TCP link that can be cut: a proxy on loopback between a service and what it connects to.

  open    bytes pass both ways
  drop    connections are closed at once, new ones too: bytes on their way are lost
  stall   nothing passes, nothing is closed; afterwards everything goes on
  mute    requests pass, answers do not; afterwards the connections are closed, so the far side
          has done what the near side never heard of

State: threads, two for each connection; they end with the connections.
"""

import socket
import threading
from contextlib import suppress

MODES = ("drop", "stall", "mute")
_STEP = 64 * 1024


class Link:
    """A context manager; `port` is where the near side connects to."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._mode = "open"
        self._change = threading.Condition()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._closed = False

    def __enter__(self) -> "Link":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.set("drop")

    def set(self, mode: str) -> None:
        with self._change:
            hang_up = mode == "drop" or self._mode == "mute"
            self._mode = mode
            pairs = list(self._pairs) if hang_up else []
            self._change.notify_all()
        for pair in pairs:
            self._hang_up(pair)

    def _accept(self) -> None:
        while not self._closed:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            try:
                if self._mode == "drop":
                    raise ConnectionRefusedError
                far = socket.create_connection(("127.0.0.1", self._target), timeout=5)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            pair = near, far
            with self._change:
                self._pairs.add(pair)
            for source, sink, answers in ((near, far, False), (far, near, True)):
                threading.Thread(
                    target=self._pump, args=(pair, source, sink, answers), daemon=True
                ).start()

    def _pump(
        self,
        pair: tuple[socket.socket, socket.socket],
        source: socket.socket,
        sink: socket.socket,
        answers: bool,
    ) -> None:
        try:
            while data := source.recv(_STEP):
                with self._change:
                    self._change.wait_for(lambda: self._passes(pair, answers))
                    if pair not in self._pairs:
                        return
                sink.sendall(data)
        except OSError:
            pass
        finally:
            self._hang_up(pair)

    def _passes(self, pair: tuple[socket.socket, socket.socket], answers: bool) -> bool:
        held = self._mode == "stall" or (self._mode == "mute" and answers)
        return not held or pair not in self._pairs

    def _hang_up(self, pair: tuple[socket.socket, socket.socket]) -> None:
        with self._change:
            self._pairs.discard(pair)
            self._change.notify_all()
        for end in pair:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

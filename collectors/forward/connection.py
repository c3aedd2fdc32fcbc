"""One client's connection: bytes in, bytes out, never waiting. What they mean is server.py's.

A client may have pauses: while its own lines, or all lines, are too many, or while it wants to send
a long message and others do. Then it is not read, and the network makes it wait.
"""

import selectors
import socket
import ssl
import struct
from enum import Enum

from collectors.forward.framing import Framing

SMALL = 8 << 10  # of a message may be held without further ado
_OUT = 64 << 10  # answers that wait; past it the client is not read
_READ = 256 << 10
_DISCARDS = 64
_UCRED = struct.Struct("3i")

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Stage(Enum):
    TLS, PING, OPEN, CLOSED = "TLS handshake", "key", "open", "closed"


class Connection:
    """`now`: monotonic seconds of its begin."""

    def __init__(self, sock: socket.socket, peer: str, *, stage: Stage, limit: int, now: float):
        self.sock = sock
        self.peer = peer
        self.stage = stage
        self.framing = Framing(limit)
        self.since = self.heard_at = now
        self.under_way = 0  # bytes of its lines that are not acknowledged
        self.asks = False  # has it ever asked for an acknowledgement
        self.long_since: float | None = None  # it may send a long message
        self.waits = False  # it wants to
        self.leaving = False  # closed as soon as its answers are out
        self.stuck_since: float | None = None  # answers wait
        self.mask = 0  # what the selector knows
        self._tls_wants = READ if stage is Stage.TLS else 0
        self._out = bytearray()

    @property
    def handshaking(self) -> bool:
        return self.stage in (Stage.TLS, Stage.PING)

    @property
    def paused(self) -> bool:
        return self.waits or len(self._out) >= _OUT or self.leaving

    def wanted(self, *, reading: bool) -> int:
        """For the selector."""
        if self._tls_wants:
            return self._tls_wants
        return (READ if reading and not self.paused else 0) | (WRITE if self._out else 0)

    def shake(self) -> bool:
        """Go on with the TLS handshake; True once it is done. Raises OSError."""
        assert isinstance(self.sock, ssl.SSLSocket)  # noqa: S101 - the stage says so
        try:
            self.sock.do_handshake()
        except ssl.SSLWantReadError:
            self._tls_wants = READ
            return False
        except ssl.SSLWantWriteError:
            self._tls_wants = WRITE
            return False
        self._tls_wants = 0
        return True

    def recv(self) -> bytes | None:
        """None: nothing there now. Empty: the client has gone. Raises OSError."""
        try:
            return self.sock.recv(SMALL if self.long_since is None else _READ)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except ssl.SSLWantWriteError:
            return None

    def pending(self) -> bool:
        """Bytes that only OpenSSL knows of."""
        return isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0

    def say(self, data: bytes) -> None:
        """Answer, now or later."""
        if self.stage is not Stage.CLOSED:
            self._out += data

    def flush(self, now: float) -> None:
        """Raises OSError."""
        while self._out:
            try:
                with memoryview(self._out) as view:
                    count = self.sock.send(view[:_OUT])
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                self.stuck_since = now if self.stuck_since is None else self.stuck_since
                return
            del self._out[:count]
        self.stuck_since = None

    @property
    def silent(self) -> bool:
        """Nothing waits to be sent to it."""
        return not self._out

    def talks(self) -> bool:
        """Throw away what it sent; False once it has ended."""
        try:
            for _ in range(_DISCARDS):
                if not (data := self.recv()):
                    return data is None
        except OSError:
            return False
        return True

    def close(self) -> None:
        self.stage = Stage.CLOSED
        self._out.clear()
        self.sock.close()


def peer_of(sock: socket.socket, address: object) -> str:
    """Who it is, for people."""
    if sock.family == socket.AF_UNIX:
        pid, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return f"unix pid {pid} uid {uid}"
    host, port = address[:2] if isinstance(address, tuple) else (address, 0)
    return f"{host}:{port}"

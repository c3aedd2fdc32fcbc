"""One HTTP exchange on a connection of its own, over when its deadline is over.

The deadline covers everything from the connect to the last byte: before each read the socket gets
what is left of it as time-out, so an answer that trickles, in its headers or in its body, does not
last longer. Standard library only: it lives in the node agent. Only resolving a host name is not
under the deadline (getaddrinfo takes none); the kubelet's address is a literal on most nodes.
"""

import io
import socket
import ssl
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse
from typing import Any, NamedTuple

from pipeline.base.clock import Clock

_PIECE = 1 << 16


class TooLong(Exception):
    """The answer is longer than it may be."""


class Broken(Exception):
    """What came is not HTTP, or ended in the middle."""


class Target(NamedTuple):
    """Where to. Without `context` in clear text."""

    host: str
    port: int
    context: ssl.SSLContext | None = None
    server_name: str = ""  # in the certificate; the host if empty


class Reply(NamedTuple):
    status: int
    body: bytes


class Deadline:
    """A point in time, and what is left until then."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._at = clock.monotonic() + seconds

    def left(self) -> float:
        """Seconds, more than 0; raises TimeoutError when there are none."""
        left = self._at - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError("no whole answer within the deadline")
        return left


class _Bounded(io.RawIOBase):
    """A socket for reading, each read bounded by what is left."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(self._deadline.left())
        return self._connection.recv_into(buffer)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What http.client asks a socket for."""
        return io.BufferedReader(self)


def get(
    target: Target,
    path: str,
    *,
    headers: Mapping[str, str],
    deadline: Deadline,
    max_bytes: int,
) -> Reply:
    """Raises OSError (TimeoutError, ConnectionRefusedError, ssl.SSLCertVerificationError, …),
    TooLong or Broken. Redirects are answers like others."""
    with _connect(target, deadline) as connection:
        connection.settimeout(deadline.left())
        connection.sendall(_request(target, path, headers))
        response = HTTPResponse(_Bounded(connection, deadline), method="GET")  # type: ignore[arg-type]
        try:
            response.begin()
            return Reply(response.status, _body(response, deadline, max_bytes))
        except (HTTPException, ValueError) as error:
            raise Broken(f"{type(error).__name__}: {error}") from error
        finally:
            response.close()


def _request(target: Target, path: str, headers: Mapping[str, str]) -> bytes:
    host = f"[{target.host}]" if ":" in target.host else target.host
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}:{target.port}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _connect(target: Target, deadline: Deadline) -> socket.socket:
    """Connected and, with a context, shaken hands: a socket that closes with its block."""
    connection = _dial(target, deadline)
    if target.context is None:
        return connection
    try:
        connection.settimeout(deadline.left())
        return target.context.wrap_socket(
            connection, server_hostname=target.server_name or target.host
        )
    except BaseException:
        connection.close()
        raise


def _dial(target: Target, deadline: Deadline) -> socket.socket:
    found: OSError = OSError(f"{target.host} has no address")
    addresses = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, address in addresses:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(deadline.left())
            connection.connect(address)
        except OSError as error:
            connection.close()
            found = error
        else:
            return connection
    raise found


def _body(response: HTTPResponse, deadline: Deadline, max_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := response.read1(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > max_bytes:
            raise TooLong(f"longer than {max_bytes} bytes")
        deadline.left()
    if response.length:  # read1 does not complain about an early end
        raise Broken(f"the answer ended {response.length} bytes early")
    return b"".join(pieces)

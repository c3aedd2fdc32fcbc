"""The door of an embedded bus: how collectors of other nodes hand records to it.

A stream of msgpack arrays over TLS, each way. The client begins:

  client  ["hello", 1, token, producer]          producer: a random name
  server  ["hello", 1]                           or ["no", why] and the end
  client  [seq, topic, partition | nil, Unix ms, key | nil, value | nil, [[name, bytes], …]]
  server  [seq, partition, offset]               durable on the bus; offset -1: it was before
  server  [seq, "rejected" | "fatal", why]        refused for good

`seq` counts up from 1. After a broken connection a client sends again what was not acknowledged,
in order; a number that the server has seen from this producer is not written again. It remembers
that in memory: a record whose acknowledgement was lost together with the server is written twice,
which readers of every topic absorb (by file and offset, by id, by key).

Only what collectors and the watcher write may come in: with a stolen token nobody writes facts.
They read one topic, that of log configurations, by a connection of its own:

  client  ["read", 1, token, topic]
  server  ["hello", 1]                           or ["no", why] and the end
  client  ["bounds", partition]
  server  ["bounds", beginning, end]
  client  ["time", partition, Unix ms]
  server  ["time", offset | nil]
  client  ["fetch", partition, offset, ms]        wait so long if there is nothing
  server  [offset, Unix ms, key | nil, value | nil, [[name, bytes], …]] for each record, then
          ["next", offset]
  server  ["fatal", why]                          instead of any of these
"""

import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgpack

from pipeline.base.errors import Fatal, KubeledgerError, Rejected, Unavailable
from pipeline.contract import topics

VERSION = 1
HELLO, NO = "hello", "no"
READ, BOUNDS, TIME, FETCH, NEXT = "read", "bounds", "time", "fetch", "next"
REFUSALS: dict[str, type[KubeledgerError]] = {"rejected": Rejected, "fatal": Fatal}
ALREADY = -1  # offset of a record that was written before
COLLECTED = frozenset({topics.LOGS, topics.PODS, topics.STATE, topics.CONFIGS})
READABLE = frozenset({topics.CONFIGS})
MAX_WAIT_S = 5.0  # of one fetch
MAX_FRAME = topics.MAX_RECORD_BYTES + (64 << 10)
HELLO_FRAME = 4096
HELLO_S = 10.0
_READ = 256 << 10


def pack(frame: list[Any]) -> bytes:
    packed: bytes = msgpack.packb(frame, use_bin_type=True)
    return packed


def is_content(stamp: object, key: object, value: object, headers: object) -> bool:
    """Are these a record's?"""
    return (
        type(stamp) is int
        and (key is None or isinstance(key, bytes))
        and (value is None or isinstance(value, bytes))
        and isinstance(headers, list)
        and all(
            isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)
            and isinstance(pair[1], bytes)
            for pair in headers
        )
    )  # fmt: skip


class Wire:
    """A connection that one thread reads and another writes. The lock is held for single calls
    only: OpenSSL's connections are not made for two threads at a time."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._lock = threading.Lock()
        self.timeout_s: float | None = HELLO_S  # of each read and write

    def recv(self, count: int) -> bytes:
        """At least one byte, none at the end. Raises OSError."""
        while True:
            with self._lock:
                try:
                    return self._connection.recv(count)
                except (BlockingIOError, ssl.SSLWantReadError):
                    wanted = select.POLLIN
                except ssl.SSLWantWriteError:
                    wanted = select.POLLOUT
            self._wait(wanted)

    def sendall(self, data: bytes) -> None:
        """Raises OSError."""
        view = memoryview(data)
        while view:
            with self._lock:
                try:
                    view = view[self._connection.send(view) :]
                    continue
                except (BlockingIOError, ssl.SSLWantWriteError):
                    wanted = select.POLLOUT
                except ssl.SSLWantReadError:
                    wanted = select.POLLIN
            self._wait(wanted)

    def _wait(self, wanted: int) -> None:
        poll = select.poll()
        try:
            poll.register(self._connection, wanted)
        except ValueError as error:  # another thread has closed it this very moment
            raise ConnectionAbortedError("the connection was closed here") from error
        if not poll.poll(None if self.timeout_s is None else self.timeout_s * 1000):
            raise TimeoutError(f"nothing for {self.timeout_s:g} s")

    def end(self) -> None:
        """Whoever reads or writes hears of it."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.end()
        self._connection.close()


def frames(wire: Wire, *, first: int = MAX_FRAME) -> Iterator[list[Any]]:
    """What comes, until the other side ends. `first`: bytes that the first frame may have, for who
    has not said yet who they are. Raises Unavailable for what is no such stream."""
    unpacker = msgpack.Unpacker(raw=False, max_buffer_size=MAX_FRAME + _READ, use_list=True)
    taken = 0
    begun = False
    while True:
        try:
            data = wire.recv(_READ if begun else first)
        except OSError as error:
            raise Unavailable(f"the connection broke: {error}") from error
        if not data:
            return
        taken += len(data)
        try:
            unpacker.feed(data)
            for frame in unpacker:
                if not isinstance(frame, list) or not frame:
                    raise Unavailable("the other side does not speak this protocol")
                begun = True
                yield frame
        except (ValueError, msgpack.UnpackException) as error:
            raise Unavailable(f"the other side does not speak this protocol: {error}") from error
        if not begun and taken >= first:
            raise Unavailable("the first message is too long")

"""The door of an embedded bus, inside: takes records of collectors and answers when each is
durable. door.py says what both sides speak.

Per connection one thread reads and one writes answers. What a connection may have under way is
bounded; past it nothing more is read from it, and the collector's files are the buffer.
"""

import hmac
import queue
import socket
import ssl
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.base.config import read_secret
from pipeline.base.errors import KubeledgerError, Rejected, Unavailable
from pipeline.broker import door
from pipeline.broker.door_reading import answer
from pipeline.broker.protocol import Position, Producer, Reader

MAX_CONNECTIONS = 512
UNDER_WAY_BYTES = 16 << 20  # per connection
_RESULTS = 4096  # per producer: more than any collector has under way
_PRODUCERS = 4096

Say = Callable[[str, str], None]  # (what, about whom)


@dataclass(slots=True)
class _Session:
    """What is remembered of a producer, over its connections."""

    turn: int = 0  # of its newest connection; an older one may write no more
    last: int = 0  # highest number that was sent to the bus
    results: "OrderedDict[int, Future[Position]]" = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class DoorServer:
    """`listener` is bound and listening. `tls` None: loopback only, the caller sees to it."""

    def __init__(
        self,
        listener: socket.socket,
        producer: Producer,
        *,
        reader: Callable[[], Reader],
        tls: ssl.SSLContext | None,
        token_file: Path,
        allowed: frozenset[str] = door.COLLECTED,
        readable: frozenset[str] = door.READABLE,
        say: Say,
    ) -> None:
        self._listener = listener
        self._producer = producer
        self.reader = reader
        self._tls = tls
        self._token_file = token_file
        read_secret(token_file, "token of the bus")  # a missing one is an error now
        self._allowed = allowed
        self.readable = readable
        self.say = say
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._ending = False
        self._thread = threading.Thread(target=self._accept, name="door", daemon=True)

    def start(self) -> "DoorServer":
        self._thread.start()
        return self

    def close(self) -> None:
        self._ending = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            _end(connection)
        self._thread.join(2.0)

    @property
    def connections(self) -> int:
        return len(self._open)

    def _accept(self) -> None:
        while not self._ending:
            try:
                connection, peer = self._listener.accept()
            except OSError:
                continue
            if len(self._open) >= MAX_CONNECTIONS:
                connection.close()
                self.say("full", str(peer[0]))
                continue
            with self._lock:
                self._open.add(connection)
            threading.Thread(
                target=self._serve, args=(connection, str(peer[0])), name="door-in", daemon=True
            ).start()

    def _serve(self, plain: socket.socket, peer: str) -> None:
        connection = plain
        try:
            plain.settimeout(door.HELLO_S)
            if self._tls is not None:
                connection = self._tls.wrap_socket(plain, server_side=True)
                with self._lock:
                    self._open.discard(plain)
                    self._open.add(connection)
            _Visit(self, door.Wire(connection), peer).run()
        except (KubeledgerError, OSError) as error:
            if not self._ending:
                self.say("broken", f"{peer}: {error}")
        finally:
            _end(connection)
            with self._lock:
                self._open.discard(connection)

    def admits(self, token: object) -> bool:
        """Read anew each time: tokens are rotated."""
        known = read_secret(self._token_file, "token of the bus").encode()
        given = token.encode() if isinstance(token, str) else b""
        return bool(known) and hmac.compare_digest(known, given)

    def session(self, name: str) -> tuple[_Session, int]:
        """Of this producer, and the turn of the connection that asks."""
        with self._lock:
            found = self._sessions.setdefault(name, _Session())
            self._sessions.move_to_end(name)
            while len(self._sessions) > _PRODUCERS:
                self._sessions.popitem(last=False)
        with found.lock:
            found.turn += 1
            return found, found.turn

    def write(self, topic: str, rest: list[Any]) -> "Future[Position]":
        partition, stamp, key, value, headers = rest
        if topic not in self._allowed:
            refused: Future[Position] = Future()
            refused.set_exception(Rejected(f"topic {topic!r:.60} is not one that collectors write"))
            return refused
        return self._producer.send(
            topic,
            key=key,
            value=value,
            headers=tuple((name, content) for name, content in headers),
            partition=partition,
            timestamp_ms=stamp,
        )


class _Visit:
    """One connection."""

    def __init__(self, server: DoorServer, wire: door.Wire, peer: str) -> None:
        self._server = server
        self._wire = wire
        self._peer = peer
        self._answers: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._room = threading.Condition()
        self._under_way = 0

    def run(self) -> None:
        stream = door.frames(self._wire, first=door.HELLO_FRAME)
        hello = next(stream, None)
        if hello is None:
            return
        why = self._refusal(hello)
        if why:
            self._wire.sendall(door.pack([door.NO, why]))
            self._server.say("refused", f"{self._peer}: {why}")
            return
        if hello[0] == door.READ:
            self._read(stream, hello[3])
            return
        session, turn = self._server.session(hello[3])
        self._welcome()
        writer = threading.Thread(target=self._write, name="door-out", daemon=True)
        writer.start()
        try:
            for frame in stream:
                self._take(frame, session, turn)
        finally:
            self._answers.put(None)
            writer.join(2.0)

    def _welcome(self) -> None:
        self._wire.sendall(door.pack([door.HELLO, door.VERSION]))
        self._wire.timeout_s = None

    def _read(self, stream: Iterator[list[Any]], topic: str) -> None:
        reader = self._server.reader()
        try:
            self._welcome()
            answer(stream, self._wire, topic, reader)
        finally:
            reader.close()

    def _refusal(self, hello: list[Any]) -> str:
        words = (door.HELLO, door.READ)
        if len(hello) != 4 or hello[0] not in words or not isinstance(hello[3], str):
            return "this is the bus of kubeledger; say hello first"
        if hello[1] != door.VERSION:
            return f"protocol version {hello[1]!r:.20} is not {door.VERSION}; use the same release"
        if not self._server.admits(hello[2]):
            return "the token is wrong"
        if hello[0] == door.READ and hello[3] not in self._server.readable:
            return f"topic {hello[3]!r:.60} is not one that collectors read"
        return ""

    def _take(self, frame: list[Any], session: _Session, turn: int) -> None:
        if not _is_record(frame):
            raise Unavailable("a record is not as the protocol says")
        seq, topic, *rest = frame
        size = len(rest[3] or b"") + 256
        with self._room:
            self._room.wait_for(lambda: self._under_way < UNDER_WAY_BYTES)
            self._under_way += size
        with session.lock:
            if session.turn != turn:
                raise Unavailable("this producer has come again by another connection")
            if seq > session.last:
                session.last = seq
                future = self._server.write(topic, rest)
                session.results[seq] = future
                if len(session.results) > _RESULTS:
                    session.results.popitem(last=False)
            else:
                future = session.results.get(seq) or _before()
        future.add_done_callback(lambda done: self._done(seq, size, done))

    def _done(self, seq: int, size: int, done: "Future[Position]") -> None:
        """On the bus's thread: short."""
        error = done.exception()
        if error is None:
            position = done.result()
            self._answers.put(door.pack([seq, position.partition, position.offset]))
        else:
            kind = next((k for k, made in door.REFUSALS.items() if isinstance(error, made)), None)
            # what is no refusal ends the connection: the record is still pending over there
            self._answers.put(door.pack([seq, kind, str(error)]) if kind else None)
        with self._room:
            self._under_way -= size
            self._room.notify_all()

    def _write(self) -> None:
        try:
            while (answer := self._answers.get()) is not None:
                self._wire.sendall(answer)
        except OSError:
            pass
        self._wire.end()


def _is_record(frame: list[Any]) -> bool:
    if len(frame) != 7:
        return False
    seq, topic, partition, *rest = frame
    return (
        type(seq) is int
        and isinstance(topic, str)
        and (partition is None or type(partition) is int)
        and door.is_content(*rest)
    )


def _before() -> "Future[Position]":
    done: Future[Position] = Future()
    done.set_result(Position(0, door.ALREADY))
    return done


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()

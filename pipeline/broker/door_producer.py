"""A producer behind the door of an embedded bus (kubeledger://HOST:PORT), for collectors that run
on other nodes than the bus. They only write: there is no consumer, no reader, no admin here.

State: what was sent and not acknowledged, by number, in order. One thread connects and writes, one
reads acknowledgements while a connection lasts; after a break everything pending goes again.
"""

import secrets
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NoReturn

from pipeline.base.clock import Clock, SystemClock
from pipeline.base.errors import KubeledgerError, Unavailable, UsageError
from pipeline.base.secret import read_secret
from pipeline.base.tls import client_tls
from pipeline.broker import door
from pipeline.broker.config import BrokerConfig
from pipeline.broker.limits import refusal
from pipeline.broker.protocol import Position
from pipeline.contract.record import Headers

_CONNECT_S = 5.0
_SILENT_S = 60.0  # acknowledgements are due and none came
_RETRY_S = (0.5, 5.0)
_ONLY_WRITES = "broker.url kubeledger://… is for collect and watch: they write, and nothing else"

Notice = Callable[[str], None]


class DoorBroker:
    """`address` is HOST:PORT of `kubeledger bus`."""

    def __init__(
        self,
        address: tuple[str, int],
        config: BrokerConfig,
        *,
        notice: Notice | None = None,
        clock: Clock | None = None,
    ) -> None:
        if config.password_file is None:
            raise UsageError("broker.password_file: the bus wants a token; name the file with it")
        self._address = address
        self._token_file = config.password_file
        self._tls = _tls(config, address[0])
        self._notice = notice or _ignore
        self._clock = clock or SystemClock()

    def producer(self) -> "DoorProducer":
        return DoorProducer(
            self._address, self._tls, self._token_file, notice=self._notice, clock=self._clock
        ).start()

    def consumer(self, group: str) -> NoReturn:
        raise UsageError(_ONLY_WRITES)

    def reader(self) -> NoReturn:
        raise UsageError(_ONLY_WRITES)

    def admin(self) -> NoReturn:
        raise UsageError(_ONLY_WRITES)

    def close(self) -> None:
        """Each producer holds its own connection."""


class DoorProducer:
    """Thread-safe, see protocol.Producer."""

    def __init__(
        self,
        address: tuple[str, int],
        tls: ssl.SSLContext | None,
        token_file: Path,
        *,
        notice: Notice,
        clock: Clock,
    ) -> None:
        self._address = address
        self._tls = tls
        self._token_file = token_file
        self._notice = notice
        self._clock = clock
        self._name = secrets.token_hex(16)
        self._changed = threading.Condition()
        self._pending: dict[int, tuple[Future[Position], bytes]] = {}
        self._next = 1
        self._unsent: list[int] = []
        self._broken = False
        self._closing = False
        self._troubled = False
        self._thread = threading.Thread(target=self._run, name="bus-door", daemon=True)

    def start(self) -> "DoorProducer":
        self._thread.start()
        return self

    def send(
        self,
        topic: str,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> "Future[Position]":
        future: Future[Position] = Future()
        refused = refusal(topic, key, value, headers=headers)
        if refused is not None:
            future.set_exception(refused)
            return future
        stamp = self._clock.wall_ns() // 1_000_000 if timestamp_ms is None else timestamp_ms
        rest = [topic, partition, stamp, key, value, [list(pair) for pair in headers]]
        with self._changed:
            if not self._closing:
                seq, self._next = self._next, self._next + 1
                self._pending[seq] = future, door.pack([seq, *rest])
                self._unsent.append(seq)
                self._changed.notify_all()
                return future
        future.set_exception(Unavailable("the producer is closed"))
        return future

    def flush(self, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._pending, timeout_s)

    def close(self, timeout_s: float) -> None:
        self.flush(timeout_s)
        with self._changed:
            self._closing = True
            left, self._pending, self._unsent = list(self._pending.values()), {}, []
            self._changed.notify_all()
        for future, _ in left:
            _settle(future, Unavailable("closed before this record was acknowledged"))
        self._thread.join(2.0)

    # One connection after the other

    def _run(self) -> None:
        pause = _RETRY_S[0]
        while not self._closing:
            try:
                wire = self._connect()
                pause = _RETRY_S[0]
                with closing(wire):
                    self._work(wire)
            except Unavailable as error:
                if not self._troubled:
                    self._troubled = True
                    self._notice(str(error))
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, pause)
                pause = min(pause * 2, _RETRY_S[1])

    def _connect(self) -> door.Wire:
        """A connection on which both have said hello."""
        host, port = self._address
        try:
            token = read_secret(self._token_file, "token of the bus")
            made = socket.create_connection((host, port), _CONNECT_S)
            try:
                if self._tls is not None:
                    made = self._tls.wrap_socket(made, server_hostname=host)
            except BaseException:
                made.close()
                raise
        except (OSError, UsageError) as error:
            raise Unavailable(f"the bus at {host}:{port} cannot be reached: {error}") from error
        wire = door.Wire(made)
        try:
            self._greet(wire, token)
        except BaseException:
            wire.close()
            raise
        wire.timeout_s = _SILENT_S
        return wire

    def _greet(self, wire: door.Wire, token: str) -> None:
        try:
            wire.sendall(door.pack([door.HELLO, door.VERSION, token, self._name]))
            answer = next(door.frames(wire), [])
        except OSError as error:
            raise Unavailable(f"the bus closed the connection: {error}") from error
        if answer[:1] != [door.HELLO]:
            why = answer[1] if len(answer) > 1 else "it closed the connection"
            raise Unavailable(f"the bus at {self._address[0]}:{self._address[1]} says no: {why}")

    def _work(self, wire: door.Wire) -> None:
        """Write what is to be sent, until the connection breaks or the producer is closed."""
        with self._changed:
            self._broken = False
            self._unsent = sorted(self._pending)
        listener = threading.Thread(
            target=self._listen, args=(wire,), name="bus-door-acks", daemon=True
        )
        listener.start()
        try:
            while (block := self._due()) is not None:
                wire.sendall(block)
        except OSError as error:
            raise Unavailable(f"the bus went away: {error}") from error
        finally:
            wire.end()
            listener.join(2.0)
        if not self._closing:
            raise Unavailable("the bus closed the connection")

    def _due(self) -> bytes | None:
        """What goes out next; None when this connection is of no use any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._unsent or self._broken or self._closing)
            if self._broken or self._closing:
                return None
            block, size = [], 0
            taken = 0
            for seq in self._unsent:
                taken += 1
                if (entry := self._pending.get(seq)) is not None:
                    block.append(entry[1])
                    size += len(entry[1])
                if size > 1 << 20:
                    break
            del self._unsent[:taken]
        return b"".join(block)

    def _listen(self, wire: door.Wire) -> None:
        """On a thread of its own, for as long as the connection lasts."""
        try:
            for frame in self._answers(wire):
                self._acknowledged(frame)
        except Unavailable as error:
            if not self._troubled and not self._closing:
                self._troubled = True
                self._notice(str(error))
        with self._changed:
            self._broken = True
            self._changed.notify_all()

    def _answers(self, wire: door.Wire) -> Iterator[list[Any]]:
        """Silence is fine while nothing is due."""
        while True:
            try:
                yield from door.frames(wire)
                return
            except Unavailable as error:
                if not isinstance(error.__cause__, TimeoutError) or self._pending:
                    raise

    def _acknowledged(self, frame: list[Any]) -> None:
        with self._changed:
            entry = self._pending.pop(frame[0], None)
            if not self._pending:
                self._changed.notify_all()
            troubled, self._troubled = self._troubled, False
        if troubled:
            self._notice("the bus takes records again")
        if entry is not None:
            refused = door.REFUSALS.get(frame[1])
            _settle(entry[0], refused(frame[2]) if refused else Position(frame[1], frame[2]))


def _settle(future: "Future[Position]", outcome: Position | KubeledgerError) -> None:
    with suppress(InvalidStateError):
        if isinstance(outcome, KubeledgerError):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def _tls(config: BrokerConfig, host: str) -> ssl.SSLContext | None:
    if config.security == "plaintext":
        if host not in ("127.0.0.1", "localhost", "::1"):
            raise UsageError(
                "broker.security is plaintext, and the token would travel in clear text: set tls"
            )
        return None
    if config.security != "tls":
        raise UsageError("broker.security: for kubeledger://… it is tls, with ca_file")
    try:
        return client_tls(config.ca_file)
    except OSError as error:
        raise UsageError(f"broker.ca_file {config.ca_file}: {error}") from error


def _ignore(_text: str) -> None:
    """Nobody wants to hear."""

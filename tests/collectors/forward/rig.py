"""A forward input for tests: real sockets on loopback, a toy bus that acknowledges when told, time
that stands still unless told, lives that end without a word. The test's thread is the server's."""

import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgpack

from collectors.config import CollectConfig
from collectors.forward.logs import ForwardLogs
from collectors.forward.opening import _listeners
from collectors.forward.server import ForwardServer
from collectors.logs.positions import Positions
from collectors.ship import Shipper
from pipeline.base.clock import ManualClock
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.contract.record import FileEnd, Gap
from tests.collectors.rig import Delivered, ToyProducer, delivered

SECOND = 1_795_412_100
_QUICK, _AT_ONCE = 100, 10  # rounds in which nothing is sent to the bus
_PATIENCE_S = 60.0  # of the machine's own time


def event_time(ns: int) -> msgpack.ExtType:
    return msgpack.ExtType(0, (ns // 10**9).to_bytes(4, "big") + (ns % 10**9).to_bytes(4, "big"))


def entries(count: int, *, size: int = 20, first: int = 0) -> list[Any]:
    return [
        [event_time(SECOND * 10**9 + n), {"n": n, "text": "x" * size}]
        for n in range(first, first + count)
    ]


def packed(events: list[Any]) -> bytes:
    return b"".join(msgpack.packb(event) for event in events)


class Input:
    """`start` begins a life; `kill` ends it as SIGKILL does, `stop` as SIGTERM."""

    def __init__(self, state: Path, *, limits: dict[str, Any] | None = None, **forward: Any):
        self.config = CollectConfig(
            node="node-a", state_dir=state, limits=limits or {},
            forward={"listen": "127.0.0.1:0", **forward},
        )  # fmt: skip
        self.clock = ManualClock(wall_ns=SECOND * 10**9)
        self.telemetry = RecordingTelemetry()
        self.producer = ToyProducer()
        self.lives = 0
        self.tls: ssl.SSLContext | None = None
        self._life: ExitStack | None = None
        self._clients: list[socket.socket] = []

    def start(self) -> "Input":
        self._life = life = ExitStack()
        self.lives += 1
        config = self.config
        self.positions = life.enter_context(
            Positions(Path(config.state_dir) / "forward", self.telemetry)
        )
        ship = Shipper(
            self.producer, self.positions, limits=config.limits, telemetry=self.telemetry,
            clock=self.clock, wake=lambda: None,
        )  # fmt: skip
        self.logs = ForwardLogs(
            config, ship=ship, positions=self.positions, life=f"life {self.lives}"
        )
        self.logs.begin()
        listeners = [life.enter_context(one) for one in _listeners(config.forward)]
        self.address = listeners[0].getsockname()
        self.server = ForwardServer(
            config, listeners, tls=self.tls, logs=self.logs, telemetry=self.telemetry,
            clock=self.clock,
        )  # fmt: skip
        life.callback(self.server.close)
        return self

    def step(self, seconds: float = 0.0) -> None:
        """Time passes only if told; the linger is never waited for."""
        self.clock.advance(seconds)
        self.server.step(wait=False)

    def until(self, condition: Callable[[], Any]) -> None:
        """Rounds of the loop; a condition that never comes ends the test."""
        for _ in self._turning():
            if condition():
                return
        raise AssertionError("it did not come")

    def _turning(self) -> Iterator[None]:
        """Time is made to pass for what the server holds, and for nothing else: what is still on
        its way here takes as long as the machine takes. Were an hour to pass meanwhile, whoever is
        waited for would be too late."""
        idle, sent = 0, len(self.producer.keys)
        began = last = time.monotonic()
        while last < began + _PATIENCE_S:
            yield
            if len(self.producer.keys) > sent:
                idle, sent = 0, len(self.producer.keys)
            idle += 1
            if idle > _AT_ONCE:
                time.sleep(0.001)
            now = time.monotonic()
            quick = self.logs.busy and idle <= _QUICK
            self.step(0.3 if quick else now - last)
            last = now

    def rounds(self, count: int = 5) -> None:
        """For what the server does by itself. What is sent to it may take a moment to arrive, on
        loopback too: that is a matter of `until`."""
        for _ in range(count):
            self.step(0.3)

    def client(self) -> socket.socket:
        sock = socket.create_connection(self.address, timeout=60.0)
        self._clients.append(sock)
        return sock

    def ask(self, client: socket.socket, message: Any) -> Any:
        """Send, run the loop until something is answered; b"" at the end of the connection."""
        client.sendall(message if isinstance(message, bytes) else msgpack.packb(message))
        return self.answer(client)

    def answer(self, client: socket.socket) -> Any:
        client.setblocking(False)
        unpacker = msgpack.Unpacker()
        for _ in self._turning():
            try:
                data = client.recv(65536)
            except BlockingIOError:
                continue
            except ConnectionResetError:
                return b""
            if not data:
                return b""
            unpacker.feed(data)
            for found in unpacker:
                client.settimeout(60.0)
                return found
        raise AssertionError("no answer")

    def stop(self) -> None:
        self.server.refuse_all()
        self.logs.finish()
        self.until(lambda: not self.logs.busy)
        self._end()

    def kill(self) -> None:
        self.positions.sync = lambda: None  # type: ignore[method-assign]
        self._end()

    def _end(self) -> None:
        if self._life is not None:
            self._life.close()
            self._life = None
        for client in self._clients:
            client.close()
        self._clients.clear()

    def close(self) -> None:
        if self._life is not None:
            self.kill()

    # -- what the bus has --------------------------------------------------------------------

    def files(self) -> dict[int, Delivered]:
        return delivered(self.producer.records)

    def records(self) -> list[dict[str, Any]]:
        """Bodies of all lines, parts put together."""
        return [json.loads(body) for file in self.files().values() for body in bodies(file)]

    def numbers(self) -> list[int]:
        return sorted(record["n"] for record in self.records())

    def gaps(self) -> list[Gap]:
        return [gap for file in self.files().values() for gap in file.gaps]

    def ends(self) -> list[FileEnd]:
        return [end for file in self.files().values() for end in file.ends]

    def said(self, name: str) -> list[dict[str, Any]]:
        return [fields for event, fields in self.telemetry.events if event == name]


def bodies(file: Delivered) -> list[bytes]:
    found, begun = [], b""
    for line in file.content().split(b"\n")[:-1]:
        _, _, tag, text = line.split(b" ", 3)
        begun += text
        if tag == b"F":
            found.append(begun)
            begun = b""
    assert not begun
    return found

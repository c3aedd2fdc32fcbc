"""Takes the place of the mock server in fluent-logger's own tests: the forward input itself, and
what it made of the messages, turned back into messages."""

import json
import socket
import tempfile
import time
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgpack
import zstandard

from collectors.config import CollectConfig
from collectors.forward.opening import open_forward
from pipeline.base.clock import SystemClock
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.broker.protocol import Position
from pipeline.contract.record import Chunk, decode_headers
from pipeline.stages.timestamps import parse_rfc3339

_WAIT_S = 60.0
_LAST = "the last client"


class Bus:
    """Acknowledges at once; keeps the lines, by the path of their file."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, bytes]] = []

    def send(self, topic: str, *, value: bytes | None, headers: Any, **_: Any) -> Any:
        event = decode_headers(headers)
        if isinstance(event, Chunk):
            raw = zstandard.ZstdDecompressor().decompress(value or b"")
            self.lines += [(event.source.path, line) for line in raw.splitlines()]
        future: Future[Position] = Future()
        future.set_result(Position(0, 0))
        return future


class MockRecvServer:
    """The names and the behaviour that the tests know: `get_received` waits until the client has
    closed its connection."""

    def __init__(self, host: str = "localhost", port: int = 0) -> None:
        self._bus, self._open = Bus(), ExitStack()
        self._telemetry = RecordingTelemetry()
        state = self._open.enter_context(tempfile.TemporaryDirectory())
        if host.startswith("unix://"):
            listen: dict[str, Any] = {"unix": host.removeprefix("unix://")}
        else:
            listen = {"listen": f"127.0.0.1:{port}"}
        self._forward = self._open.enter_context(
            open_forward(
                CollectConfig(node="n", state_dir=Path(state), forward=listen),
                producer=self._bus,  # type: ignore[arg-type]
                telemetry=self._telemetry,
                clock=SystemClock(),
                wake=lambda: None,
            )
        )
        (listener,) = self._forward._server._listeners
        self._address = listener.getsockname()
        self._family = listener.family
        if self._family == socket.AF_INET:
            self.port = self._address[1]

    def get_received(self) -> list[Any]:
        self._follow()
        clients, deadline = self._forward._server._clients, time.monotonic() + _WAIT_S
        while clients:
            assert time.monotonic() < deadline, "the client has not closed its connection"
            time.sleep(0.02)
        self._open.close()
        self._forward.check()
        return [_message(path, line) for path, line in self._bus.lines]

    def _follow(self) -> None:
        """A client that comes after all others and is answered: then the others were accepted."""
        with socket.socket(self._family) as last:
            last.settimeout(_WAIT_S)
            last.connect(self._address)
            last.sendall(msgpack.packb([_LAST, [], {"chunk": _LAST}]))
            assert last.recv(100)

    def close(self) -> None:
        self._open.close()


def _message(path: str, line: bytes) -> list[Any]:
    stamp, _, _, body = line.split(b" ", 3)
    ns = parse_rfc3339(stamp) or 0
    seconds, rest = divmod(ns, 10**9)
    when: Any = seconds
    if rest:
        when = msgpack.ExtType(0, seconds.to_bytes(4, "big") + rest.to_bytes(4, "big"))
    return [path.removeprefix("forward:"), when, json.loads(body)]

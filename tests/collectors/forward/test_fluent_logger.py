"""The real fluent-logger against a running forward input, over TCP and a Unix socket; and how the
input is opened and closed."""

import logging
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgpack
import pytest
from fluent import asyncsender, handler, sender

from collectors.config import CollectConfig
from collectors.forward.opening import Forward, open_forward
from pipeline.base.clock import SystemClock
from pipeline.base.config import load
from pipeline.base.errors import Fatal, UsageError
from pipeline.base.telemetry import RecordingTelemetry, fluent_forwarder
from tests.collectors.forward.rig import bodies, entries
from tests.collectors.rig import ToyProducer, delivered


class Running:
    def __init__(self, producer: ToyProducer, telemetry: RecordingTelemetry, forward: Forward):
        self.producer = producer
        self.telemetry = telemetry
        self.forward = forward
        (said,) = [f for name, f in telemetry.events if name == "forward-listening"]
        self.port = int(said["addresses"][0].rstrip(")").split(", ")[1])

    def rows(self) -> dict[str, list[bytes]]:
        """By container, as far as they have come."""
        found: dict[str, list[bytes]] = {}
        for file in delivered(list(self.producer.records)).values():
            found.setdefault(file.events[0].source.container, []).extend(bodies(file))
        return found

    def wait(self, count: int) -> dict[str, list[bytes]]:
        deadline = time.monotonic() + 60
        while sum(map(len, self.rows().values())) < count:
            assert time.monotonic() < deadline, self.telemetry.events
            self.forward.check()
            time.sleep(0.02)
        return self.rows()


@contextmanager
def running(state: Path, **settings: Any) -> Iterator[Running]:
    producer, telemetry = ToyProducer(), RecordingTelemetry()
    forward = {"listen": "127.0.0.1:0", **settings}
    config = CollectConfig(node="node-a", state_dir=state, forward=forward, stop_timeout_s=60)
    with open_forward(
        config, producer=producer, telemetry=telemetry, clock=SystemClock(), wake=lambda: None
    ) as opened:
        yield Running(producer, telemetry, opened)


def test_fluent_sender(tmp_path: Path) -> None:
    with running(tmp_path) as input_:
        logger = sender.FluentSender("app", port=input_.port, timeout=60, nanosecond_precision=True)
        for n in range(100):
            assert logger.emit("follow", {"n": n, "中文": "日志", "raw": b"\xff"})
        assert logger.emit_with_time("past", 1_700_000_000, {"old": True})
        assert logger.emit(None, {"alone": 1})
        logger.close()
        rows = input_.wait(102)
    assert rows["app.follow"][0] == '{"n":0,"中文":"日志","raw":"'.encode() + b'\xff"}'
    assert (rows["app.past"], rows["app"]) == ([b'{"old":true}'], [b'{"alone":1}'])
    ends = [end for f in delivered(input_.producer.records).values() for end in f.ends]
    assert [end.exact for end in ends] == [True] * 3


def test_async_sender_and_unix_socket(tmp_path: Path) -> None:
    """The socket is guarded by its rights: the shared key is for TCP."""
    path, key = tmp_path / "forward.sock", tmp_path / "key"
    key.write_text("a key")
    with running(tmp_path / "state", unix=path, shared_key_file=key) as input_:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        logger = asyncsender.FluentSender("app", host=f"unix://{path}", timeout=60)
        for n in range(500):
            assert logger.emit("x", {"n": n})
        logger.close()
        rows = input_.wait(500)
    assert rows["app.x"] == [b'{"n":%d}' % n for n in range(500)]


def test_logging_handler(tmp_path: Path) -> None:
    with running(tmp_path) as input_, ExitStack() as stack:
        out = handler.FluentHandler("py.app", port=input_.port, timeout=60)
        stack.callback(out.close)
        out.setFormatter(handler.FluentRecordFormatter({"level": "%(levelname)s"}))
        logger = logging.Logger("test")
        logger.addHandler(out)
        logger.error({"message": "it failed"})
        rows = input_.wait(1)
    assert rows["py.app"] == [b'{"level":"ERROR","message":"it failed"}']


def test_our_services_own_events(tmp_path: Path) -> None:
    with running(tmp_path) as input_:
        forward = fluent_forwarder("127.0.0.1", input_.port, "kubeledger.collect")
        forward("gap", {"level": "warn", "event": "gap"})
        rows = input_.wait(1)
        forward.close()
    assert rows == {"kubeledger.collect.gap": [b'{"level":"warn","event":"gap"}']}


def test_a_socket_left_behind_is_replaced_one_that_answers_is_not(tmp_path: Path) -> None:
    path = tmp_path / "forward.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with running(tmp_path / "a", unix=path) as input_:
        with (
            pytest.raises(UsageError, match="another process serves this socket"),
            running(tmp_path / "b", unix=path),
        ):
            pass
        logger = sender.FluentSender("app", host=f"unix://{path}", timeout=60)
        logger.emit(None, {"a": 1})
        logger.close()
        input_.wait(1)


def test_a_stop_answers_what_was_taken(tmp_path: Path) -> None:
    with running(tmp_path) as input_:
        client = socket.create_connection(("127.0.0.1", input_.port), timeout=60)
        for n in range(20):
            client.sendall(msgpack.packb(["t", entries(100, first=n * 100), {"chunk": f"{n}"}]))
        assert client.recv(1)
    answers = b"\x81"
    with client:
        while data := client.recv(65536):
            answers += data
    unpacker = msgpack.Unpacker()
    unpacker.feed(answers)
    acked = {int(found["ack"]) for found in unpacker}
    assert acked
    numbers = "".join(map(str, input_.rows()["t"]))
    for n in acked:
        assert f'"n":{n * 100 + 99},' in numbers


def test_what_breaks_the_thread_ends_the_agent(tmp_path: Path) -> None:
    woken: list[int] = []
    with running(tmp_path) as input_:
        input_.forward._wake = lambda: woken.append(1)
        input_.forward._logs.step = lambda now: 1 / 0  # type: ignore[assignment]
        input_.forward._thread.join(60)
        with pytest.raises(Fatal, match="the forward input failed"):
            input_.forward.check()
    assert woken


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"listen": "0.0.0.0:24224"}, "is not loopback"),
        ({"listen": "24224"}, "not HOST:PORT"),
        ({"listen": "127.0.0.1:99999"}, "not HOST:PORT"),
        ({"cert_file": "a"}, "go together"),
        ({"users": [{"name": "a", "password_file": "b"}]}, "go with `shared_key_file`"),
        ({"unix_mode": "rw"}, "unix_mode"),
        ({"lisen": "127.0.0.1:1"}, "did you mean `listen`"),
    ],
)
def test_wrong_settings_say_what_to_do(tmp_path: Path, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match="collect configuration: ") as caught:
        load(CollectConfig, service="collect", overrides={"forward": settings}, environment={})
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"shared_key_file": "absent"}, "cannot read the shared key"),
        ({"shared_key_file": os.devnull}, "is empty"),
        ({"cert_file": os.devnull, "key_file": os.devnull}, "certificate /dev/null"),
        ({"listen": "192.0.2.1:1", "cert_file": "c", "key_file": "k", "shared_key_file": "s"}, "c"),
        ({"unix": "/proc/nowhere/socket"}, "forward.unix: cannot listen"),
    ],
)
def test_what_cannot_be_opened_says_so(tmp_path: Path, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught, running(tmp_path, **settings):
        pass
    assert says in str(caught.value)

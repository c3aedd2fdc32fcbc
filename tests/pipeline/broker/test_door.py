"""The door of the embedded bus: who may come in, what is bounded, what a break costs. That a
producer behind it is a producer like any other is held by tests/contracts."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pipeline.base.errors import Rejected, Unavailable, UsageError
from pipeline.base.ports import free_port
from pipeline.base.tls import server_tls
from pipeline.broker import door, door_entrance
from pipeline.broker.config import BrokerConfig
from pipeline.broker.door_server import DoorServer
from pipeline.broker.open import open_broker
from pipeline.broker.protocol import Broker, TopicPartition
from pipeline.broker.sqlite import SqliteBroker
from pipeline.contract.topics import CONFIGS, FACTS, LOGS, STATE, topic_specs
from tests.real.authority import self_signed

TOKEN = "s3cret-of-the-bus"  # noqa: S105


class Door:
    """A bus with a door that can be closed and opened again, as a killed process would be."""

    def __init__(self, folder: Path, tls: ssl.SSLContext | None = None) -> None:
        self.folder = folder
        self.said: list[tuple[str, str]] = []
        self.notices: list[str] = []
        self.token = folder / "token"
        self.token.write_text(TOKEN)
        self.bus: Broker = SqliteBroker(folder / "bus.db")
        admin = self.bus.admin()
        admin.ensure(topic_specs(2), create=True)
        admin.close()
        self._tls = tls
        self.port = free_port()
        self.open()

    def open(self) -> None:
        self._inside = self.bus.producer()
        listener = socket.create_server(("127.0.0.1", self.port))
        self._server = DoorServer(
            listener, self._inside, reader=self.bus.reader, tls=self._tls, token_file=self.token,
            say=lambda what, whom: self.said.append((what, whom)),
        ).start()  # fmt: skip

    def close(self) -> None:
        self._server.close()
        self._inside.close(5.0)

    def config(self, **more: Any) -> BrokerConfig:
        host = "localhost" if self._tls else "127.0.0.1"
        given = {"url": f"kubeledger://{host}:{self.port}", "password_file": self.token, **more}
        return BrokerConfig(**given)

    def producer(self, **more: Any) -> Any:
        return open_broker(self.config(**more), notice=self.notices.append).producer()

    def stored(self) -> list[bytes]:
        reader = self.bus.reader()
        reader.assign([TopicPartition(LOGS, 0), TopicPartition(LOGS, 1)])
        values: list[bytes] = []
        while records := reader.poll(0.3):
            values += [record.value or b"" for record in records]
        reader.close()
        return values

    def raw(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 60.0)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong first is said, and nothing after it: it must not be that somebody is slow."""
    monkeypatch.setattr(door_entrance, "_CONNECT_S", 60.0)
    monkeypatch.setattr(door, "HELLO_S", 60.0)


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[Door]:
    made = Door(tmp_path)
    yield made
    made.close()


def until(condition: Any, seconds: float = 60.0) -> None:
    waiting = threading.Event()
    for _ in range(int(seconds * 50)):
        if condition():
            return
        waiting.wait(0.02)
    raise AssertionError("this did not happen in time")


def test_a_broken_connection_loses_nothing_and_doubles_nothing(behind: Door) -> None:
    producer = behind.producer()
    sent = [b"%d" % n for n in range(3000)]
    futures = []
    for n, value in enumerate(sent):
        futures.append(producer.send(LOGS, key=b"one", value=value))
        if n in (0, 1500):
            futures[-1].result(60.0)
        if n in (700, 1900):
            for connection in list(behind._server._open):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
    assert producer.flush(60.0)
    assert all(future.exception() is None for future in futures)
    producer.close(5.0)
    assert behind.stored() == sent
    assert behind.notices


class Closing(socket.socket):
    """Another thread closes it just after it was found empty."""

    def recv(self, *_: Any) -> bytes:
        self.close()
        raise BlockingIOError


def test_a_connection_that_is_closed_between_two_looks_has_ended() -> None:
    """As the bus does when it stops; a thread of a connection must not break down over it."""
    near, far = socket.socketpair()
    with far, pytest.raises(OSError, match="was closed here"):
        door.Wire(Closing(fileno=near.detach())).recv(1)


def test_while_the_bus_is_away_records_wait(behind: Door) -> None:
    producer = behind.producer()
    first = producer.send(LOGS, key=b"one", value=b"first")
    assert first.result(60.0).offset == 0
    behind.close()
    waiting = [producer.send(LOGS, key=b"one", value=b"%d" % n) for n in range(100)]
    assert not producer.flush(1.0)
    behind.open()
    assert producer.flush(60.0)
    assert [future.result(0).offset for future in waiting] == list(range(1, 101))
    producer.close(5.0)


def test_a_wrong_token_is_refused_in_words_without_the_token(behind: Door, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("guess-0815")
    producer = behind.producer(password_file=wrong)
    future = producer.send(LOGS, key=b"k", value=b"v")
    until(lambda: behind.notices)
    assert "the token is wrong" in behind.notices[0]
    assert not future.done()
    wrong.write_text(TOKEN)  # rotated
    assert future.result(60.0)
    producer.close(5.0)
    until(lambda: behind.said)  # on the thread of the first connection, after the answer
    said = str(behind.said) + str(behind.notices)
    assert "refused" in said
    assert "guess" not in said
    assert TOKEN not in said


def test_collectors_cannot_write_what_folds_conclude(behind: Door) -> None:
    producer = behind.producer()
    with pytest.raises(Rejected, match=r"kubeledger\.facts"):
        producer.send(FACTS, key=b"node/a", value=b"{}").result(60.0)
    assert producer.send(LOGS, key=b"k", value=b"v").result(60.0)
    producer.close(5.0)


def test_what_the_watcher_writes_comes_in(behind: Door) -> None:
    """A LogConfig that is refused would stop the watcher, at each start anew."""
    producer = behind.producer()
    for topic in (STATE, CONFIGS):
        assert producer.send(topic, key=b"k", value=b"v").result(60.0).offset == 0
    producer.close(5.0)


def configs(behind: Door) -> Any:
    reader = open_broker(behind.config()).reader()
    reader.assign([TopicPartition(CONFIGS, 0)])
    return reader


def test_log_configurations_are_read_and_nothing_else(behind: Door) -> None:
    producer, reader = behind.producer(), configs(behind)
    for n in range(3):
        producer.send(CONFIGS, key=b"k%d" % n, value=b"v%d" % n).result(60.0)
    assert [record.value for record in reader.poll(5.0)] == [b"v0", b"v1", b"v2"]
    assert reader.poll(0.0) == []
    reader.close()
    for topic in (LOGS, STATE, FACTS):
        with pytest.raises(Unavailable, match=f"{topic}' is not one that collectors read"):
            open_broker(behind.config()).reader().assign([TopicPartition(topic, 0)])
    producer.close(5.0)


def test_a_reader_goes_on_after_a_break(behind: Door) -> None:
    producer, reader = behind.producer(), configs(behind)
    producer.send(CONFIGS, key=b"a", value=b"1").result(60.0)
    assert [record.value for record in reader.poll(5.0)] == [b"1"]
    behind.close()
    with pytest.raises(Unavailable, match="the bus"):
        reader.poll(0.1)
    behind.open()
    producer.send(CONFIGS, key=b"b", value=b"2").result(60.0)
    assert [record.value for record in reader.poll(5.0)] == [b"2"]
    reader.close()
    producer.close(5.0)


def test_a_reader_needs_the_token_too(behind: Door, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("guess-0815")
    reader = open_broker(behind.config(password_file=wrong)).reader()
    with pytest.raises(Unavailable, match="the token is wrong"):
        reader.assign([TopicPartition(CONFIGS, 0)])


@pytest.mark.parametrize(
    "bytes_",
    [
        door.pack(["read", 1, TOKEN, CONFIGS]) + door.pack(["fetch", 0, -1, 0]),
        door.pack(["read", 1, TOKEN, CONFIGS]) + door.pack(["fetch", 0, 0]),
        door.pack(["read", 1, TOKEN, CONFIGS]) + door.pack([1, CONFIGS, None, 0, b"k", b"v", []]),
        door.pack(["read", 1, TOKEN, "other"]),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00" * 5000,
        b"\xff" * 5000,
        door.pack(["hello", 99, TOKEN, "name"]),
        door.pack(["hello", 1, 5, "name"]),
        door.pack(["hello", 1, TOKEN, 7]),
        door.pack(["hello", 1, TOKEN, "n"]) + door.pack(["no record"]),
        door.pack(["hello", 1, TOKEN, "n"]) + door.pack([1, LOGS, None, 0, b"k", "text", []]),
        door.pack(["hello", 1, TOKEN, "n"]) + b"\xc6\xff\xff\xff\xff" + b"x" * (3 << 20),
    ],
)
def test_whoever_speaks_something_else_is_sent_away(behind: Door, bytes_: bytes) -> None:
    with behind.raw() as stranger:
        stranger.settimeout(60.0)
        with suppress(ConnectionResetError, BrokenPipeError):
            stranger.sendall(bytes_)
            while stranger.recv(4096):
                pass
    until(lambda: behind.said)
    producer = behind.producer()
    assert producer.send(LOGS, key=b"k", value=b"v").result(60.0)
    producer.close(5.0)


def test_tls_is_verified(tmp_path: Path) -> None:
    cert, key = self_signed(tmp_path, "bus", "localhost")
    other, _ = self_signed(tmp_path, "other", "localhost")
    behind = Door(tmp_path, server_tls(cert, key))
    producer = behind.producer(security="tls", ca_file=cert)
    values = [bytes([n % 256]) * 5000 for n in range(400)]
    for value in values:
        producer.send(LOGS, key=b"one", value=value)
    assert producer.flush(60.0)
    producer.close(5.0)
    assert behind.stored() == values
    stranger = behind.producer(security="tls", ca_file=other)
    future = stranger.send(LOGS, key=b"k", value=b"v")
    until(lambda: behind.notices)
    assert "certificate verify failed" in behind.notices[0]
    assert not future.done()
    stranger.close(0.1)
    behind.close()


def test_settings_that_would_send_the_token_in_clear_text_are_refused(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    with pytest.raises(UsageError, match="clear text"):
        open_broker(BrokerConfig(url="kubeledger://bus.example:9650", password_file=token))
    with pytest.raises(UsageError, match="token"):
        open_broker(BrokerConfig(url="kubeledger://127.0.0.1:9650"))
    with pytest.raises(UsageError, match="they write, read configurations"):
        open_broker(BrokerConfig(url="kubeledger://127.0.0.1:9650", password_file=token)).consumer(
            "g"
        )

"""HELO, PING, PONG as clients do it, with and without TLS; wrong keys, users and certificates."""

import hashlib
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from pipeline.base.tls import server_tls
from tests.collectors.forward.rig import Input, entries

Make = Callable[..., Input]
KEY, PASSWORD = "planted-shared-key", "planted-password"


@pytest.fixture
def secrets(tmp_path: Path) -> dict[str, Any]:
    key, password = tmp_path / "key", tmp_path / "password"
    key.write_text(KEY + "\n")
    password.write_text(PASSWORD)
    return {"shared_key_file": key, "users": [{"name": "fluent", "password_file": password}]}


def ping(
    helo: Any, *, key: str = KEY, user: str = "fluent", password: str = PASSWORD
) -> list[str | bytes]:
    options = helo[1]
    salt = b"0123456789abcdef"
    digest = hashlib.sha512(salt + b"client-1" + options["nonce"] + key.encode()).hexdigest()
    auth = options["auth"]
    word = hashlib.sha512(auth + user.encode() + password.encode()).hexdigest() if auth else ""
    return ["PING", "client-1", salt, digest, user if auth else "", word]


def test_both_sides_prove_that_they_know_the_key(inputs: Make, secrets: dict[str, Any]) -> None:
    rig = inputs(hostname="aggregator", **secrets)
    client = rig.client()
    helo = rig.answer(client)
    assert helo[0] == "HELO"
    assert len(helo[1]["nonce"]) == 16
    said, ok, why, name, proof = rig.ask(client, ping(helo))
    assert (said, ok, why, name) == ("PONG", True, "", "aggregator")
    expected = hashlib.sha512(
        b"0123456789abcdef" + b"aggregator" + helo[1]["nonce"] + KEY.encode()
    ).hexdigest()
    assert proof == expected
    assert rig.ask(client, ["t", entries(3), {"chunk": "c"}]) == {"ack": "c"}


@pytest.mark.parametrize(
    "wrong", [{"key": "other"}, {"user": "other"}, {"password": "other"}, {"key": ""}]
)
def test_who_does_not_know_must_go(
    inputs: Make, secrets: dict[str, Any], wrong: dict[str, str]
) -> None:
    rig = inputs(**secrets)
    client = rig.client()
    answer = rig.ask(client, ping(rig.answer(client), **wrong))
    assert answer[:2] == ["PONG", False]
    assert rig.answer(client) == b""
    (said,) = rig.said("forward-refused")
    assert said["kind"] == "unauthorized"
    everything = str(rig.telemetry.events) + str(answer)
    assert KEY not in everything
    assert PASSWORD not in everything


def test_a_proof_is_good_for_one_connection(inputs: Make, secrets: dict[str, Any]) -> None:
    rig = inputs(**secrets)
    first, second = rig.client(), rig.client()
    heard = ping(rig.answer(first))
    assert rig.ask(first, heard)[1] is True
    rig.answer(second)
    assert rig.ask(second, heard)[1] is False


@pytest.mark.parametrize("first", [["t", entries(1)], b"\xc1", ["PING", 1, 2, 3, 4, 5]])
def test_events_before_the_key_are_refused(
    inputs: Make, secrets: dict[str, Any], first: Any
) -> None:
    rig = inputs(**secrets)
    client = rig.client()
    rig.answer(client)
    assert rig.ask(client, first) == b""
    assert rig.records() == []
    assert rig.gaps() == []


def test_before_the_key_nobody_sends_much(inputs: Make, secrets: dict[str, Any]) -> None:
    rig = inputs(**secrets)
    client = rig.client()
    rig.answer(client)
    assert rig.ask(client, b"\x96\xa4PING\xc6\x00\x10\x00\x00" + bytes(100)) == b""
    assert rig.said("forward-refused")[0]["kind"] == "too-large"


def test_a_client_that_says_nothing_must_go(inputs: Make, secrets: dict[str, Any]) -> None:
    rig = inputs(handshake_s=10, **secrets)
    rig.client()
    rig.until(lambda: rig.server._clients)
    rig.step(11)
    rig.step(1)
    assert "its key was not there in 10 s" in rig.said("forward-refused")[0]["why"]
    assert not rig.server._clients


def test_keys_are_rotated_without_a_restart(inputs: Make, secrets: dict[str, Any]) -> None:
    rig = inputs(**secrets)
    secrets["shared_key_file"].write_text("new-key")
    client = rig.client()
    assert rig.ask(client, ping(rig.answer(client), key="new-key"))[1] is True


def test_a_key_that_is_gone_for_a_moment_costs_one_connection(
    inputs: Make, secrets: dict[str, Any]
) -> None:
    rig = inputs(**secrets)
    client, other = rig.client(), rig.client()
    helo, path = rig.answer(client), secrets["shared_key_file"]
    path.rename(path.with_suffix(".away"))
    assert rig.ask(client, ping(helo))[:2] == ["PONG", False]
    assert "cannot read the shared key" in rig.said("forward-refused")[0]["why"]
    path.with_suffix(".away").rename(path)
    assert rig.ask(other, ping(rig.answer(other)))[1] is True


class Secure:
    """A TLS client in a thread of its own, beside a server that is driven by hand."""

    def __init__(self, rig: Input, ca: Path) -> None:
        self.result: Any = None
        self._rig = rig
        self._context = ssl.create_default_context(cafile=str(ca))

    def run(self, work: Callable[[ssl.SSLSocket], Any]) -> Any:
        def go() -> None:
            try:
                with (
                    socket.create_connection(self._rig.address, timeout=60) as plain,
                    self._context.wrap_socket(plain, server_hostname="node-a") as sock,
                ):
                    self.result = work(sock)
            except OSError as error:
                self.result = error

        thread = threading.Thread(target=go)
        thread.start()
        while thread.is_alive():
            self._rig.clock.advance(0.01)
            self._rig.server.step()
        return self.result


def test_tls_with_key_and_large_messages(
    inputs: Make, secrets: dict[str, Any], certificates: tuple[Path, Path]
) -> None:
    rig = inputs(tls=server_tls(*certificates), **secrets)

    def work(sock: ssl.SSLSocket) -> Any:
        unpacker = msgpack.Unpacker()

        def read() -> Any:
            while True:
                for found in unpacker:
                    return found
                unpacker.feed(sock.recv(4096))

        sock.sendall(msgpack.packb(ping(read())))
        answers = [read()]
        for n in range(3):
            message = ["t", entries(5000, size=100, first=n * 5000), {"chunk": f"c{n}"}]
            sock.sendall(msgpack.packb(message))
        return answers + [read() for _ in range(3)]

    pong, *acks = Secure(rig, certificates[0]).run(work)
    assert pong[:2] == ["PONG", True]
    assert acks == [{"ack": f"c{n}"} for n in range(3)]
    assert rig.numbers() == list(range(15_000))


def test_plain_text_to_a_tls_port_is_refused(
    inputs: Make, secrets: dict[str, Any], certificates: tuple[Path, Path]
) -> None:
    rig = inputs(tls=server_tls(*certificates), **secrets)
    client = rig.client()
    client.sendall(msgpack.packb(["t", entries(1)]))
    rig.until(lambda: rig.said("forward-refused"))
    assert "TLS failed" in rig.said("forward-refused")[0]["why"]

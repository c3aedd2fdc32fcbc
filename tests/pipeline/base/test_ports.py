"""Ports of services: two services never get the same, however their starts are interleaved."""

import socket

import pytest

from pipeline.base import ports
from pipeline.base.ports import free_port
from pipeline.console.embedded import _with_port


def test_no_port_is_given_twice() -> None:
    given = [_with_port("127.0.0.1:0") for _ in range(1000)]
    assert len(set(given)) == 1000
    assert _with_port("127.0.0.1:9000") == "127.0.0.1:9000"


def test_who_wants_any_port_gets_none_of_these() -> None:
    given = {free_port() for _ in range(50)}
    for _ in range(500):
        with socket.create_server(("127.0.0.1", 0)) as server:
            assert server.getsockname()[1] not in given


def test_a_port_that_somebody_uses_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, other = free_port(), free_port()
    monkeypatch.setattr(ports, "_CHOICE", [taken, other])
    monkeypatch.setattr(ports, "_given", set())
    with socket.create_server(("127.0.0.1", taken)):
        assert free_port() == other


def test_a_host_that_is_not_here_is_an_error() -> None:
    with pytest.raises(OSError, match="assign requested address"):
        free_port("192.0.2.1")

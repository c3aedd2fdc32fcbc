"""Ports of services: two services never get the same, however their starts are interleaved."""

import os
import socket
import subprocess
import sys

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
    os.close(ports._kept.pop(other))
    monkeypatch.setattr(ports, "_CHOICE", [taken, other])
    monkeypatch.setattr(ports, "_given", set())
    with socket.create_server(("127.0.0.1", taken)):
        assert free_port() == other


OTHER = """
import sys
from pipeline.base import ports
ports._CHOICE = [int(word) for word in sys.argv[1:]]
print(ports.free_port())
"""


def test_another_process_is_not_given_it_while_its_service_is_down() -> None:
    """Two pipelines that start in one moment, or one while a service of the other is restarted."""
    mine, other = free_port(), free_port()
    os.close(ports._kept.pop(other))
    words = [sys.executable, "-c", OTHER, str(mine), str(other)]
    for _ in range(2):
        for _ in range(4):  # of two, one by chance
            assert int(subprocess.check_output(words)) == other
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", mine))
        with socket.create_server(("127.0.0.1", mine)) as server:
            socket.create_connection(("127.0.0.1", mine)).close()
            server.accept()[0].close()


def test_few_descriptors_are_kept() -> None:
    given = [free_port() for _ in range(2 * ports._MOST_KEPT)]
    assert [*ports._kept] == given[-ports._MOST_KEPT :]
    with socket.socket() as first, socket.socket() as last:
        first.bind(("127.0.0.1", given[0]))
        with pytest.raises(OSError, match="in use"):
            last.bind(("127.0.0.1", given[-1]))

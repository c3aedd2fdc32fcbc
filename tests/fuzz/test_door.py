"""The door of an embedded bus, from both sides: whatever comes, it is a frame or the end."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import Unavailable
from pipeline.broker import door
from pipeline.contract.topics import FACTS, LOGS
from tests.fuzz.hostile import MIB, bent, examples, only, values, within
from tests.pipeline.broker.test_door import TOKEN, Door

HELLO = door.pack([door.HELLO, door.VERSION, TOKEN, "p"])
RECORD = door.pack([1, LOGS, None, 5, b"k", b"v" * 40, [["h", b"x"]]])


class Given(door.Wire):
    """A wire whose bytes are there already."""

    def __init__(self, data: bytes, piece: int) -> None:
        self._data, self._piece = data, piece

    def recv(self, count: int) -> bytes:
        found, self._data = self._data[: self._piece], self._data[self._piece :]
        return found


@examples(80)
@given(
    bent([HELLO + RECORD * 3, RECORD]) | st.binary(max_size=60),
    st.integers(1, 50),
)
def test_frames(data: bytes, piece: int) -> None:
    def read() -> None:
        for frame in door.frames(Given(data, piece), first=door.HELLO_FRAME):
            assert isinstance(frame, list)

    only(Unavailable, read)


BOMBS = {
    "endless text": b"\x91\xdb" + struct.pack(">I", (1 << 32) - 1) + b"x" * MIB,
    "endless list": b"\xdd" + struct.pack(">I", (1 << 32) - 1),
    "endless map": b"\x91\xdf" + struct.pack(">I", (1 << 32) - 1),
    "deep": b"\x91" * 100_000,
    "a list of millions": b"\xdd" + struct.pack(">I", 60_000) + b"\xc0" * 60_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_is_announced_takes_no_memory(name: str) -> None:
    for before in (b"", HELLO):
        wire = Given(before + BOMBS[name], 1 << 18)
        with within(16 * MIB):
            only(Unavailable, lambda wire=wire: list(door.frames(wire, first=door.HELLO_FRAME)))


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    made = Door(tmp_path_factory.mktemp("door"))
    yield made
    made.close()


def crashes(seen: list[Any], args: threading.ExceptHookArgs) -> None:
    seen.append(args.exc_value)


def test_a_real_door_outlives_whatever_is_said(gate: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread dies of it, nothing but collectors' records is written, and it still serves."""
    seen: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: crashes(seen, args))
    odd = st.lists(values, min_size=7, max_size=7) | st.builds(
        lambda at, value: [*RECORD_FIELDS[:at], value, *RECORD_FIELDS[at + 1 :]],
        st.integers(0, 6),
        values,
    )

    @examples(80)
    @given(st.booleans(), bent([HELLO + RECORD, RECORD]) | odd.map(packed))
    def run(known: bool, data: bytes) -> None:
        client = socket.create_connection(("127.0.0.1", gate.port), timeout=60.0)
        with client, suppress(OSError):
            client.sendall((HELLO if known else b"") + data)
            client.shutdown(socket.SHUT_WR)
            while client.recv(1 << 16):
                pass

    run()
    assert seen == []
    with socket.create_connection(("127.0.0.1", gate.port), timeout=60.0) as client:
        client.sendall(HELLO)
        assert msgpack.unpackb(client.recv(100)) == [door.HELLO, door.VERSION]


RECORD_FIELDS = [1, LOGS, None, 5, b"k", b"v", [["h", b"x"]]]


def packed(frame: list[Any]) -> bytes:
    try:
        return door.pack(frame)
    except (ValueError, OverflowError, UnicodeError):
        return door.pack([1, FACTS, None, 5, None, None, []])

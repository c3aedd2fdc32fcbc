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

from pipeline.base.errors import KubeledgerError, Unavailable
from pipeline.broker import door
from pipeline.broker.door_entrance import Entrance
from pipeline.broker.door_reader import DoorReader
from pipeline.broker.protocol import TopicPartition
from pipeline.contract.topics import CONFIGS, FACTS, LOGS
from tests.fuzz.hostile import MIB, bent, examples, only, values, within
from tests.pipeline.broker.test_door import TOKEN, Door

HELLO = door.pack([door.HELLO, door.VERSION, TOKEN, "p"])
READ = door.pack([door.READ, door.VERSION, TOKEN, CONFIGS])
FETCH = door.pack([door.FETCH, 0, 0, 1])
WORDS = [door.BOUNDS, door.TIME, door.FETCH, door.NEXT, "fatal", "rejected"]
RECORD = door.pack([1, LOGS, None, 5, b"k", b"v" * 40, [["h", b"x"]]])


def packed(frame: list[Any]) -> bytes:
    try:
        return door.pack(frame)
    except (ValueError, OverflowError, UnicodeError):
        return door.pack([1, FACTS, None, 5, None, None, []])


class Given(door.Wire):
    """A wire whose bytes are there already."""

    def __init__(self, data: bytes, piece: int) -> None:
        self._data, self._piece = data, piece

    def sendall(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        pass

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

    asked = st.lists(values | st.sampled_from([*WORDS, 0, 1 << 61]), min_size=1, max_size=4)

    @examples(120)
    @given(
        st.sampled_from([b"", HELLO, READ]),
        bent([HELLO + RECORD, RECORD, READ + FETCH]) | odd.map(packed) | asked.map(packed),
    )
    def run(hello: bytes, data: bytes) -> None:
        client = socket.create_connection(("127.0.0.1", gate.port), timeout=60.0)
        with client, suppress(OSError):
            client.sendall(hello + data)
            client.shutdown(socket.SHUT_WR)
            while client.recv(1 << 16):
                pass

    run()
    assert seen == []
    with socket.create_connection(("127.0.0.1", gate.port), timeout=60.0) as client:
        client.sendall(HELLO)
        assert msgpack.unpackb(client.recv(100)) == [door.HELLO, door.VERSION]


class Bus(Entrance):
    """What says these bytes, whatever it is asked."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def enter(self, word: str, name: str) -> door.Wire:
        return Given(self._data, 64)


STORED = door.pack([0, 5, b"k", b"v" * 40, [["h", b"x"]]])


@examples(120)
@given(
    bent([door.pack(["bounds", 0, 1]) + STORED + door.pack(["next", 1])])
    | st.lists(
        st.lists(values | st.sampled_from([*WORDS, 0, 1]), min_size=1, max_size=5).map(packed),
        max_size=4,
    ).map(b"".join)
)
def test_a_reader_takes_what_is_a_record(data: bytes) -> None:
    tp = TopicPartition(CONFIGS, 0)

    def read() -> None:
        reader = DoorReader(Bus(data))
        reader.assign([tp])
        reader.offset_for_time(tp, 0)
        reader.poll(0.0)

    only(KubeledgerError, read)


RECORD_FIELDS = [1, LOGS, None, 5, b"k", b"v", [["h", b"x"]]]

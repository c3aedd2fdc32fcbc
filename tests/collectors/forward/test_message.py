"""Whole messages become lines; whatever else comes is refused, with a reason, within bounds."""

import gzip
import json
import tracemalloc
from contextlib import suppress
from typing import Any

import msgpack
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.forward.config import ForwardConfig
from collectors.forward.framing import Framing
from collectors.forward.message import Batch, decode
from collectors.forward.refusal import Refused
from tests.collectors.forward.rig import SECOND, entries, event_time, packed

CONFIG = ForwardConfig()
TIGHT = ForwardConfig(message_bytes=1 << 20, expanded_bytes=1 << 20, event_bytes=128 << 10)


def read(message: Any, config: ForwardConfig = CONFIG) -> Batch:
    raw = message if isinstance(message, bytes) else msgpack.packb(message)
    return decode(raw, config, "node-a")


def lines(batch: Batch) -> list[bytes]:
    return [line for found in batch.lines.values() for line in bytes(found).split(b"\n")[:-1]]


def refusal(message: Any, config: ForwardConfig = CONFIG) -> Refused:
    with pytest.raises(Refused) as caught:
        read(message, config)
    return caught.value


EVENTS = entries(300)
MODES = {
    "forward": ["t", EVENTS],
    "packed": ["t", packed(EVENTS), {"size": 300}],
    "gzip": ["t", gzip.compress(packed(EVENTS)), {"compressed": "gzip"}],
    "gzip members": [
        "t",
        gzip.compress(packed(EVENTS)[:1000]) + gzip.compress(packed(EVENTS)[1000:]),
        {"compressed": "gzip"},
    ],
    "zstd": ["t", zstandard.compress(packed(EVENTS)), {"compressed": "zstd"}],
    "zstd frames": [
        "t",
        zstandard.compress(packed(EVENTS)[:1000]) + zstandard.compress(packed(EVENTS)[1000:]),
        {"compressed": "zstd"},
    ],
    "text": ["t", packed(EVENTS), {"compressed": "text"}],
    "str instead of bin": msgpack.packb(["t", packed(EVENTS)], use_bin_type=False),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_gives_the_same_lines(mode: str) -> None:
    batch = read(MODES[mode])
    assert batch.events == 300
    assert lines(batch) == lines(read(["t", EVENTS]))
    assert lines(batch)[7] == (
        b'2026-11-23T05:35:00.000000007Z stdout F {"n":7,"text":"' + b"x" * 20 + b'"}'
    )


def test_a_message_of_one_event() -> None:
    batch = read(["app.access", SECOND, {"stream": "stderr", "a": 1}, {"chunk": "id"}])
    assert batch.chunk == "id"
    assert lines(batch) == [b'2026-11-23T05:35:00.000000000Z stderr F {"stream":"stderr","a":1}']


@pytest.mark.parametrize(
    ("time", "shown"),
    [
        (SECOND, b"00.000000000"),
        (SECOND + 0.5, b"00.500000000"),
        (event_time(SECOND * 10**9 + 123_456_789), b"00.123456789"),
        (msgpack.Timestamp(SECOND, 999_999_999), b"00.999999999"),
        ([event_time(SECOND * 10**9 + 1), {}], b"00.000000001"),
    ],
)
def test_times(time: Any, shown: bytes) -> None:
    raw = msgpack.packb(["t", [[time, {}]]])
    assert lines(read(raw))[0].startswith(b"2026-11-23T05:35:" + shown + b"Z ")


@pytest.mark.parametrize(
    "time",
    [-1, 1 << 63, float("nan"), float("inf"), True, "now", None, {}, [1], [1, 2],
     msgpack.ExtType(0, b"short"), msgpack.ExtType(0, b"\0\0\0\0\xff\xff\xff\xff"),
     msgpack.ExtType(5, b"12345678")],
)  # fmt: skip
def test_what_is_no_time_is_refused(time: Any) -> None:
    assert refusal(["t", [[time, {}]]]).kind == "wrong-type"


def test_metadata_of_an_event_is_kept() -> None:
    (line,) = lines(read(["t", [[[SECOND, {"k": 1}], {"a": 2}]]]))
    assert line.endswith(b'{"a":2,"_metadata":{"k":1}}')


def test_values_that_json_does_not_know() -> None:
    record = {
        "bytes": b"text",
        "raw": b"\xff\xfe",
        "ext": msgpack.ExtType(9, b"\x01\x02"),
        "when": event_time(SECOND * 10**9),
        "nan": float("nan"),
        "big": (1 << 64) - 1,
        "line": "a\nb\x1b",
    }
    (line,) = lines(read(["t", SECOND, record]))
    assert b'"raw":"\xff\xfe"' in line  # the client's bytes, as they were
    found = json.loads(line.split(b" ", 3)[3].decode("utf-8", "replace"))
    assert (found["bytes"], found["nan"], found["big"]) == ("text", None, (1 << 64) - 1)
    assert found["ext"] == {"type": 9, "data": "0102"}
    assert found["when"] == "2026-11-23T05:35:00.000000000Z"
    assert found["line"] == "a\nb\x1b"
    assert b"\x1b" not in line


def test_a_long_record_is_cut_into_parts_that_join() -> None:
    text = "é" * 100_000
    found = lines(read(["t", SECOND, {"text": text}]))
    assert [line.split(b" ", 3)[2] for line in found] == [b"P", b"P", b"P", b"F"]
    assert json.loads(b"".join(line.split(b" ", 3)[3] for line in found)) == {"text": text}


@pytest.mark.parametrize(
    ("message", "kind", "says"),
    [
        ([1, SECOND, {}], "wrong-type", "does not begin with a tag"),
        (["a\nb", SECOND, {}], "wrong-type", "control characters"),
        (["t" * 2000, SECOND, {}], "wrong-type", "longer than"),
        (msgpack.packb(["\udcff", SECOND, {}], unicode_errors="surrogateescape"), "wrong-type",
         "not UTF-8"),
        (["t", SECOND], "wrong-type", "no record"),
        (["t", SECOND, "text"], "wrong-type", "a record is not a map but text"),
        (["t", SECOND, {1: 2}], "not-msgpack", "int is not allowed"),
        (["t", [[SECOND]]], "wrong-type", "not [time, record] but a list"),
        (["t", [5]], "wrong-type", "not [time, record] but int"),
        (["t", b"\xc1"], "not-msgpack", "msgpack cannot be read"),
        (["t", packed(EVENTS)[:-1]], "not-msgpack", "in the middle"),
        (["t", b"xx", {"compressed": "gzip"}], "bad-frame", "gzip cannot be read"),
        (["t", gzip.compress(packed(EVENTS))[:-9], {"compressed": "gzip"}], "bad-frame", "middle"),
        (["t", b"x", {"compressed": "zstd"}], "bad-frame", "zstd cannot be read"),
        (["t", zstandard.compress(packed(EVENTS))[:-9], {"compressed": "zstd"}], "bad-frame",
         "middle"),
        (["t", b"x", {"compressed": "lz4"}], "wrong-type", "'lz4' is not gzip"),
        (["t", [], {"chunk": 5}], "wrong-type", "chunk 5"),
        (["t", [], {"chunk": "x" * 999}], "wrong-type", "usual length"),
        (["t", [], {"fluent_signal": 1}], "not-logs", "metrics"),
        (["t", [], 7], "wrong-type", "option is not a map"),
        (["t", [], {}, {}], "not-msgpack", "option"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_its_reason(message: Any, kind: str, says: str) -> None:
    found = refusal(message)
    assert found.kind == kind
    assert says in str(found)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def deep(depth: int) -> bytes:
    """Built by hand: packb has a bound of its own."""
    return b"\x93\xa1t\x01\x81\xa1k" + b"\x91" * depth + b"\x01"


BOMBS = {
    "gzip": ["t", gzip.compress(bytes(64 << 20)), {"compressed": "gzip"}],
    "zstd": ["t", zstandard.compress(bytes(1 << 30)), {"compressed": "zstd"}],
    "maps": ["t", SECOND, {"k": [{}] * 100_000}],
    "one long event": ["t", SECOND, {"k": "x" * 200_000}],
    "json grows": ["t", [[SECOND, {"k": "\x01" * 60_000}] for _ in range(10)]],
    "depth": deep(260),
    "more depth": deep(100_000),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_are_refused_within_bounds(bomb: str) -> None:
    raw = BOMBS[bomb] if isinstance(BOMBS[bomb], bytes) else msgpack.packb(BOMBS[bomb])
    tracemalloc.start()
    try:
        found = refusal(raw, TIGHT)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.kind in ("too-large", "not-msgpack", "wrong-type")
    assert peak < 24 << 20


extensions = st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=9))
numbers = st.integers(-(1 << 63), (1 << 64) - 1) | st.floats()
leaves = st.none() | st.booleans() | numbers | st.text() | st.binary(max_size=30) | extensions
keys = st.text(max_size=4)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
records = st.dictionaries(st.text(max_size=8), values, max_size=5)
times = st.integers(0, 1 << 33) | st.integers(0, (1 << 32) * 10**9 - 1).map(event_time)


@given(st.lists(st.tuples(times, records), max_size=5))
def test_every_event_is_one_row_of_json(events: list[Any]) -> None:
    batch = read(["t", [list(event) for event in events]])
    whole = [line for line in lines(batch) if line.split(b" ", 3)[2] == b"F"]
    assert batch.events == len(whole) == len(events)
    for line in whole:
        json.loads(line.split(b" ", 3)[3].decode("utf-8", "surrogateescape"))


messages = st.one_of(
    values.map(msgpack.packb),
    st.lists(values, max_size=5).map(msgpack.packb),
    st.tuples(st.just("t"), values, values).map(msgpack.packb),
    st.tuples(
        st.just("t"), st.binary(max_size=60),
        st.fixed_dictionaries({"compressed": st.sampled_from(["gzip", "zstd", "text"])}),
    ).map(msgpack.packb),
    st.binary(max_size=80),
)  # fmt: skip


@settings(max_examples=300)
@given(messages, st.data())
def test_no_bytes_do_harm_however_they_are_cut(stream: bytes, data: st.DataObject) -> None:
    """A stream gives the same messages in any pieces; each gives lines or a refusal."""
    whole = _framed([stream])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
    parts = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert _framed(parts) == whole
    for message in whole[0]:
        if message != b"\xc0":
            try:
                batch = decode(message, TIGHT, "node-a")
            except Refused:
                continue
            assert batch.events == sum(line.split(b" ", 3)[2] == b"F" for line in lines(batch))


def _framed(parts: list[bytes]) -> tuple[list[bytes], str]:
    framing, found = Framing(1 << 20), []
    try:
        for part in parts:
            framing.feed(part)
            found += framing.messages()
    except Refused as refused:
        return found, refused.kind
    return found, f"{framing.held} held"


@settings(max_examples=300)
@given(st.data())
def test_damaged_messages_do_no_harm(data: st.DataObject) -> None:
    mode = data.draw(st.sampled_from(sorted(MODES)))
    raw = MODES[mode] if isinstance(MODES[mode], bytes) else msgpack.packb(MODES[mode])
    damaged = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    for message in _framed([bytes(damaged)])[0]:
        with suppress(Refused):
            decode(message, TIGHT, "node-a")

"""Docker and plain files, and records of any content: whatever the bytes, and however they are
cut, the rows are the same, every byte is in one row, and nothing raises. (CRI: test_refine.py)"""

import dataclasses
import json

import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.contract.record import CRI, DOCKER, FORMATS, PLAIN
from pipeline.stages.decode import Undecodable, Unpacker, decode_event
from pipeline.stages.refine import Bounds
from tests.pipeline.stages.feed import READ_MS, chunk, chunks_of, end, read

WIDE = Bounds(hold_ms=10**9)
FACTS = ("off", "nbytes", "interleaved", "ts", "stream", "flags", "body")

texts = st.text(st.characters(codec="utf-8"), max_size=30)
docker_lines = st.builds(
    lambda log, ended, stream, time: json.dumps(
        {"log": log + ("\n" if ended else ""), "stream": stream, "time": time}
    ).encode(),
    texts,
    st.booleans(),
    st.sampled_from(["stdout", "stderr"]),
    st.sampled_from(["2026-11-23T05:39:20.57606443Z", "2026-11-23T05:39:20Z"]),
)
plain_lines = st.builds(
    lambda head, rest: head + rest.encode(),
    st.sampled_from(
        [
            b"I0314 11:10:13.909915 1 file.go:249] ",
            b"Jan  4 11:56:31 host systemd: ",
            b'time="2026-11-22T01:02:03Z" ',
            b"2026-11-22 04:05:06,789 ",
            b"Feb 30 11:56:31 ",
            b"",
        ]
    ),
    texts,
)
garbage = st.binary(max_size=120)
cuts = st.lists(st.integers(0, 10_000), max_size=8)


def files(lines):
    """Lines of a format and lines of none, with or without an end."""
    one = st.one_of(lines, lines, garbage).map(lambda line: line.replace(b"\n", b"\r"))
    return st.builds(
        lambda found, torn: b"\n".join(found) + (b"" if torn else b"\n"),
        st.lists(one, min_size=1, max_size=20),
        st.booleans(),
    )


def facts(rows):
    return sorted(tuple(row[name] for name in FACTS) for row in rows)


def same_however_cut(data, cuts, batch, crashes, form):
    """Docker objects are cut between lines only: the inside of one is no line."""
    lines = [data.rfind(b"\n", 0, cut % (len(data) + 1)) + 1 for cut in cuts]
    events = [*chunks_of(data, lines, format=form), (end(len(data)), b"")]
    whole = read([*chunks_of(data, [], format=form), (end(len(data)), b"")], bounds=WIDE)
    rows = read(events, batch=batch, bounds=WIDE, crash_after=frozenset(crashes))
    if form == PLAIN:
        # Where no line of a chunk says its time they have the one of the reading, and no other.
        said = {row["off"]: row["ts"] for row in whole}
        for row in rows:
            if row["ts"] == READ_MS * 1_000_000:
                row["ts"] = said[row["off"]]
    assert facts(rows) == facts(whole)
    assert sum(row["nbytes"] for row in rows) == len(data)
    return rows


@settings(max_examples=150)
@given(files(docker_lines), cuts, st.integers(1, 4), st.sets(st.integers(0, 9)))
def test_docker_files(data, cuts, batch, crashes):
    same_however_cut(data, cuts, batch, crashes, DOCKER)


@settings(max_examples=150)
@given(files(plain_lines), cuts, st.integers(1, 4), st.sets(st.integers(0, 9)))
def test_plain_files(data, cuts, batch, crashes):
    rows = same_however_cut(data, cuts, batch, crashes, PLAIN)
    bodies = [row["body"] for row in sorted(rows, key=lambda row: row["off"])]
    lines = data.split(b"\n")
    assert bodies == (lines if lines[-1] else lines[:-1])


@settings(max_examples=150)
@given(garbage.filter(bool), cuts, st.sampled_from(sorted(FORMATS)))
def test_bytes_without_any_form_are_kept_in_every_format(data, cuts, form):
    rows = same_however_cut(data, cuts, 2, set(), form)
    assert sorted(row["off"] for row in rows) == sorted({row["off"] for row in rows})


names = st.sampled_from(
    ["v", "kind", "file", "offset", "raw", "format", "codec", "crc", "flags", "stream", "restart"]
)
headers = st.lists(st.tuples(st.one_of(names, texts), garbage), max_size=20).map(tuple)


@settings(max_examples=300)
@given(headers)
def test_headers_that_nobody_wrote_raise_nothing(found):
    assert decode_event(found) is not None


@settings(max_examples=300)
@given(
    value=st.one_of(st.none(), garbage, garbage.map(zstandard.ZstdCompressor().compress)),
    codec=st.sampled_from(["zstd", "none"]),
    length=st.integers(0, 1 << 40),
    flip=st.integers(0, 200),
)
def test_values_that_do_not_fit_their_headers_are_named(value, codec, length, flip):
    if value and flip < len(value):
        value = value[:flip] + bytes([value[flip] ^ 1]) + value[flip + 1 :]
    honest = chunk(b"2026-11-23T05:35:03.1Z stdout F x\n", 0, format=CRI)
    event = dataclasses.replace(honest, codec=codec, raw_length=length)
    raw = Unpacker().unpack(event, value)
    assert isinstance(raw, Undecodable)  # neither length nor checksum can be right

"""Docker and plain files, times in prefixes, decoding of records that lie, and traces."""

import json

import crc32c
import pytest
import zstandard

from pipeline.contract.record import DOCKER, PLAIN, Source, encode_headers
from pipeline.contract.tables import CONTINUES, MULTILINE, PARTIAL, UNPARSED
from pipeline.stages import decode
from pipeline.stages.rows import PodView
from pipeline.stages.timestamps import parse_json, parse_klog, parse_rfc3339, parse_syslog
from tests.pipeline.stages.feed import READ_MS, chunk, chunks_of, end, read

SECOND = 10**9
NEAR = 1_795_412_000 * SECOND  # 23 November 2026, 05:33:20


def test_times_in_prefixes_take_the_nearest_year():
    march = parse_klog(b"I0314 11:10:13.909915 1105457 file.go:249] x", NEAR)
    assert march == parse_rfc3339(b"2027-03-14T11:10:13.909915Z")
    assert parse_syslog(b"Jan  4 11:56:31 host systemd: x", NEAR) == parse_rfc3339(
        b"2027-01-04T11:56:31Z"
    )
    assert parse_syslog(b"Feb 29 11:56:31 host x", parse_rfc3339(b"2024-03-01T00:00:00Z")) == (
        parse_rfc3339(b"2024-02-29T11:56:31Z")
    )
    assert parse_syslog(b"Feb 29 11:56:31 host x", NEAR) is None  # no such day near 2026
    assert parse_syslog(b"Foo 19 11:56:31 host x", NEAR) is None


def docker(log: str, stream: str = "stdout", time: str = "2026-11-23T05:39:20.57606443Z") -> bytes:
    return json.dumps({"log": log, "stream": stream, "time": time}).encode() + b"\n"


def test_docker_lines_are_unescaped_and_parts_joined():
    data = docker('a "quoted" é\n') + docker("part one, ") + docker("err\n", "stderr")
    data += docker("part two\n") + b"not json\n" + docker("open end")
    rows = read([*chunks_of(data, [data.index(b"\n") + 1], format=DOCKER), (end(len(data)), b"")])
    rows.sort(key=lambda row: row["off"])
    assert [row["body"] for row in rows] == [
        'a "quoted" é'.encode(),
        b"part one, part two",
        b"err",
        b"not json",
        b"open end",
    ]
    assert [row["flags"] for row in rows] == [0, 0, 0, UNPARSED, PARTIAL]
    assert [row["stream"] for row in rows] == [1, 1, 2, 1, 1]
    assert sum(row["nbytes"] for row in rows) == len(data)
    assert rows[0]["ts"] == parse_rfc3339(b"2026-11-23T05:39:20.57606443Z")


def test_times_inside_json():
    klog = b'{"ts":1753121294157.29,"caller":"kubelet.go:1","msg":"x","v":0}'
    assert parse_json(klog) == 1_753_121_294_157_290_000
    assert parse_json(b'{"ts":1580306777.04728,"msg":"x"}') == 1_580_306_777_047_280_000
    logrus = b'{"error":"e","level":"error","msg":"m","time":"2026-11-23T05:45:07.844964273Z"}'
    assert parse_json(logrus) == parse_rfc3339(b"2026-11-23T05:45:07.844964273Z")
    for odd in (
        b"{}",
        b'{"ts":12}',
        b'{"ts":99999999999999}',
        b'{"time":"yesterday at noon sharp"}',
    ):
        assert parse_json(odd) is None


def test_plain_lines_take_the_time_they_say_or_the_one_before():
    data = b'time="2026-11-22T01:02:03Z" level=error\n  more of it\n2026-11-22 04:05:06,789 x\n'
    rows = read([*chunks_of(data, [], format=PLAIN), (end(len(data)), b"")])
    assert [row["ts"] for row in rows] == [
        parse_rfc3339(b"2026-11-22T01:02:03Z"),
        parse_rfc3339(b"2026-11-22T01:02:03Z"),
        parse_rfc3339(b"2026-11-22T04:05:06.789Z"),
    ]
    assert {row["flags"] for row in rows} == {0}


def test_plain_lines_without_any_time_get_when_they_were_read():
    rows = read(chunks_of(b"hello\n", [], format=PLAIN))
    assert rows[0]["ts"] == READ_MS * 1_000_000


def test_a_plain_file_that_says_no_time_any_more_does_not_stand_still():
    """A banner with a date, then lines for days; a stack trace that begins a chunk stays with the
    line before it."""
    pieces = [
        b"2026-11-22 04:05:06 started\nhello\n",
        b"hello again\n",
        b"  at the trace's end\n2026-11-22 04:05:09 x\n",
    ]
    events, place = [], 0
    for number, piece in enumerate(pieces):
        flags = {"format": PLAIN, "read_ms": READ_MS + number}
        events.append((chunk(piece, place, **flags), piece))
        place += len(piece)
    for batch in (1, 3):
        rows = read([*events, (end(place), b"")], batch=batch)
        assert [row["ts"] for row in rows] == [
            parse_rfc3339(b"2026-11-22T04:05:06Z"),
            parse_rfc3339(b"2026-11-22T04:05:06Z"),
            (READ_MS + 1) * 1_000_000,
            (READ_MS + 1) * 1_000_000,
            parse_rfc3339(b"2026-11-22T04:05:09Z"),
        ]


def test_a_five_megabyte_line_becomes_rows_that_continue_each_other():
    body = bytes(range(32, 127)) * 55_000
    data = b"2026-11-23T05:35:03.35056764Z stdout F " + body + b"\n"
    cuts = list(range(900_000, len(data), 900_000))
    rows = read([*chunks_of(data, cuts), (end(len(data)), b"")], batch=2)
    assert b"".join(row["body"] for row in rows) == body
    assert all(len(row["body"]) <= 1024 * 1024 for row in rows)
    flags = [row["flags"] for row in rows]
    assert flags == [PARTIAL] + [PARTIAL | CONTINUES] * (len(rows) - 2) + [CONTINUES]
    assert {row["ts"] for row in rows} == {parse_rfc3339(b"2026-11-23T05:35:03.35056764Z")}


def test_bytes_that_are_missing_are_not_joined_across():
    first = b"2026-11-23T05:35:03Z stdout P begin\n"
    second = b"2026-11-23T05:35:04Z stdout F end\n"
    rows = read(
        [
            (chunk(first, 0), first),
            (chunk(second, 500), second),
        ]
    )
    assert [(row["body"], row["flags"]) for row in rows] == [(b"begin", PARTIAL), (b"end", 0)]


SOURCE = Source("n", "ns", "p", "u", "c", 0, "/x")


def unpack(raw: bytes, value: bytes, **changes):
    event = chunk(raw, 0, source=SOURCE)
    fields = {name: getattr(event, name) for name in event.__dataclass_fields__}
    return decode.Unpacker().unpack(type(event)(**{**fields, "codec": "zstd", **changes}), value)


def test_a_chunk_that_lies_is_named_and_costs_no_memory():
    raw = b"line\n"
    good = zstandard.ZstdCompressor().compress(raw)
    bomb = zstandard.ZstdCompressor().compress(bytes(200_000_000))
    silent = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(200_000_000))
    assert unpack(raw, good) == raw
    assert unpack(raw, bomb).reason == decode.BAD_LENGTH
    assert unpack(raw, silent).reason == decode.BAD_FRAME
    assert unpack(raw, b"nonsense").reason == decode.BAD_FRAME
    assert unpack(raw, good[:-3]).reason == decode.BAD_FRAME
    assert unpack(raw, None).reason == decode.BAD_FRAME
    assert unpack(raw, good, raw_length=9).reason == decode.BAD_LENGTH
    assert unpack(raw, good, crc32c=crc32c.crc32c(b"x")).reason == decode.BAD_CHECKSUM
    newlines = bytes([10]) * 1_000_001
    packed = zstandard.ZstdCompressor().compress(newlines)
    assert unpack(newlines, packed).reason == decode.TOO_LARGE
    assert unpack(raw, good, raw_length=1 << 40).reason == decode.TOO_LARGE


def test_headers_that_are_not_understood_are_named():
    headers = dict(encode_headers(chunk(b"x\n", 0)))
    assert decode.decode_event(tuple({**headers, "v": b"7"}.items())).reason == (
        decode.UNKNOWN_VERSION
    )
    for name, value in (("offset", b"-4"), ("kind", b"tale"), ("file", b"zz"), ("format", b"x")):
        found = decode.decode_event(tuple({**headers, name: value}.items()))
        assert found.reason == decode.BAD_RECORD
        assert name in found.detail


HEAD = b"2026-11-23T05:35:03.35056764Z stderr F "
TRACES = {
    "java": [
        b"ERROR failed",
        b"java.lang.IllegalStateException: no",
        b"\tat Main.save(Main.java:5)",
        b"Caused by: java.lang.NullPointerException: x",
        b"\t... 9 more",
    ],
    "python": [
        b"ERROR billing failed",
        b"Traceback (most recent call last):",
        b'  File "/src/main.py", line 6, in parse',
        b"json.decoder.JSONDecodeError: Expecting value",
        b"",
        b"The above exception was the direct cause of the following exception:",
        b"",
        b"Traceback (most recent call last):",
        b'  File "/src/main.py", line 8, in parse',
        b"RuntimeError: bad invoice",
    ],
    "go": [
        b"ERROR recovered panic: runtime error",
        b"goroutine 1 [running]:",
        b"runtime/debug.Stack()",
        b"\truntime/debug/stack.go:26 +0x5e",
        b"panic({0x6dd800?, 0x9c0230?})",
        b"main.charge(...)",
        b"\t./main.go:25",
    ],
    "dotnet": [
        b"Unhandled exception. System.InvalidOperationException: no",
        b" ---> System.ArgumentException: x",
        b"   at Shop.Save() in /src/a.cs:line 5",
        b"   --- End of inner exception stack trace ---",
    ],
}


@pytest.mark.parametrize("language", sorted(TRACES))
@pytest.mark.parametrize("pattern", ["own", "auto"])
@pytest.mark.parametrize("crashes", [frozenset(), frozenset(range(20))])
def test_a_trace_becomes_one_row(language, pattern, crashes):
    trace = TRACES[language]
    lines = [b"2026 INFO before", *trace, b"2026 INFO after", b"2026 INFO last"]
    data = b"".join(HEAD + line + b"\n" for line in lines)
    cuts = [data.index(b"\n", at) + 1 for at in range(0, len(data) - 60, 70)]
    pod = PodView(pattern=language if pattern == "own" else "auto")
    events = [*chunks_of(data, cuts), (end(len(data)), b"")]
    rows = read(events, batch=1, pod=pod, crash_after=crashes)
    assert [row["body"] for row in rows] == [lines[0], b"\n".join(trace), *lines[-2:]]
    assert [row["flags"] for row in rows] == [0, MULTILINE, 0, 0]
    assert sum(row["nbytes"] for row in rows) == len(data)


def test_without_a_pattern_a_trace_stays_lines():
    data = b"".join(HEAD + line + b"\n" for line in TRACES["java"])
    rows = read([*chunks_of(data, []), (end(len(data)), b"")])
    assert len(rows) == len(TRACES["java"])

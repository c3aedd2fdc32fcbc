"""Any bytes, in any chunks, in any batches, with crashes between them, give the rows that the
reference gives."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.contract.tables import CONTINUES, PARTIAL, UNPARSED
from pipeline.stages.refine import Bounds
from tests.pipeline.stages.feed import READ_MS, chunks_of, end, read
from tests.pipeline.stages.reference import rows_of

WIDE = Bounds(hold_ms=10**9)

digits = st.text("0123456789", min_size=1, max_size=9).map(lambda d: "." + d)
zones = st.sampled_from(["Z", "+08:00", "-03:30", "+00:00", "+14:00"])
times = st.builds(
    lambda d, s, f, z: f"2026-11-{d:02d}T05:59:{s:02d}{f}{z}",
    st.integers(1, 30),
    st.integers(0, 60),
    st.one_of(st.just(""), digits, st.just(".123456789"), st.just(".12345678")),
    zones,
)
contents = st.one_of(
    st.just(b""),
    st.binary(max_size=80).map(lambda b: b.replace(b"\n", b"\r")),
    st.sampled_from([b"hello world", b"stdout F x", b" ", b"\xff\xfe", b"2026-11-01T"]),
)
cri_lines = st.builds(
    lambda t, s, tag, c: t.encode() + b" " + s + b" " + tag + b" " + c,
    times,
    st.sampled_from([b"stdout", b"stderr"]),
    st.sampled_from([b"F", b"F", b"P", b"P:x", b"F:tag:y"]),
    contents,
)
broken = st.one_of(
    st.binary(max_size=90).map(lambda b: b.replace(b"\n", b"x")),
    st.sampled_from(
        [
            b"2026-11-23T05:59:03.Z stdout F x",
            b"2026-13-23T05:59:03.1Z stdout F x",
            b"2026-11-23T05:59:03.1Z stdout F",
            b"2026-11-23T05:59:03.1Z stdout X x",
            b"2026-11-23T05:59:61.1Z stdout F x",
            b"2026-11-23T05:59:03.1234567890Z stdout F x",
            b"2026-11-23T05:59:03.1+24:00 stdout F x",
            b"1026-11-23T05:59:03.1Z stdout F x",
            b"2026-11-23T05:59:03.1Z stdin F x",
        ]
    ),
)
files = st.builds(
    lambda lines, torn: b"\n".join(lines) + (b"" if torn else b"\n"),
    st.lists(st.one_of(cri_lines, cri_lines, broken), min_size=1, max_size=25),
    st.booleans(),
)
cuts = st.lists(st.integers(0, 10_000), max_size=8)

# A line of stderr is torn between two chunks, and finished, while one of stdout is open: a carry
# that is rebuilt has the torn line's rest and not its beginning.
TORN = (
    b"2026-11-01T05:59:03Z stdout P x\n"
    b"2026-11-01T05:59:03Z stderr F " + b"y" * 50 + b"\n"
    b"2026-11-01T05:59:04Z stdout F z\n"
)

# A line without a time begins a record, and is carried: its time is that of the line before.
TIMELESS = b"2026-11-01T05:59:03Z stdout F x\n" + b"z" * 80 + b"\n"

# Two parts of a line, each torn between two chunks: the row that is unfinished after the second
# chunk begins in the rest of the first part, and ends in the last part.
TWICE_TORN = (
    b"2026-11-01T05:59:03Z stdout P " + b"x" * 100 + b"\n"
    b"2026-11-01T05:59:03Z stdout F " + b"y" * 80 + b"\n"
)

# The bodies are within the bound, their headers are more than the raw bytes that a row may have: a
# row ends where a raw line does, and not where a chunk does.
SHORT = b"2026-11-01T05:59:03.123456789+08:00 stdout F:tag:y hello world\n"
EMPTY = b"2026-11-01T05:59:03Z stdout P \n" * 4
EMPTY += b"2026-11-01T05:59:03Z stdout F " + b"x" * 35 + b"\n"


def facts(row):
    return (row["off"], row["nbytes"], row["interleaved"], row["ts"], row["stream"], row["body"])


def expected(data):
    found = []
    for row in rows_of(data, READ_MS * 1_000_000):
        between = row["end"] - row["off"] - row["nbytes"]
        stream = 2 if row["key"] == "stderr" else 1
        found.append((row["off"], row["nbytes"], between, row["ts"], stream, row["body"]))
    return sorted(found)


@settings(max_examples=300, deadline=None)
@example(data=TORN, cuts=[100, 120], batch=2, crashes={0})
@example(data=TIMELESS, cuts=[40, 100], batch=1, crashes={1})
@given(data=files, cuts=cuts, batch=st.integers(1, 4), crashes=st.sets(st.integers(0, 9)))
def test_rows_do_not_depend_on_chunks_batches_or_crashes(data, cuts, batch, crashes):
    events = [*chunks_of(data, cuts), (end(len(data)), b"")]
    rows = read(events, batch=batch, bounds=WIDE, crash_after=frozenset(crashes))
    assert sorted(map(facts, rows)) == expected(data)
    assert sum(row["nbytes"] for row in rows) == len(data)


@settings(max_examples=100, deadline=None)
@given(data=files, cuts=cuts)
def test_flags_say_what_the_reference_says(data, cuts):
    rows = read([*chunks_of(data, cuts), (end(len(data)), b"")], bounds=WIDE)
    flags = {row["off"]: row["flags"] for row in rows}
    for row in rows_of(data, 0):
        want = (PARTIAL if row["partial"] else 0) | (UNPARSED if row["key"] == "raw" else 0)
        assert flags[row["off"]] == want


@settings(max_examples=200, deadline=None)
@example(data=TWICE_TORN, cuts=[61, 200], bound=90, batch=1, crashes={1})
@example(data=SHORT, cuts=[len(SHORT) - 1], bound=11, batch=1, crashes=set())
@example(data=EMPTY, cuts=[len(EMPTY) - 2], bound=40, batch=1, crashes={0})
@given(
    data=files,
    cuts=cuts,
    bound=st.integers(1, 40),
    batch=st.integers(1, 3),
    crashes=st.sets(st.integers(0, 9)),
)
def test_rows_cut_at_the_bound_hold_every_byte_once(data, cuts, bound, batch, crashes):
    bounds = Bounds(row_bytes=bound, hold_ms=10**9)
    events = [*chunks_of(data, cuts), (end(len(data)), b"")]
    whole = read([*chunks_of(data, []), (end(len(data)), b"")], bounds=bounds)
    rows = read(events, batch=batch, bounds=bounds, crash_after=frozenset(crashes))
    assert sorted(map(facts, rows)) == sorted(map(facts, whole))
    assert all(len(row["body"]) <= bound for row in rows)
    assert b"".join(r["body"] for r in joined(rows)) == b"".join(r[5] for r in expected(data))


def joined(rows):
    """Rows in the order of the line they belong to."""
    groups: dict[int, list] = {}
    last: dict[tuple, list] = {}
    for row in sorted(rows, key=lambda r: r["off"]):
        key = (row["stream"], row["flags"] & UNPARSED)
        if row["flags"] & CONTINUES and key in last:
            last[key].append(row)
            continue
        groups[row["off"]] = last[key] = [row]
    return [row for off in sorted(groups) for row in groups[off]]


@settings(max_examples=150, deadline=None)
@given(data=files, cuts=cuts, batch=st.integers(1, 3), crashes=st.sets(st.integers(0, 9)))
def test_flushes_by_time_lose_and_repeat_nothing(data, cuts, batch, crashes):
    events = [*chunks_of(data, cuts), (end(len(data)), b"")]
    bounds = Bounds(hold_ms=10, remember_ms=25)
    once = read(events, batch=batch, bounds=bounds, step_ms=8)
    again = read(events, batch=batch, bounds=bounds, step_ms=8, crash_after=frozenset(crashes))
    assert sorted(map(facts, once)) == sorted(map(facts, again))
    assert sum(row["nbytes"] for row in once) == len(data)
    assert sum(len(row["body"]) for row in once) == sum(len(row[5]) for row in expected(data))


@settings(max_examples=150, deadline=None)
@given(data=files, cuts=cuts, again=st.lists(st.tuples(st.integers(0, 20), cuts), max_size=4))
def test_chunks_sent_again_are_trimmed_exactly(data, cuts, again):
    """A collector that lost its positions sends from an earlier place, cut differently."""
    events = chunks_of(data, cuts)
    for at, other in again if events else ():  # an empty file has no chunks to send again
        upto = events[min(at, len(events) - 1)][0]
        resent = chunks_of(data[: upto.offset + upto.raw_length], other)
        events[at + 1 : at + 1] = [
            (event, raw) for event, raw in resent if not event.flags & 4 or upto.flags & 4
        ]
    events = contiguous(events)
    rows = read([*events, (end(len(data)), b"")], batch=2, bounds=WIDE)
    assert sorted(map(facts, rows)) == expected(data)


def contiguous(events):
    """Only chunks that do not leave a hole: what a collector sends."""
    kept, upto = [], 0
    for event, raw in events:
        if event.offset <= upto:
            kept.append((event, raw))
            upto = max(upto, event.offset + event.raw_length)
    return kept

"""Journal lines: the message is the body, the entry's time the row's, the priority the level."""

import json

from hypothesis import given
from hypothesis import strategies as st

from pipeline.contract.record import JOURNAL
from pipeline.contract.tables import LEVEL_SHIFT, LEVELS, PARTIAL, UNPARSED
from tests.pipeline.stages.feed import chunks_of, end
from tests.pipeline.stages.test_formats import read

T = 1_795_412_941_147_059_000


def line(message: str, ts: int = T, **other) -> bytes:
    return json.dumps({"ts": ts, **other, "msg": message}).encode() + b"\n"


def rows_of(data: bytes, cuts: list[int] | None = None) -> list[dict]:
    rows = read([*chunks_of(data, cuts or [], format=JOURNAL), (end(len(data)), b"")])
    return sorted(rows, key=lambda row: row["off"])


def level(row: dict) -> str:
    return LEVELS[row["flags"] >> LEVEL_SHIFT]


def test_entries_become_rows():
    data = line("nfs: server x not responding", p=4, pid=1, unit="") + line("two\nlines", T + 1)
    data += b"torn\n" + line("é \udcff", p=7) + line("bad", p=12) + b'{"ts":"x","msg":"y"}\n'
    rows = rows_of(data)
    assert [row["body"] for row in rows] == [
        b"nfs: server x not responding", b"two\nlines", b"torn", "é ".encode() + b"\xff", b"bad",
        b'{"ts":"x","msg":"y"}',
    ]  # fmt: skip
    assert [level(row) for row in rows] == ["warn", "", "", "debug", "", ""]
    assert [bool(row["flags"] & UNPARSED) for row in rows] == [False] * 2 + [True] + [False] * 2 + [
        True
    ]
    assert [row["ts"] for row in rows][:2] == [T, T + 1]
    assert sum(row["nbytes"] for row in rows) == len(data)


def test_priorities():
    rows = rows_of(b"".join(line("x", p=p) for p in range(8)))
    found = [level(row) for row in rows]
    assert found == ["fatal"] * 3 + ["error", "warn", "info", "info", "debug"]


def test_a_long_message_in_parts_is_one_row():
    data = line("begin ", p=3, more=1) + line("middle ", p=3, more=1) + line("end", p=3)
    (row,) = rows_of(data)
    assert row["body"] == b"begin middle end"
    assert (row["off"], row["nbytes"]) == (0, len(data))
    assert level(row) == "error"
    (row,) = rows_of(line("the rest never came", more=1))
    assert row["flags"] & PARTIAL


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=8), st.lists(st.integers(0, 1000)))
def test_any_bytes_come_back_whatever_the_chunks(messages, cuts):
    lines = [line(m.decode("utf-8", "surrogateescape"), T + i) for i, m in enumerate(messages)]
    data = b"".join(lines)
    edges = [data.rfind(b"\n", 0, cut % len(data)) + 1 for cut in cuts]  # whole lines
    rows = rows_of(data, edges)
    assert [row["body"] for row in rows] == messages
    assert sum(row["nbytes"] for row in rows) == len(data)

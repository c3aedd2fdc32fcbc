"""What the engine extracts from a line: level, attributes, trace id."""

import json

import pytest

from pipeline.contract.tables import LEVEL_SHIFT, UNPARSED
from pipeline.contract.tables import LEVELS as TABLE_LEVELS
from pipeline.store.clickhouse import ClickHouseStore
from tests.pipeline.store.rows import NOON, log_block

LEVELS: list[tuple[bytes, str]] = [
    (b'{"level":"info","msg":"ERROR is only said"}', "info"),
    (b'{"level":"WARNING"}', "warn"),
    (b'{"severity":"CRITICAL"}', "fatal"),
    (b'{"lvl":"dbg","level":"debug"}', "debug"),
    (b'{"log.level":"error"}', "error"),
    (b'{"log":{"level":"warn"}}', "warn"),
    (b'{"level":30,"msg":"as pino writes it"}', "info"),
    (b'{"level":"strange"}', ""),
    (b'{"msg":"ERROR"}', ""),
    (b'{"msg":"cut off, WARN', "warn"),
    (b"{ERROR} not JSON", "error"),
    (b"I1123 12:00:00.000000       1 main.go:1] started", "info"),
    (b"W1123 12:00:00.000000       1 main.go:1] no error=nil", "warn"),
    (b"E1123 12:00:00.000000       1 main.go:1] x", "error"),
    (b"F1123 12:00:00.000000       1 main.go:1] x", "fatal"),
    (b"I11234 is not klog", ""),
    (b"level=warning msg=x", "warn"),
    (b'time="2026" level=debug msg="x ERROR"', "debug"),
    (b"2026-11-23 12:00:00 ERROR [main] c.e.A - x", "error"),
    (b"2026-11-23T12:00:00Z [Warn] x", "warn"),
    (b"INFO[0000] logrus", "info"),
    (b"NOTICE: x", "info"),
    (b"SEVERE: x", "error"),
    (b"panic: runtime error: x", "fatal"),
    (b"\x1b[31mERROR\x1b[0m coloured", "error"),
    (b"\x1b[1;33mWARN\x1b[0m[0000] coloured", "warn"),
    (b"TERROR INFORMED warnings", ""),
    (b"request done error=nil", ""),
    (b"ErRoR is nobody's spelling", ""),
    (b"x" * 200 + b" ERROR too late", ""),
    (b"\xff\xfe ERROR \xff", "error"),
    (b"", ""),
    (b"no word", ""),
]


def test_levels(store: ClickHouseStore) -> None:
    store.insert("logs", log_block([body for body, _ in LEVELS]), token="t")
    found = [row[0] for row in store.query("SELECT level FROM logs ORDER BY ts").rows]
    assert list(zip([b for b, _ in LEVELS], found, strict=True)) == LEVELS


def test_a_level_that_the_carrier_said_counts_where_the_body_says_none(
    store: ClickHouseStore,
) -> None:
    for code, said in enumerate(TABLE_LEVELS):
        bodies = [b"nfs: server x not responding", b"E1123 12:00:00.000000       1 a.go:1] x"]
        flags = code << LEVEL_SHIFT | UNPARSED
        store.insert("logs", log_block(bodies, flags=flags, ts=NOON + code * 10**9), token=said)
    found = [row[0] for row in store.query("SELECT level FROM logs ORDER BY ts").rows]
    assert found[::2] == list(TABLE_LEVELS)
    assert set(found[1::2]) == {"error"}


ATTRIBUTES: list[tuple[bytes, dict[str, str]]] = [
    (
        b'{"a":"x\\"y","n":1.25,"t":true,"o":{"k":[1]},"l":[1,2],"z":null,"u":"\\u00fc"}',
        {"a": 'x"y', "n": "1.25", "t": "true", "o": '{"k":[1]}', "l": "[1,2]", "u": "ü"},
    ),
    (b'{"a":1} and more', {}),
    (b'{"a":', {}),
    (b"{}", {}),
    (b"{" * 5000, {}),
    (b'["a=b"]', {}),
    (
        b'level=info msg="hello world" dur=1.5s',
        {"level": "info", "msg": "hello world", "dur": "1.5s"},
    ),
    (b'ts=2026 caller=x.go:1 err="a=b"', {"ts": "2026", "caller": "x.go:1", "err": "a=b"}),
    (b"plain text with a=b inside", {}),
    (b"", {}),
    (b"\xff\xfe\x00", {}),
]


def test_attributes(store: ClickHouseStore) -> None:
    store.insert("logs", log_block([body for body, _ in ATTRIBUTES]), token="t")
    found = [row[0] for row in store.query("SELECT attrs FROM logs ORDER BY ts").rows]
    assert list(zip([b for b, _ in ATTRIBUTES], found, strict=True)) == ATTRIBUTES


def test_attributes_are_bounded(store: ClickHouseStore) -> None:
    many = {f"k{n}": n for n in range(100)} | {"level": "error", "trace_id": "abc"}
    bodies = [
        json.dumps(many).encode(),
        json.dumps({"long": "ü" * 1000, "key" * 200: "v"}).encode(),
        b'msg="' + b"y" * 5000 + b'" a=b',
        b"k=v " * 3000,
        b" ".join(b"k%d=%d" % (n, n) for n in range(5000)),
        b'{"a":"' + b"x" * 1_000_000 + b'"}',
        b"x" * 1_000_000,
    ]
    store.insert("logs", log_block(bodies), token="t")
    found = store.query("SELECT attrs, level, trace_id, length(body) FROM logs ORDER BY ts").rows
    assert len(found) == len(bodies)
    for attrs, _, _, _ in found:
        assert len(attrs) <= 32
        for key, value in attrs.items():
            assert len(key.encode()) <= 256
            assert len(value if isinstance(value, bytes) else value.encode()) <= 1024
    assert found[0][1:3] == ("error", "abc"), "fields behind the bound still count"
    assert found[1][0]["long"].startswith("ü" * 500)
    assert [row[3] for row in found] == [len(body) for body in bodies]


@pytest.mark.parametrize("key", ["trace_id", "traceId", "traceID", "trace.id"])
def test_trace_ids(store: ClickHouseStore, key: str) -> None:
    bodies = [
        b'{"%s":"4bf92f35"}' % key.encode(),
        b"level=info %s=4bf92f35" % key.encode(),
        b'{"trace":{"id":"4bf92f35"}}',
        b"trace_id 4bf92f35 in text",
    ]
    store.insert("logs", log_block(bodies), token="t")
    found = [row[0] for row in store.query("SELECT trace_id FROM logs ORDER BY ts").rows]
    assert found == ["4bf92f35", "4bf92f35", "4bf92f35", ""]


def test_search_by_word_and_by_attribute(store: ClickHouseStore) -> None:
    """The indexes that inserts leave out are built by merges, and answers do not depend on it."""
    store.insert("logs", log_block([b'{"user":"ada","msg":"Lost Parcel 77"}', b"other"]), token="t")
    sql = (
        "SELECT countIf(hasToken(lower(body), 'parcel')), countIf(has(attr_items, 'user=ada')) "
        "FROM logs WHERE hasToken(lower(body), 'parcel') OR has(attr_items, 'user=ada')"
    )
    assert store.query(sql).rows == [(1, 1)]
    store.command("OPTIMIZE TABLE logs FINAL")
    assert store.query(sql).rows == [(1, 1)]


LOGFMT: list[tuple[bytes, dict[str, str]]] = [
    (rb'level=info msg="say \"hi\" now" trace_id=abc n=5',
     {"level": "info", "msg": 'say "hi" now', "trace_id": "abc", "n": "5"}),
    (rb'level=info msg="it ends\\" n=5', {"level": "info", "msg": r"it ends\\", "n": "5"}),
    (rb'level=info msg="\\\"q\\\"" n=5', {"level": "info", "msg": r'\\"q\\"', "n": "5"}),
    (rb'level=info path=C:\new\temp re="\d+\x" n=5',
     {"level": "info", "path": r"C:\new\temp", "re": r"\d+\x", "n": "5"}),
    (rb'level=info path=\\host\share n=5', {"level": "info", "path": r"\\host\share", "n": "5"}),
]  # fmt: skip


def test_quotes_within_logfmt_values(store: ClickHouseStore) -> None:
    store.insert("logs", log_block([body for body, _ in LOGFMT]), token="quotes")
    found = store.query("SELECT attrs FROM logs ORDER BY ts").rows
    assert [dict(attrs) for (attrs,) in found] == [attrs for _, attrs in LOGFMT]

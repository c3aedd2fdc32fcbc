"""What each kind of event becomes, and what is refused before a fold sees it."""

import json

import pytest

from pipeline.base.block import Block
from pipeline.contract.facts import EPISODE, TRANSITION, Fact
from pipeline.contract.fields import RecordError
from pipeline.contract.state import (
    EVENT,
    OBJECT,
    PROBE,
    SAMPLE,
    SIGNAL,
    SYNCED,
    TICK,
    StateEvent,
    encode_state,
)
from pipeline.eventlog.blocks import TABLES, table_block
from pipeline.eventlog.rows import Row, decode, fact_rows, row_of
from tests.models.processor_rig import rows_of

NOW = 1_795_435_200_000
EDGES = (NOW - 7 * 86_400_000, NOW + 3_600_000)


def event(kind: str, body: dict, *, t: int = NOW) -> StateEvent:
    """Through the wire, as the processor gets it."""
    return decode(encode_state(StateEvent(kind, t, "test", "id-1", body))[0])


def block(*rows: Row) -> Block:
    return table_block(rows, cluster="prod", partition=0, edges=EDGES)


def stored(kind: str, body: dict, *, t: int = NOW) -> dict:
    row = row_of(event(kind, body, t=t), 7)
    assert row is not None
    made = block(row)
    written = [column.name for column in TABLES[row.table].written]
    assert list(made.columns) == written
    (found,) = rows_of(made)
    assert (found["cluster"], found["kp"], found["ko"]) == (b"prod", 0, 7)
    return found | {"table": row.table}


def test_a_sample() -> None:
    values = {"pleg_last_seen": 1.5, "ops": {"a": [1, 2]}}
    body = {"node": "n1", "part": "metrics", "outcome": "timeout", "ms": 2000.7, "patient": True,
            "detail": "no answer", "values": values}  # fmt: skip
    row = stored(SAMPLE, body)
    assert (row["table"], row["ts"], row["ts_shift"]) == ("node_samples", NOW, 0)
    assert (row["node"], row["part"], row["outcome"]) == (b"n1", b"metrics", b"timeout")
    assert (row["ms"], row["status"], row["patient"]) == (2000, 0, 1)
    assert json.loads(row["values"]) == values


def test_a_probe_stands_among_the_samples_of_its_node() -> None:
    body = {"node": "n1", "probe": "cri", "verdict": "one-container", "stuck": [{"pod": "p"}]}
    row = stored(PROBE, body)
    assert (row["table"], row["part"], row["outcome"]) == (
        "node_samples",
        b"cri",
        b"one-container",
    )
    assert json.loads(row["values"]) == body


def test_an_object() -> None:
    document = {"metadata": {"namespace": "shop", "name": "web-0", "uid": "u", "resourceVersion":
                "41"}, "status": {"phase": "Running"}}  # fmt: skip
    row = stored(OBJECT, {"resource": "pods", "type": "MODIFIED", "object": document})
    assert row["table"] == "objects"
    assert (row["resource"], row["type"], row["namespace"]) == (b"pods", b"MODIFIED", b"shop")
    assert (row["name"], row["uid"], row["resource_version"]) == (b"web-0", b"u", b"41")
    assert json.loads(row["document"]) == document


def test_an_event_stands_at_its_own_time() -> None:
    body = {"uid": "e", "version": "9", "type": "Warning", "reason": "FailedMount", "message": "m",
            "object": {"kind": "Pod", "namespace": "shop", "name": "web-0", "uid": "u"},
            "component": "kubelet", "host": "n1", "first_ms": NOW - 9000, "last_ms": NOW - 2000,
            "count": 4}  # fmt: skip
    row = stored(EVENT, body)
    assert row["table"] == "k8s_events"
    assert (row["ts"], row["first_seen"], row["seen"]) == (NOW - 2000, NOW - 9000, NOW)
    assert (row["kind"], row["name"], row["object_uid"], row["count"]) == (
        b"Pod",
        b"web-0",
        b"u",
        4,
    )
    del body["last_ms"]
    assert stored(EVENT, body)["ts"] == NOW


def test_a_signal() -> None:
    body = {"pattern": "kubelet.pleg-skip", "node": "n1", "program": "kubelet",
            "fields": {"age": "3m"}, "line": "skipping pod synchronization \udcff",
            "file": "00000000000000ff", "off": 2**63}  # fmt: skip
    row = stored(SIGNAL, body)
    assert (row["table"], row["file_id"], row["off"]) == ("signals", 255, 2**63)
    assert row["line"] == b"skipping pod synchronization \xff"
    assert json.loads(row["fields"]) == {"age": "3m"}


def test_text_that_no_encoding_knows_is_kept_as_far_as_it_goes() -> None:
    row = stored(SIGNAL, {"pattern": "p", "line": "half \ud83d of a pair"})
    assert row["line"] == b"half ? of a pair"


def test_what_json_does_not_know() -> None:
    row = stored(SAMPLE, {"node": "n", "part": "host", "outcome": "ok",
                          "values": {"nan": float("nan"), "huge": 2**80}})  # fmt: skip
    assert b"1208925819614629174706176" in row["values"]


@pytest.mark.parametrize("t", [NOW - 8 * 86_400_000, 0, -5, NOW + 7_200_000])
def test_a_time_outside_the_window_is_moved_and_the_original_kept(t: int) -> None:
    row = stored(SAMPLE, {"node": "n", "part": "host", "outcome": "ok"}, t=t)
    assert EDGES[0] <= row["ts"] <= EDGES[1]
    assert row["ts"] + row["ts_shift"] == t


@pytest.mark.parametrize("kind", [TICK, SYNCED])
def test_what_matters_to_folds_alone_has_no_row(kind: str) -> None:
    body = {"resource": "pods"} if kind == SYNCED else {}
    assert row_of(event(kind, body), 7) is None


@pytest.mark.parametrize(
    ("kind", "body", "what"),
    [
        (SAMPLE, {"part": "host", "outcome": "ok"}, "`node` must be a text"),
        (SAMPLE, {"node": ["n"], "part": "host", "outcome": "ok"}, "`node` must be a text"),
        (SAMPLE, {"node": "n", "part": "host", "outcome": "ok", "ms": "9"}, "`ms` must be a num"),
        (SAMPLE, {"node": "n", "part": "host", "outcome": "ok", "values": []}, "`values` must"),
        (PROBE, {"node": "n"}, "`probe` must be a text"),
        (OBJECT, {"resource": "pods", "type": "BOOKMARK", "object": {}}, "`type` is 'BOOKMARK'"),
        (OBJECT, {"resource": "pods", "type": "ADDED", "object": {}}, "metadata` is missing"),
        (OBJECT, {"type": "ADDED", "object": {"metadata": {"name": "x"}}}, "`resource` must"),
        (EVENT, {"reason": "x"}, "`uid` must be a text"),
        (SIGNAL, {"pattern": "p", "file": "not hex"}, "`file` must be hex"),
        (SYNCED, {}, "`resource` must be a text"),
    ],
)
def test_a_body_that_is_not_as_promised_is_refused(kind: str, body: dict, what: str) -> None:
    with pytest.raises(RecordError, match=what):
        row_of(event(kind, body), 7)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{",
        b"[]",
        b'{"v":2}',
        b'{"v":1,"kind":"sample"}',
        b'{"v":1,"kind":"else","t":1,"by":"x","id":"i","body":{}}',
        b'{"v":1,"kind":"tick","t":"1","by":"x","id":"i","body":{}}',
        b'{"v":1,"kind":"tick","t":1,"by":"x","id":"","body":{}}',
        b'{"v":1,"kind":"tick","t":1,"by":"x","id":7,"body":{}}',
        b'{"v":1,"kind":"tick","t":99999999999999999999,"by":"x","id":"i","body":{}}',
        b'{"v":1,"kind":"tick","t":1,"by":"x","id":"i","body":[]}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_event_is_refused(value: bytes | None) -> None:
    with pytest.raises(RecordError):
        decode(value)


def test_facts_and_versions_of_episodes() -> None:
    moved = Fact(TRANSITION, NOW, "node/n1", "t-1", {"machine": "node", "to": "NotReady"})
    episode = Fact(EPISODE, NOW, "node/n1", "e9:2", {"id": "e9", "version": 2, "new": {"k": 1}})
    rows = list(fact_rows([moved, episode], 7))
    assert [(row.table, row.ko, row.key) for row in rows] == [
        ("facts", 7, "t-1"),
        ("facts", 7, "e9:2"),
        ("episodes", 7, "e9:2"),
    ]
    (found,) = rows_of(block(rows[2]))
    assert (found["id"], found["version"], found["entity"]) == (b"e9", 2, b"node/n1")
    assert json.loads(found["body"]) == episode.body
    assert [row["kind"] for row in rows_of(block(*rows[:2]))] == [b"transition", b"episode"]

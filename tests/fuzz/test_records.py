"""Records of the bus, whoever wrote them: state events, facts, alerts, versions of pods and of log
configurations, and chunks that announce more than they are."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import lz4.block
import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from alerts.alert import Alert, document
from alerts.silences import silenced
from alerts.standing import THE_STATE, Standing, StateReader
from pipeline.base.errors import Fatal
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.broker.protocol import Commit, Record, TopicPartition
from pipeline.contract import facts, state
from pipeline.contract.alerts import CHANGE_KINDS, decode_change
from pipeline.contract.configs import ConfigVersion, decode_config, encode_config
from pipeline.contract.fields import RecordError
from pipeline.contract.record import CRI, Owner, PodVersion, decode_pod, encode_pod
from pipeline.eventlog.rows import decode, row_of
from pipeline.processor.metadata import read_progress
from pipeline.stages.decode import MAX_RAW_BYTES, Undecodable, Unpacker
from tests.fuzz.hostile import CLASSICS, MIB, bent, examples, mistyped, only, within, written
from tests.pipeline.stages.feed import chunk

BODIES: dict[str, dict[str, Any]] = {
    state.SAMPLE: {"node": "a", "part": "healthz", "asked_ms": 1, "ms": 2, "outcome": "ok",
                   "status": 200, "detail": "", "values": {"failed": []}},
    state.OBJECT: {"resource": "pods", "type": "MODIFIED", "seen_ms": 1, "cut": 2, "object": {
        "kind": "Pod", "metadata": {"name": "p", "namespace": "n", "uid": "u",
                                    "resourceVersion": "7"}, "spec": {"nodeName": "a"}}},
    state.EVENT: {"uid": "u", "version": "1", "type": "Warning", "reason": "R", "message": "m",
                  "object": {"kind": "Pod", "namespace": "n", "name": "p", "uid": "u",
                             "field": ""}, "component": "c", "host": "h", "first_ms": 1,
                  "last_ms": 2, "count": 3},
    state.SYNCED: {"resource": "pods", "version": "7", "count": 1, "outcome": "ok", "uids": ["u"],
                   "after": "", "upto": ""},
    state.SIGNAL: {"pattern": "p", "node": "a", "program": "kubelet", "namespace": "n", "pod": "p",
                   "uid": "u", "container": "c", "fields": {"x": "y"}, "line": "l",
                   "file": "00ff", "off": 5},
    state.PROBE: {"node": "a", "probe": "path", "targets": [{"name": "dns", "address": "x:1",
                                                             "outcome": "ok", "ms": 1}]},
    state.TICK: {},
}  # fmt: skip
EVENTS = [
    {"v": 1, "kind": kind, "t": 1_795_000_000_000, "by": "a", "id": "x", "body": body}
    for kind, body in BODIES.items()
]
FACT = {"v": 1, "kind": "episode", "t": 1, "entity": "node/x", "id": "y", "body": {}}
ALERT = {**FACT, "body": asdict(Alert("f", "r", "critical", "node/x", {"a": "b"}, "g", 1, 2))}
SILENCE = {**FACT, "body": {"matchers": ["a=b"], "starts_at": 1, "ends_at": 5, "by": "b",
                            "comment": "c"}}  # fmt: skip
NOTICE = {**FACT, "body": {"alerts": {"f": ["firing", 1, "c"]}, "at": 1, "trying": {}}}
POD = json.loads(
    encode_pod(
        PodVersion(
            uid="u", name="p", namespace="n", node="a", version=1, created="x", labels={"a": "b"},
            annotations={}, owners=(Owner("ReplicaSet", "r", True),), images={"c": "i"},
            env={"c": {"x": "y"}},
        )
    )
)  # fmt: skip
CONFIG = json.loads(
    encode_config(
        ConfigVersion("u", 1, 5, object={"kind": "LogConfig", "metadata": {}, "spec": {}})
    )
)
PROGRESS = {"v": 1, "need": 1, "base": 2, "carry": "", "a": 0, "b": 5, "n": 6, "now": 7, "t": 8,
            "h": "x"}  # fmt: skip
TP = TopicPartition("kubeledger.logs", 0)


def event(value: bytes) -> None:
    row_of(decode(value), 7)


def standing(value: bytes) -> None:
    """As an evaluator reads it; what it cannot use is told, and is not used."""
    reader, found = StateReader(None, RecordingTelemetry()), Standing()  # type: ignore[arg-type]
    for kind in CHANGE_KINDS:
        for _ in range(2):
            reader.take(found, Record(*THE_STATE, 7, 0, f"{kind}/x".encode(), value, ()))
    silenced(found.silences.values(), found.alerts.values(), 3)
    for alert in found.alerts.values():
        document(alert)


DECODERS: dict[str, tuple[type[Exception], Callable[[bytes], Any], list[Any]]] = {
    "state event": (RecordError, event, EVENTS),
    "state event, orjson": (RecordError, lambda v: state.decode_state(v, orjson.loads), EVENTS),
    "state event, json": (RecordError, state.decode_state, EVENTS),
    "fact": (RecordError, facts.decode_fact, [FACT]),
    "alerting": (RecordError, standing, [ALERT, SILENCE, NOTICE]),
    "pod": (RecordError, decode_pod, [POD]),
    "config": (RecordError, decode_config, [CONFIG]),
    "commit": (Fatal, lambda v: read_progress(TP, Commit(9, v.decode("utf-8", "replace"))),
               [PROGRESS]),
}  # fmt: skip


@pytest.mark.parametrize("name", DECODERS)
def test_records(name: str) -> None:
    error, read, documents = DECODERS[name]
    real = [json.dumps(document).encode() for document in documents]

    @examples(100)
    @given(written(mistyped(documents)) | bent(real))
    def run(value: bytes) -> None:
        only(error, lambda: read(value))

    run()


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("value", CLASSICS, ids=lambda value: repr(value[:12]))
def test_classics(name: str, value: bytes) -> None:
    error, read, (document, *_) = DECODERS[name]
    only(error, lambda: read(value))
    shown = json.dumps(document)[:-1].encode() + b',"more":' + value + b"}"
    only(error, lambda: read(shown))


@examples(100)
@given(st.none() | st.binary(max_size=30), st.none() | st.binary(max_size=30))
def test_keys_of_alerts(key: bytes | None, value: bytes | None) -> None:
    only(RecordError, lambda: decode_change(key, value))
    for kind in CHANGE_KINDS:
        only(
            RecordError, lambda kind=kind: decode_change(f"{kind}/".encode() + (key or b""), value)
        )


def bomb(size: int, *, says: bool) -> bytes:
    packed = zstandard.ZstdCompressor(write_content_size=says).compress(bytes(size))
    assert len(packed) < size // 1000
    return packed


@pytest.mark.parametrize("says", [True, False], ids=["honest", "silent"])
def test_a_chunk_never_takes_more_than_its_header_allows(says: bool) -> None:
    """Whether the frame says how large it is, or not."""
    value = bomb(300 * MIB, says=says)
    honest = chunk(b"2026-11-23T05:35:03.1Z stdout F x\n", 0, format=CRI)
    for length in (0, 1, 100, MIB, MAX_RAW_BYTES, MAX_RAW_BYTES + 1, 1 << 60):
        event = dataclasses.replace(honest, codec="zstd", raw_length=length)
        with within(MAX_RAW_BYTES + 8 * MIB):
            assert isinstance(Unpacker().unpack(event, value), Undecodable)


def test_lz4_says_its_size_in_vain() -> None:
    assert len(lz4.block.compress(bytes(MIB), store_size=False)) > MIB // 256  # see read_frame

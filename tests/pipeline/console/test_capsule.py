"""Capsules: what `record` writes from the bus, what it hides, and what `replay` reads back."""

import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from pipeline.base.clock import ManualClock
from pipeline.base.errors import UsageError
from pipeline.broker.memory import MemoryBroker
from pipeline.broker.protocol import Broker
from pipeline.console.capsule import FILE, read_capsule, run_record, write_capsule
from pipeline.contract.state import (
    ADDED,
    DELETED,
    EVENT,
    MODIFIED,
    OBJECT,
    TICK,
    StateEvent,
    encode_state,
)
from pipeline.contract.topics import STATE, topic_specs

T0 = 1_795_412_000_000
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJyb2JvdCJ9.c2lnbmF0dXJl"


def pod(t: int, name: str, version: int, kind: str = MODIFIED, **annotations: str) -> StateEvent:
    meta: dict[str, Any] = {"name": name, "namespace": "shop", "uid": f"uid-{name}",
                            "resourceVersion": str(version)}  # fmt: skip
    if annotations:
        meta["annotations"] = annotations
    body = {"resource": "pods", "type": kind, "object": {"metadata": meta, "spec": {}}}
    return StateEvent(OBJECT, T0 + t, "watch", f"{name}:{version}", body)


def said(t: int, message: str) -> StateEvent:
    about = {"kind": "Pod", "namespace": "shop", "name": "web", "uid": "u", "field": ""}
    body = {"uid": f"e{t}", "version": "1", "type": "Normal", "reason": "Failed",
            "message": message, "object": about, "component": "kubelet", "host": "node-a",
            "first_ms": T0 + t, "last_ms": T0 + t, "count": 1}  # fmt: skip
    return StateEvent(EVENT, T0 + t, "watch", f"e{t}", body)


def tick(t: int) -> StateEvent:
    return StateEvent(TICK, T0 + t, "process-state", f"tick:{t}", {})


def bus(*events: StateEvent) -> Broker:
    broker = MemoryBroker()
    admin, producer = broker.admin(), broker.producer()
    admin.ensure(topic_specs(1), create=True)
    for event in events:
        value, headers = encode_state(event)
        producer.send(STATE, key=b"-", value=value, headers=headers, partition=0)
    producer.send(STATE, key=b"-", value=b"nonsense", partition=0)
    assert producer.flush(5)
    return broker


def written(path: Path, broker: Broker, **options: Any) -> list[StateEvent]:
    found = write_capsule(broker, path, since_ms=T0 + 100, until_ms=T0 + 200, **options)
    assert found.unreadable == 1
    return list(read_capsule(path))


def test_what_existed_comes_first_then_the_stretch(tmp_path: Path) -> None:
    broker = bus(
        pod(0, "web", 1, ADDED), pod(10, "gone", 2, ADDED), pod(20, "web", 3),
        pod(30, "gone", 4, DELETED), tick(100), pod(150, "web", 5), tick(200), tick(201),
    )  # fmt: skip
    events = written(tmp_path / "c", broker)
    assert [e.id for e in events] == ["web:3", "tick:100", "web:5", "tick:200"]
    index = json.loads((tmp_path / "c" / "index.json").read_text())
    assert (index["start"], index["end"]) == ((T0 + 100) / 1000, (T0 + 200) / 1000)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"authorization: Bearer {JWT} refused", JWT),
        ("pull failed: password=hunter22 for user", "hunter22"),
        ('{"token": "abcdef012345"}', "abcdef012345"),
        ("dial https://robot:s3cretpw@registry.example/v2", "s3cretpw"),
        ("key LTAI4Fabcdefghijklmn is disabled", "LTAI4Fabcdefghijklmn"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "MIIE"),
    ],
)
def test_secrets_are_blotted_out(tmp_path: Path, text: str, secret: str) -> None:
    broker = bus(pod(50, "web", 1, note=text), said(150, text))
    events = written(tmp_path / "c", broker)
    shown = json.dumps([event.body for event in events])
    assert secret not in shown
    assert "…" in events[0].body["object"]["metadata"]["annotations"]["note"]


def test_ordinary_words_stay(tmp_path: Path) -> None:
    text = "Failed to pull image registry.example/web:1: dial tcp 10.0.0.9:443: i/o timeout"
    [event] = written(tmp_path / "c", bus(said(150, text)))
    assert event.body["message"] == text


def test_names_become_hashes_and_the_format_stays(tmp_path: Path) -> None:
    broker = bus(pod(50, "web", 1), pod(120, "pods", 2), said(150, 'pod="shop/web" back-off web'))
    before, named, event = written(tmp_path / "c", broker, redact_names=True)
    assert named.body["resource"] == "pods", "a pod of that name changes no word of the format"
    hidden = before.body["object"]["metadata"]
    assert event.body["object"]["name"] == hidden["name"] != "web"
    assert event.body["message"] == (
        f'pod="{hidden["namespace"]}/{hidden["name"]}" back-off {hidden["name"]}'
    )


def test_an_existing_recording_is_not_overwritten(tmp_path: Path) -> None:
    broker = bus(tick(150))
    written(tmp_path / "c", broker)
    with pytest.raises(UsageError, match="give another directory"):
        written(tmp_path / "c", broker)


def test_nothing_recorded_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing between these times"):
        written(tmp_path / "c", bus(tick(1)))


@pytest.mark.parametrize(("data", "says"), [(None, "--data"), ("nowhere", "no data directory")])
def test_wrong_words(tmp_path: Path, data: str | None, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        run_record(
            tmp_path / "c",
            data=tmp_path / data if data else None,
            config=None,
            since="1h",
            until=None,
            redact_names=False,
            clock=ManualClock(),
        )


def capsule(path: Path, lines: list[bytes], *, cut: int = 0, more: bytes = b"") -> Path:
    """A file of these lines, `cut` bytes short, or with `more` behind them."""
    data = zstandard.compress(b"\n".join(lines))
    (path / FILE).write_bytes(data[: len(data) - cut] + more)
    return path


def lines_of(count: int, pad: int) -> list[bytes]:
    body = '{"v":1,"kind":"tick","t":%d,"by":"test","id":"%d","body":{"pad":"%s"}}'
    return [(body % (n, n, "x" * pad)).encode() for n in range(count)]


@pytest.mark.parametrize("pad", [0, 100, 60_000, 70_000, 200_000])
def test_lines_of_any_length_are_read_in_order(tmp_path: Path, pad: int) -> None:
    """Blocks end anywhere in a line, or hold none whole."""
    lines = lines_of(1_000 if pad < 1_000 else 9, pad)
    events = read_capsule(capsule(tmp_path, lines))
    assert [(event.t, len(event.body["pad"])) for event in events] == [
        (n, pad) for n in range(len(lines))
    ]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (b"", "state event is not JSON"),
        (b'{"v":1', "state event is not JSON"),
        (b'{"v":1},{"v":1}', "state event is not JSON"),
        (b'{"v":9}', "state event format 9 is not known"),
        (b"7", "state event format 'int' is not known"),
    ],
)
@pytest.mark.parametrize("at", [0, 700, 1_500])
def test_a_wrong_line_is_named(tmp_path: Path, wrong: bytes, says: str, at: int) -> None:
    lines = lines_of(2_000, 60)
    lines[at] = wrong
    with pytest.raises(UsageError, match=rf"state\.jsonl\.zst:{at + 1}: {says}"):
        list(read_capsule(capsule(tmp_path, lines)))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"cut": 20_000}, "ends too soon"), ({"cut": 1}, "ends too soon"),
     ({"more": b"x"}, "something follows"), ({"more": b"x" * 9_999}, "something follows")],
)  # fmt: skip
def test_a_file_with_another_end_is_said(tmp_path: Path, wrong: Any, says: str) -> None:
    path, read = capsule(tmp_path, lines_of(20_000, 60), **wrong), list[StateEvent]()
    with pytest.raises(UsageError, match=rf"damaged behind line \d+: .*{says}"):
        read.extend(read_capsule(path))
    assert read, "what came before"

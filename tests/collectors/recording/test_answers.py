"""The kubelet, the host, the API server and the logs of a recording, at times of our choosing."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collectors.node.ports import Answer, Instant, Request
from collectors.recording.api import streams
from collectors.recording.kubelet import RecordedHost, RecordedKubelet
from collectors.recording.lines import line_time
from pipeline.contract import state
from tests.collectors.recording.made import START, recording


def asked(at: float, *, patient: bool = False, deadline_s: float = 4.0) -> Request:
    when = Instant.at(START + at)
    return Request("id", state.METRICS, "/metrics", when, deadline_s, patient)


def metrics(at: float, body: str, ms: int = 5) -> dict[str, Any]:
    return {"t": START + at, "path": "/metrics", "status": 200, "ms": ms, "body": body}


def timed_out(at: float) -> dict[str, Any]:
    return {"t": START + at, "path": "/metrics", "error": "TimeoutError: timed out"}


@pytest.fixture
def kubelet(tmp_path: Path) -> RecordedKubelet:
    rows = [metrics(0, "first"), metrics(5, "second"), timed_out(10), metrics(20, "third")]
    return RecordedKubelet(recording(tmp_path / "r", kubelet_metrics=rows))


def told(kubelet: RecordedKubelet, request: Request) -> tuple[float, Answer]:
    when, answer = kubelet.answer(request)
    return when - START, answer


@pytest.mark.parametrize(
    ("at", "body"), [(0, b"first"), (3.5, b"first"), (5, b"second"), (8, b"second"), (30, b"third")]
)
def test_asked_more_often_it_says_the_same_again(
    kubelet: RecordedKubelet, at: float, body: bytes
) -> None:
    when, answer = told(kubelet, asked(at))
    assert (answer.outcome, answer.status, answer.body) == (state.OK, 200, body)
    assert when == pytest.approx(at + 0.005, abs=0.001)


@pytest.mark.parametrize("deadline_s", [2.0, 4.0])
def test_while_it_hung_every_request_waits_its_whole_deadline(
    kubelet: RecordedKubelet, deadline_s: float
) -> None:
    when, answer = told(kubelet, asked(12, deadline_s=deadline_s))
    assert (answer.outcome, answer.status) == (state.TIMEOUT, None)
    assert when == pytest.approx(12 + deadline_s)


def test_the_patient_are_answered_when_it_answers_again(kubelet: RecordedKubelet) -> None:
    when, answer = told(kubelet, asked(12, patient=True, deadline_s=60))
    assert (answer.outcome, answer.body) == (state.OK, b"third")
    assert when == pytest.approx(20.005, abs=0.01)


def test_but_not_for_ever(kubelet: RecordedKubelet) -> None:
    when, answer = told(kubelet, asked(12, patient=True, deadline_s=5))
    assert answer.outcome == state.TIMEOUT
    assert when == pytest.approx(17)


def test_a_recorded_patient_answer_comes_at_its_time(tmp_path: Path) -> None:
    made = recording(
        tmp_path / "r",
        kubelet_metrics=[metrics(0, "first"), timed_out(5), timed_out(10)],
        kubelet_metrics_patient=[metrics(6, "patient", ms=30_000)],
    )
    when, answer = told(RecordedKubelet(made), asked(10, patient=True, deadline_s=100))
    assert answer.body == b"patient"
    assert when == pytest.approx(36, abs=0.01)


def test_a_refused_connection_is_no_time_out(tmp_path: Path) -> None:
    row = {"t": START, "path": "/metrics", "error": "ConnectionRefusedError: [Errno 111]"}
    made = recording(tmp_path / "r", kubelet_metrics=[row])
    assert told(RecordedKubelet(made), asked(1))[1].outcome == state.REFUSED


def test_a_stopped_daemon_is_seen_while_it_is_stopped(tmp_path: Path) -> None:
    rows = [
        {"t": START + at, "procs": [{"pid": 9, "name": "containerd", "state": letter}]}
        for at, letter in ((0, "S"), (5, "T"), (10, "S"))
    ]
    host = RecordedHost(recording(tmp_path / "r", processes=rows))
    letters = [host.read(START + at)["daemons"]["containerd"]["state"] for at in (1, 7, 11)]
    assert letters == ["S", "T", "S"]


def test_what_existed_is_listed_and_what_follows_is_watched(tmp_path: Path) -> None:
    def event(at: float, kind: str, name: str, version: str) -> dict[str, Any]:
        created = datetime.fromtimestamp(START + (at if kind == "ADDED" and at > 0.5 else -90), UTC)
        meta = {"name": name, "uid": name, "resourceVersion": version,
                "creationTimestamp": created.strftime("%Y-%m-%dT%H:%M:%SZ")}  # fmt: skip
        thing = {"kind": "Namespace", "metadata": meta, "status": {"phase": "Active"}}
        return {"t": START + at, "event": {"type": kind, "object": thing}}

    rows = [
        event(0, "ADDED", "old", "1"),
        event(0.1, "ADDED", "older", "2"),
        event(1, "ADDED", "new", "7"),
        {"t": START + 2, "error": "IncompleteRead"},
        event(3, "DELETED", "old", "8"),
    ]
    made = recording(tmp_path / "r", watch_namespaces=rows)
    [stream] = list(streams(made))
    assert [o["metadata"]["name"] for o in stream.initial] == ["old", "older"]
    assert [t - START for t, _ in stream.later] == [1, 2, 3]
    listed = [e for e in stream.begin(START) if e.kind == "object"]
    assert sorted(e.body["object"]["metadata"]["name"] for e in listed) == ["old", "older"]
    [_, *_, new] = [e for t, piece in stream.later[:1] for e in (None, *stream.feed(t, piece))]
    assert new is not None
    assert (new.body["type"], new.body["object"]["metadata"]["name"]) == ("ADDED", "new")


def ms(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("start", "line", "time"),
    [
        ((2026, 11, 23), b"E1123 06:19:57.274604    7 x.go:1] y",
         ms(2026, 11, 23, 6, 19, 57) + 274),
        ((2026, 12, 31), b"I0101 00:00:01.000000       1 x.go:1] y", ms(2027, 1, 1, 0, 0, 1)),
        ((2027, 1, 1), b"I1231 23:59:59.000000       1 x.go:1] y", ms(2026, 12, 31, 23, 59, 59)),
        ((2026, 11, 23), b'time="2026-11-23T06:19:57.123456789Z" level=info msg="x"',
         ms(2026, 11, 23, 6, 19, 57) + 123),
        ((2026, 11, 23), b"goroutine 1 [running]:", 0),
        ((2026, 11, 23), b"I0231 00:00:01.000000       1 x.go:1] no such day", 0),
    ],
)  # fmt: skip
def test_the_time_of_a_line(start: tuple[int, int, int], line: bytes, time: int) -> None:
    assert line_time(line, datetime(*start, tzinfo=UTC).timestamp()) == time

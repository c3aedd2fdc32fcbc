"""Lines that hold something else are said with file and line; no tracebacks for input."""

import copy
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.recording.layout import open_recording
from collectors.recording.lines import HostLine
from collectors.recording.play import Play
from pipeline.base.errors import UsageError
from pipeline.console.recording import events_of
from tests.collectors.recording.made import START, recording

META = {"name": "p", "namespace": "n", "uid": "u", "resourceVersion": "5",
        "creationTimestamp": "2026-11-18T00:00:00Z"}  # fmt: skip
LOG = "/var/log/pods/n_p_u/main/0.log"

GOOD: dict[str, dict[str, Any]] = {
    "watch_pods": {
        "t": START + 1,
        "event": {"type": "ADDED", "object": {"kind": "Pod", "metadata": META}},
    },
    "kubelet_metrics": {"t": START + 1, "path": "/metrics", "status": 200, "ms": 3, "body": ""},
    "processes": {"t": START + 1, "procs": [{"pid": 1, "name": "kubelet", "state": "S"}]},
    "pod_log_files": {"t": START + 1, "changed": {LOG: [7, 100, START]}, "gone": []},
}


@pytest.mark.parametrize(
    ("name", "row", "says"),
    [
        ("watch_pods", {"t": 1, "event": {"type": "ADDED"}}, "with an `object`"),
        ("watch_pods", {"t": 1, "event": {"type": "ADDED", "object": {}}}, "have `metadata`"),
        ("watch_pods", {"t": 1, "event": []}, "must be a watch event"),
        ("watch_pods", {"event": {}}, "a time `t`"),
        ("kubelet_metrics", {"t": 1}, "numeric `status` or an `error`"),
        ("kubelet_metrics", {"t": 1, "status": "x"}, "numeric `status` or an `error`"),
        ("kubelet_metrics", {"t": 1, "status": 200, "ms": "soon"}, "`ms` must be a number"),
        ("processes", {"t": 1}, "`procs` must be a list"),
        ("processes", {"t": 1, "procs": [{"pid": 1}]}, "`procs` must be a list"),
        ("pod_log_files", {"t": 1, "changed": {"a": [1]}}, "inode, size, mtime"),
    ],
)
def test_a_wrong_line_is_said_with_its_place(
    tmp_path: Path, name: str, row: dict[str, Any], says: str
) -> None:
    made = recording(tmp_path / "r", **{name: [GOOD[name], row]})
    with pytest.raises(UsageError, match=says) as raised:
        list(events_of(Play(made).happenings()))
    assert f"{name.replace('_', '-')}.jsonl:2: " in str(raised.value)


def test_good_lines_are_played(tmp_path: Path) -> None:
    made = recording(tmp_path / "r", **{name: [row] for name, row in GOOD.items()})
    kinds = {event.kind for event in events_of(Play(made).happenings())}
    assert {"object", "sample", "tick"} <= kinds


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for key, below in inner:
        yield from places(below, (*path, key))


JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, [], {}, "", "x", -1, 0, 1.5, True, [[]], [{}], {"metadata": None}]
)


@pytest.mark.parametrize("name", GOOD)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture],
          deadline=None)  # fmt: skip
@given(data=st.data())
def test_whatever_a_line_holds_it_is_played_or_refused(
    tmp_path: Path, name: str, data: st.DataObject
) -> None:
    row = copy.deepcopy(GOOD[name])
    path = data.draw(st.sampled_from([p for p in places(row) if p]))
    holder: Any = row
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = data.draw(JUNK)
    made = recording(tmp_path / "r", **{name: [row]})
    try:
        list(events_of(Play(made).happenings()))
    except UsageError as error:
        refused = str(error)
        assert ".jsonl:1: " in refused


NO_TIMES: list[Any] = [
    [], {"start": "x", "end": 1}, {"start": 5}, {"start": 5, "end": 1}, {"start": -1e18, "end": 1},
    {"start": float("nan"), "end": 1}, {"start": 1, "end": 1e17},
]  # fmt: skip


@pytest.mark.parametrize("index", NO_TIMES)
def test_an_index_without_times(tmp_path: Path, index: Any) -> None:
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(UsageError, match="Unix seconds"):
        open_recording(tmp_path)


@pytest.mark.parametrize("name", ["kubelet.log", "watch-pods.jsonl", "processes.jsonl.gz"])
def test_a_directory_is_no_file_of_a_recording(tmp_path: Path, name: str) -> None:
    made = recording(tmp_path / "r")
    (made.path / name).mkdir()
    assert list(Play(made).happenings())


def test_what_may_not_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = recording(tmp_path / "r", **{name: [row] for name, row in GOOD.items()})

    def refusing(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refusing)
    with pytest.raises(UsageError, match="Permission denied"):
        list(Play(made).happenings())


def test_a_time_that_is_no_text(tmp_path: Path) -> None:
    made = recording(tmp_path / "r")
    (made.path / "kubelet.log").write_bytes(b'time="\xff" level=info\n')
    (line,) = [one for one in Play(made).happenings() if isinstance(one, HostLine)]
    assert line.t_ms == START * 1000

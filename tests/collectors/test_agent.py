"""Lines on disk become chunks, in order, once."""

from pathlib import Path

import pytest

from collectors.config import MAX_CHUNK_RAW
from pipeline.contract.record import (
    ENDS_MID_LINE,
    STARTS_MID_LINE,
    UNTERMINATED,
    Chunk,
    FileOpen,
)
from tests.collectors.rig import Kubelet, Rig


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    (tmp_path / "pods").mkdir()
    return Rig(tmp_path / "pods", tmp_path / "state")


def test_lines_arrive_behind_an_open_record(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        written = pod.write(3)
        rig.step()
        file = rig.only()
        assert isinstance(file.events[0], FileOpen)
        chunk = file.events[1]
        assert isinstance(chunk, Chunk)
        assert file.content() == written
        assert chunk.format == "cri"
        assert chunk.first_ts == "2026-11-23T05:00:00.000000001Z"
        assert chunk.last_ts == "2026-11-23T05:00:00.000000003Z"
        source = chunk.source
        assert (source.namespace, source.pod, source.uid) == ("shop", "web-1", pod.uid)
        assert (source.container, source.restart, source.node) == ("main", 0, "n1")
        assert source.path == str(pod.live)
        assert set(rig.producer.keys) == {pod.uid.encode()}


def test_a_torn_line_waits_for_its_end(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        line = pod.line()
        pod.append(line + line[:20])
        rig.run(1)
        assert rig.only().content() == line
        pod.append(line[20:])
        rig.run(1)
        assert rig.only().content() == line * 2
        assert not rig.only().ends


def test_a_quiet_file_is_left_to_inotify_and_wakes_at_once(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        pod.write()
        rig.run(4)
        assert not rig.agent._files.busy
        assert rig.agent.step() > 0.1
        pod.write()
        rig.step(0.01)
        assert rig.agent._files.busy
        assert len(rig.only().content()) == 120


@pytest.mark.parametrize("inotify", [True, False])
def test_new_pods_and_containers_are_found(tmp_path: Path, inotify: bool) -> None:
    (tmp_path / "pods").mkdir()
    rig = Rig(tmp_path / "pods", tmp_path / "state", reading={"inotify": inotify})
    with rig.started():
        rig.step()
        pods = [Kubelet(rig.root, pod=n, container=c) for n in (1, 2) for c in ("a", "b")]
        written = sorted(pod.write(2) for pod in pods)
        rig.run(0.5 if inotify else 6)
        assert sorted(file.content() for file in rig.files().values()) == written
    assert ("polling-instead-of-inotify" in rig.telemetry.names()) is False


def test_a_file_that_lives_for_a_moment_is_read(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        rig.step()
        written = pod.write(5)
        rig.step(0.001)
        pod.remove()
        rig.run(20)
        file = rig.only()
        assert file.content() == written
        assert [(end.size, end.reason, end.exact) for end in file.ends] == [
            (len(written), "deleted", True)
        ]
        assert not file.gaps


def test_a_long_line_is_split_and_flagged(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    line = pod.line(size=5_000_000)
    with rig.started():
        pod.append(line + pod.line())
        rig.run(1)
        chunks = [e for e in rig.only().events if isinstance(e, Chunk)]
        assert len(rig.only().content()) == len(line) + 60
        assert all(c.raw_length <= MAX_CHUNK_RAW for c in chunks)
        assert chunks[0].flags == ENDS_MID_LINE
        assert chunks[1].flags == STARTS_MID_LINE | ENDS_MID_LINE
        assert chunks[-1].flags == STARTS_MID_LINE


def test_the_last_line_of_a_finished_file_needs_no_newline(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        pod.append(pod.line() + b"no newline")
        rig.run(1)
        pod.rotate()
        rig.run(20)
        file = rig.only()
        assert file.content().endswith(b"no newline")
        chunks = [e for e in file.events if isinstance(e, Chunk)]
        assert chunks[-1].flags == UNTERMINATED
        assert [end.size for end in file.ends] == [70]


def test_the_first_chunk_waits_for_the_pod_but_not_for_ever(rig: Rig) -> None:
    pods = [Kubelet(rig.root, pod=n) for n in (1, 2, 3)]
    rig.pods.versions = {pods[0].uid: None, pods[1].uid: None, pods[2].uid: 7}
    with rig.started():
        for pod in pods:
            pod.write()
        rig.run(1)
        assert [e.source.uid for e, _ in rig.producer.records] == [pods[2].uid] * 2
        rig.pods.versions[pods[0].uid] = 5
        rig.run(0.5)
        assert {e.source.uid for e, _ in rig.producer.records} == {pods[0].uid, pods[2].uid}
        rig.run(1)
        versions = {e.source.uid: e.pod_version for e, _ in rig.producer.records
                    if isinstance(e, Chunk)}  # fmt: skip
        assert versions == {pods[0].uid: 5, pods[1].uid: 0, pods[2].uid: 7}


def test_reading_stops_at_the_bound_and_goes_on_with_the_acknowledgements(tmp_path: Path) -> None:
    (tmp_path / "pods").mkdir()
    limits = {"unacked_bytes": 1 << 20, "unacked_compressed_bytes": 1 << 20}
    rig = Rig(tmp_path / "pods", tmp_path / "state", limits=limits)
    pod = Kubelet(rig.root)
    written = pod.write(40_000, size=100)
    rig.producer.auto = False
    with rig.started():
        rig.run(1)
        assert 1 << 20 <= rig.agent._ship.unacked_raw <= (1 << 20) + MAX_CHUNK_RAW
        assert rig.agent.health() is None
        rig.run(62)
        assert "acknowledged none" in str(rig.agent.health())
        rig.producer.auto = True
        rig.producer.ack()
        rig.run(1)
        assert rig.only().content() == written
        assert rig.agent.health() is None


def test_one_loud_container_does_not_starve_the_others(tmp_path: Path) -> None:
    (tmp_path / "pods").mkdir()
    limits = {"unacked_bytes": 1 << 20, "unacked_compressed_bytes": 1 << 20}
    rig = Rig(tmp_path / "pods", tmp_path / "state", limits=limits)
    loud, quiet = Kubelet(rig.root, pod=1), Kubelet(rig.root, pod=2)
    loud.write(100_000, size=200)
    rig.producer.auto = False
    with rig.started():
        rig.run(0.5)
        quiet.write(2)
        rig.step()
        rig.producer.ack(2)  # room for one chunk or two of twenty megabytes
        rig.run(0.3)
        rig.producer.ack()
        rig.run(0.2)
        rig.producer.ack()
        assert quiet.uid in {e.source.uid for e, _ in rig.producer.records}


def test_a_restart_continues_where_the_acknowledgements_were(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        first = pod.write(10)
        rig.run(1)
    second = pod.write(10)
    with rig.started():
        rig.run(1)
        file = rig.only()
        assert file.content() == first + second
        assert [offset for offset, _ in file.ranges] == [0, len(first)]
        assert sum(isinstance(e, FileOpen) for e in file.events) == 1


def test_stopping_is_bounded_when_the_broker_is_away(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    pod.write(10)
    rig.producer.auto = False
    with rig.started():
        rig.run(1)
        assert rig.producer.pending
    assert ("stopped", {"level": "info", "unacknowledged_records": 2}) in rig.telemetry.events

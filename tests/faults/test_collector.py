"""The collector under what a node does to it: no rights, no watches, no descriptors, no disk,
jumping clocks, garbage. A bus in trouble: test_collector_bus.py."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from collectors.logs import tail as tail_module
from pipeline.contract.record import Chunk
from tests.collectors.rig import Kubelet, Rig


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    (tmp_path / "pods").mkdir()
    return Rig(tmp_path / "pods", tmp_path / "state")


def test_a_file_without_permission_is_said_and_read_when_it_is_given(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, open_ = Kubelet(rig.root, pod=1), Kubelet(rig.root, pod=2)
    hidden, written = closed.write(2), open_.write(2)
    real = os.open

    def denied(path: str, *arguments: Any) -> int:
        if path == str(closed.live):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, *arguments)

    monkeypatch.setattr(tail_module.os, "open", denied)
    with rig.started():
        rig.run(20)
        assert rig.only().content() == written
        assert rig.telemetry.names().count("cannot-open-log") == 1
        assert rig.telemetry.values["kubeledger_unreadable_files", ()] == 1
        monkeypatch.setattr(tail_module.os, "open", real)
        rig.run(10)
        assert hidden in [file.content() for file in rig.files().values()]
        assert rig.telemetry.values["kubeledger_unreadable_files", ()] == 0


@contextmanager
def _descriptors(spare: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    top = max(int(name) for name in os.listdir("/proc/self/fd"))
    held = [os.open(os.devnull, os.O_RDONLY)]
    while held[-1] <= top + spare:
        held.append(os.open(os.devnull, os.O_RDONLY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (held[-1] + 1, hard))
    for _ in range(spare):
        os.close(held.pop())
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in held:
            os.close(fd)


def test_too_few_descriptors_are_no_proof_that_files_are_gone(rig: Rig) -> None:
    pods = [Kubelet(rig.root, pod=n) for n in range(1, 31)]
    written = sorted(pod.write(2) for pod in pods)
    with rig.started():
        rig.step()
        more = [Kubelet(rig.root, pod=n) for n in range(31, 61)]
        written += [pod.write(2) for pod in more]
        with _descriptors(spare=5):
            rig.run(20)
        assert "cannot-open-log" in rig.telemetry.names()
        assert not any(file.ends for file in rig.files().values())
        rig.run(20)
        assert sorted(file.content() for file in rig.files().values()) == sorted(written)
        assert not any(file.ends or file.gaps for file in rig.files().values())


def test_a_used_up_watch_limit_is_said_once_and_polled_around(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    import inotify_simple

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(inotify_simple.INotify, "add_watch", full)
    pod = Kubelet(rig.root)
    with rig.started():
        written = pod.write(2)
        rig.run(5)
        written += pod.write(2)
        rig.run(2)
        pod.rotate()
        later = pod.write(2)
        rig.run(6)
        assert [file.content() for file in rig.files().values()] == [written, later]
    assert rig.telemetry.names().count("polling-instead-of-inotify") == 1


def test_without_inotify_at_all(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    import inotify_simple

    def none(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(inotify_simple.INotify, "__init__", none)
    pod = Kubelet(rig.root)
    with rig.started():
        written = pod.write(2)
        rig.run(6)
        assert rig.only().content() == written
    assert rig.telemetry.names().count("polling-instead-of-inotify") == 1


def test_a_lost_event_queue_means_looking_everywhere(rig: Rig) -> None:
    with rig.started():
        rig.step()
        limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
        for n in range(limit // 2 + 100):
            (rig.root / f"noise-{n % 7}").mkdir()
            (rig.root / f"noise-{n % 7}").rmdir()
        pod = Kubelet(rig.root)
        written = pod.write(2)
        rig.run(0.3)
        assert rig.only().content() == written


def test_clock_jumps_change_nothing(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        written = b""
        for jump in (0, 86_400 * 365, -86_400 * 400, 3600):
            rig.clock.jump_wall(jump)
            written += pod.write(2)
            rig.run(1)
        other = Kubelet(rig.root, pod=2)
        second = other.write(1)
        rig.run(1)
        assert [file.content() for file in rig.files().values()] == [written, second]


def test_binary_garbage_is_kept(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    data = bytes(range(256)) * 5000 + b"\n" + os.urandom(3_000_000) + b"\n"
    with rig.started():
        pod.append(data)
        rig.run(1)
        assert rig.only().content() == data
        values = [len(value) for event, value in rig.producer.records if isinstance(event, Chunk)]
        assert max(values) < 900 * 1024


def test_a_read_error_is_tried_again_then_named(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        pod.write(2)
        rig.run(1)

        def broken(*_: object) -> int:
            raise OSError(errno.EIO, "Input/output error")

        pod.write(3)
        monkeypatch.setattr(os, "preadv", broken)
        rig.run(6)
        assert not rig.only().gaps
        rig.run(10)
        monkeypatch.undo()
        after = pod.write(1)
        rig.run(6)
        file = rig.only()
        assert [(g.start, g.stop, g.reason) for g in file.gaps] == [(120, 300, "unreadable")]
        assert file.ranges[-1] == (300, after)
    with rig.started():
        rig.run(10)
        assert len(rig.files()) == 1


def test_positions_on_a_full_disk_show_in_health(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        pod.write()
        rig.run(2)
        assert rig.agent.health() is None

        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            patch.setattr(rig.waker, "wake", lambda: None)
            written = pod.write(3)
            rig.run(2)
            assert "positions cannot be written" in str(rig.agent.health())
            assert len(rig.only().content()) == len(written) + 60
        rig.run(2)
        assert rig.agent.health() is None


def test_a_loop_that_hangs_is_not_healthy(rig: Rig) -> None:
    with rig.started():
        rig.step()
        assert rig.agent.health() is None
        rig.clock.advance(61)
        assert "has not turned" in str(rig.agent.health())


def test_an_unreadable_directory_is_no_proof_that_its_files_are_gone(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = Kubelet(rig.root)
    real = os.scandir

    def denied(path: str) -> Any:
        if str(path).startswith(str(pod.directory)):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path)

    with rig.started():
        written = pod.write(2)
        rig.step()
        monkeypatch.setattr(os, "scandir", denied)
        (pod.directory / "1.log.tmp").touch()
        rig.run(30)
        monkeypatch.undo()
        written += pod.write(2)
        rig.run(6)
        assert rig.only().content() == written
        assert not rig.only().ends

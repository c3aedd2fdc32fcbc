"""A collector that lives long: what it remembers is what is there, however much has been."""

import errno
from pathlib import Path

import pytest

from collectors.logs import stream as streams_module
from collectors.logs.tail import Tail
from tests.collectors.rig import Kubelet, Rig, open_descriptors

KEPT = 3  # rotated generations, as containerLogMaxFiles keeps them


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    (tmp_path / "pods").mkdir()
    return Rig(tmp_path / "pods", tmp_path / "state")


def remembered(rig: Rig) -> int:
    """Files that the positions name, in memory and, after a restart, on disk."""
    return len(list(rig.positions.items()))


def streams(rig: Rig) -> int:
    return len(list(rig.agent._files.streams()))


@pytest.mark.parametrize("compressed", [True, False])
def test_rotated_files_are_forgotten_once_they_are_deleted(rig: Rig, compressed: bool) -> None:
    """Each rotation deletes the oldest generation and begins a file that has no line yet."""
    pod = Kubelet(rig.root)
    older: list[Path] = []
    written = b""
    with rig.started():
        for _ in range(60):
            written += pod.write(5)
            rig.run(1, tick=0.5)
            older.append(pod.rename())
            if compressed and len(older) > 1:
                older[-2] = pod.compress(older[-2])
            if len(older) > KEPT:
                older.pop(0).unlink()
            pod.reopen()
            rig.run(15, tick=0.5)
            assert remembered(rig) <= KEPT + 3
        assert sum(len(file.content()) for file in rig.files().values()) == len(written)
    rig.start()
    assert remembered(rig) <= KEPT + 3
    rig.stop()


def test_an_archive_that_cannot_be_opened_now_is_not_forgotten(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is sent again when it can be."""
    pod = Kubelet(rig.root)
    with rig.started():
        written = pod.write(5)
        rig.run(1, tick=0.5)
        rotated = pod.rotate()
        written += pod.write(1)
        rig.run(15, tick=0.5)
        with monkeypatch.context() as patch:
            patch.setattr(streams_module, "opened", refuse)
            pod.compress(rotated)
            rig.run(15, tick=0.5)
            assert "cannot-open-log" in rig.telemetry.names()
        rig.run(15, tick=0.5)
        assert remembered(rig) == 2
        chunks = [raw for file in rig.files().values() for _, raw in file.ranges]
        assert sum(map(len, chunks)) == len(written)


def refuse(*_: object, **__: object) -> Tail:
    raise OSError(errno.EMFILE, "Too many open files")


def test_pods_that_come_and_go_leave_nothing(rig: Rig, tmp_path: Path) -> None:
    """Deleted with bytes that are not read yet, so that their files outlive their names."""
    before = open_descriptors()
    total = 0
    with rig.started():
        for number in range(50):
            pod = Kubelet(rig.root, pod=number)
            rig.run(1, tick=0.5)
            for _ in range(2):
                total += len(pod.write(20))
                pod.rotate()
            total += len(pod.write(20))
            rig.step(0.1)
            pod.remove()
            rig.run(15, tick=0.5)
            assert remembered(rig) <= 3
            assert streams(rig) <= 1
        rig.run(15, tick=0.5)
        assert (remembered(rig), streams(rig)) == (0, 0)
        assert len(rig.watch._directories) <= 2
        assert sum(len(file.content()) for file in rig.files().values()) == total
    assert open_descriptors(tmp_path) == 0
    assert open_descriptors() <= before  # an earlier test's may have been closed meanwhile

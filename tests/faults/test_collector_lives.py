"""Found by chaos: a collector that is killed and comes back must say each loss once, and only
what is lost."""

import errno
import os
from pathlib import Path

import pytest

from collectors.logs import tree as tree_module
from tests.collectors.rig import Kubelet, Rig


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "pods", tmp_path / "state")


def test_a_file_finished_and_deleted_between_two_sweeps_is_not_missed(rig: Rig) -> None:
    node = Kubelet(rig.root)
    node.write(3)
    with rig.started():
        rig.run(2)
        node.write(3)
        rig.kill()
    old = node.rotate()
    node.write(1)
    archive = node.compress(old)
    with rig.started():
        rig.run(2)  # continued in the archive, and ended
        archive.unlink()
        rig.run(20)
    assert [f.gaps for f in rig.files().values()] == [[], []]
    assert sorted(len(f.ends) for f in rig.files().values()) == [0, 1]


def test_a_file_begun_just_before_the_kill_and_gone_after_it_is_named(rig: Rig) -> None:
    with rig.started():
        rig.step()  # positions are kept each second, and just now
        node = Kubelet(rig.root)
        written = node.write(3)
        while not rig.files():
            rig.step(0.05)
        rig.kill()
    assert rig.only().content() == written
    node.write(3)
    node.remove()
    with rig.started():
        rig.run(20)
    (end,) = rig.only().ends
    assert (end.size, end.exact) == (len(written), False)


def test_a_directory_that_cannot_be_listed_hides_its_files_and_is_said(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, other = Kubelet(rig.root, pod=1), Kubelet(rig.root, pod=2)
    node.write(3)
    other.write(3)
    with rig.started():
        rig.run(2)
        rig.kill()
    node.write(3)
    listed = os.scandir

    def denied(path: str) -> object:
        if path == str(node.pod):
            raise PermissionError(errno.EACCES, "Permission denied")
        return listed(path)

    monkeypatch.setattr(tree_module.os, "scandir", denied)
    with rig.started():
        rig.run(20)
        assert rig.telemetry.names().count("cannot-open-log") == 1
        assert all(not file.gaps and not file.ends for file in rig.files().values())
        monkeypatch.setattr(tree_module.os, "scandir", listed)
        rig.run(10)
    assert sorted(file.content().count(b"\n") for file in rig.files().values()) == [3, 6]

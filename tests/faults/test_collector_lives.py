"""Found by chaos: a collector that is killed and comes back must say each loss once, and only
what is lost."""

from pathlib import Path

import pytest

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

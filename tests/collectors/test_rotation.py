"""Each rotation case of collectors/design.md, by name. Bytes are compared, not counted."""

from pathlib import Path

import pytest

from pipeline.contract.record import FileEnd
from tests.collectors.rig import Delivered, Kubelet, Rig


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    (tmp_path / "pods").mkdir()
    return Rig(tmp_path / "pods", tmp_path / "state")


def contents(rig: Rig) -> list[bytes]:
    return [file.content() for file in rig.files().values()]


def ends(file: Delivered) -> list[tuple[int, str, bool]]:
    return [(end.size, end.reason, end.exact) for end in file.ends]


def test_rename_and_reopen(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        first = pod.write(3)
        rig.step()
        pod.rotate()
        second = pod.write(3)
        rig.run(0.3)
        assert contents(rig) == [first, second]
        rig.run(20)
        old, new = rig.files().values()
        assert ends(old) == [(len(first), "rotated", True)]
        assert not new.ends


def test_the_runtime_writes_to_the_renamed_file_until_it_reopens(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        first = pod.write(3)
        rig.step()
        renamed = pod.rename()
        late = pod.line()
        with renamed.open("ab") as out:
            out.write(late)
        rig.run(30)  # a runtime that takes its time: no live file, so no end
        (file,) = rig.files().values()
        assert file.content() == first + late
        assert not file.ends
        pod.reopen()
        rig.run(20)
        (file,) = rig.files().values()
        assert ends(file) == [(len(first + late), "rotated", True)]


def test_a_reopen_that_fails_renames_back(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        written = pod.write(3)
        rig.step()
        renamed = pod.rename()
        rig.run(7)
        renamed.rename(pod.live)
        written += pod.write(3)
        rig.run(20)
        assert contents(rig) == [written]
        assert not rig.only().ends


def test_the_archive_of_a_file_that_was_read_is_not_read_again(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        first = pod.write(3)
        rig.step()
        renamed = pod.rotate()
        rig.run(20)
        pod.compress(renamed)
        rig.run(20)
        assert contents(rig) == [first]
    with rig.started():
        rig.run(20)
        assert contents(rig) == [first]
        assert sum(isinstance(e, FileEnd) for e, _ in rig.producer.records) == 1


def test_compressed_and_deleted_while_it_is_still_being_read(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    first = pod.write(30_000, size=200)
    rig.producer.auto = False
    rig.settings["limits"] = {"unacked_bytes": 1 << 20}
    with rig.started():
        rig.run(1)
        renamed = pod.rotate()
        pod.compress(renamed)
        rig.run(1)
        rig.producer.auto = True
        rig.producer.ack()
        rig.run(20)
        assert contents(rig) == [first]
        assert ends(rig.only()) == [(len(first), "rotated", True)]


def test_generations_from_before_the_start_come_oldest_first(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    written = []
    for _ in range(3):
        written.append(pod.write(2000))
        renamed = pod.rotate()
        if len(written) < 3:
            pod.compress(renamed)
    written.append(pod.write(5))
    with rig.started():
        rig.run(20)
        assert contents(rig) == written
        assert [f.ends[0].size for f in rig.files().values() if f.ends] == [
            len(w) for w in written[:3]
        ]


def test_rotated_and_compressed_while_down_continues_in_the_archive(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        first = pod.write(10)
        rig.run(1.5)
    first += pod.write(10)
    pod.compress(pod.rotate())
    second = pod.write(1)
    with rig.started():
        rig.run(20)
        old, new = rig.files().values()
        assert (old.content(), new.content()) == (first, second)
        assert [offset for offset, _ in old.ranges] == [0, 600]
        assert not old.gaps
        assert ends(old) == [(len(first), "rotated", True)]


def test_rotated_away_while_down_is_a_named_gap(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    rig.producer.auto = False
    with rig.started():
        pod.write(10)
        rig.run(0.5)
        rig.producer.ack()
        pod.write(10)
        rig.run(3)
    rig.producer.auto = True
    rig.producer.pending.clear()
    renamed = pod.rotate()
    renamed.unlink()
    second = pod.write(1)
    with rig.started():
        rig.run(20)
        old, new = rig.files().values()
        assert [(g.start, g.stop, g.reason, g.exact) for g in old.gaps] == [
            (600, 1200, "rotated-away", False)
        ]
        assert ends(old) == [(1200, "rotated", False)]
        assert new.content() == second
    with rig.started():
        rig.run(20)
        assert len(rig.files()) == 2
        assert len(next(iter(rig.files().values())).gaps) == 1


def test_a_pod_deleted_while_down_is_a_named_gap(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        pod.write(10)
        rig.run(2)
    pod.remove()
    with rig.started():
        rig.run(20)
        assert not rig.only().gaps
        assert ends(rig.only()) == [(600, "deleted", False)]


def test_a_root_that_is_not_there_is_no_proof_of_loss(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        written = pod.write(10)
        rig.run(2)
    hidden = rig.root.rename(rig.root.with_name("unmounted"))
    with rig.started():
        rig.run(30)
        assert not rig.only().ends
    hidden.rename(rig.root)
    written += pod.write(1)
    with rig.started():
        rig.run(10)
        assert rig.only().content() == written
        assert not rig.only().ends


def test_a_deleted_pod_is_read_to_its_end(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        written = pod.write(3)
        rig.step()
        with pod.live.open("ab") as runtime:
            pod.remove()
            late = pod.line()
            runtime.write(late)
            runtime.flush()
            rig.run(20)
        assert rig.only().content() == written + late
        assert ends(rig.only()) == [(len(written + late), "deleted", True)]


def test_a_restarted_container_ends_the_log_of_its_former_run(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        first = pod.write(3)
        rig.step()
        pod.restart = 1
        second = pod.write(3)
        rig.run(20)
        old, new = rig.files().values()
        assert (old.content(), new.content()) == (first, second)
        assert ends(old) == [(len(first), "replaced", True)]
        assert [e.source.restart for e in new.events] == [1] * len(new.events)


def test_conmon_renames_over_the_live_file(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        first = pod.write(3)
        rig.step()
        second = pod.line()
        temporary = Path(f"{pod.live}.tmp")
        temporary.write_bytes(second)
        temporary.rename(pod.live)
        rig.run(20)
        assert contents(rig) == [first, second]
        assert ends(next(iter(rig.files().values()))) == [(len(first), "replaced", True)]


def test_truncation_starts_another_file(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        first = pod.write(3)
        rig.step()
        pod.live.write_bytes(b"")
        rig.step()
        second = pod.write(1)
        rig.run(10)
        assert contents(rig) == [first, second]
        assert ends(next(iter(rig.files().values()))) == [(len(first), "truncated", False)]


def test_truncation_is_noticed_even_when_the_file_has_grown_past_the_offset(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        first = pod.write(3)
        rig.step()
        second = pod.line() * 10
        pod.live.write_bytes(second)
        rig.run(10)
        assert contents(rig) == [first, second]


def test_a_truncated_file_that_starts_with_the_same_line_has_another_id(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        first = pod.write(3)
        rig.run(1)
        pod.live.write_bytes(b"")
        rig.step()
        pod.live.write_bytes(first[:120])
        rig.run(3)
        assert contents(rig) == [first, first[:120]]
    pod.append(first[120:])
    with rig.started():
        rig.run(10)
        assert contents(rig) == [first, first]
        assert not any(file.gaps for file in rig.files().values())


def test_truncated_while_down(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        first = pod.write(3)
        rig.run(1)
    second = pod.line() * 2
    pod.live.write_bytes(second)
    with rig.started():
        rig.run(20)
        assert contents(rig) == [first, second]
        assert ends(next(iter(rig.files().values())))[0][0] == len(first)


def test_bytes_that_truncation_took_are_named(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    rig.producer.auto = False
    rig.settings["limits"] = {"unacked_bytes": 1 << 19}
    with rig.started():
        pod.write(20_000)
        rig.run(1)
        pod.live.write_bytes(b"")
        rig.run(1)
        rig.producer.auto = True
        rig.producer.ack()
        rig.run(1)
        file = next(iter(rig.files().values()))
        assert [(g.start, g.stop, g.reason) for g in file.gaps] == [
            (len(file.content()), 1_200_000, "truncated")
        ]


def test_a_damaged_archive_is_read_up_to_the_damage(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    written = pod.write(20_000)
    archive = pod.compress(pod.rotate())
    data = archive.read_bytes()
    archive.write_bytes(data[: len(data) // 2])  # the node went down while it was written
    with rig.started():
        rig.run(20)
        file = rig.only()
        content = file.content()
        assert 0 < len(content) < len(written)
        assert written.startswith(content)
        assert [(g.start, g.stop, g.reason, g.exact) for g in file.gaps] == [
            (len(content), len(content), "unreadable", False)
        ]
        assert ends(file) == [(len(content), "rotated", False)]
    with rig.started():
        rig.run(20)
        assert len(rig.only().ends) == 1


def test_an_archive_with_wrong_bytes_says_how_much_is_missing(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    written = pod.write(20_000)
    archive = pod.compress(pod.rotate())
    data = archive.read_bytes()
    archive.write_bytes(data[: len(data) // 2] + b"\0" * 5000 + data[-8:])
    with rig.started():
        rig.run(20)
        (gap,) = rig.only().gaps
        assert (gap.start, gap.stop) == (len(rig.only().content()), len(written))
        assert ends(rig.only()) == [(len(written), "rotated", False)]


def test_an_archive_that_is_none_is_named_once(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    Path(f"{pod.live}.20261123-000009.gz").write_bytes(b"no gzip at all, but longer than 18")
    with rig.started():
        rig.run(20)
        assert [g.reason for g in rig.only().gaps] == ["unreadable"]
    with rig.started():
        rig.run(20)
        assert len(rig.only().gaps) == 1


def test_a_new_file_may_get_the_inode_of_a_finished_one(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    with rig.started():
        written = []
        for _ in range(5):
            written.append(pod.write(2))
            rig.run(0.3)
            renamed = pod.rotate()
            rig.run(20)
            renamed.unlink()
        assert contents(rig) == written
        assert all(ends(file) == [(120, "rotated", True)] for file in rig.files().values())


def test_held_descriptors_are_bounded_and_what_is_given_up_is_named(rig: Rig) -> None:
    rig.settings["limits"] = {"unacked_bytes": 1 << 19, "held_bytes": 1_500_000}
    old, new = Kubelet(rig.root, pod=1), Kubelet(rig.root, pod=2)
    rig.producer.auto = False
    with rig.started():
        old.write(20_000)
        rig.run(0.5)
        kept = new.write(20_000)
        rig.run(0.5)
        old.remove()
        new.remove()
        rig.run(6)
        assert rig.telemetry.values["kubeledger_held_deleted_bytes", ()] == 2_400_000
        rig.producer.auto = True
        rig.producer.ack()
        rig.run(20)
        first, second = rig.files().values()
        taken = len(first.content())
        assert [(g.start, g.stop, g.reason) for g in first.gaps] == [
            (taken, 1_200_000, "held-limit")
        ]
        assert ends(first) == [(1_200_000, "deleted", False)]
        assert second.content() == kept
        assert not second.gaps


def test_truncated_before_anything_of_it_could_be_read(rig: Rig) -> None:
    """Found by the model: identified, not read for lack of room, then other bytes at 0."""
    rig.settings["limits"] = {"unacked_bytes": 1 << 19}
    first, second = Kubelet(rig.root, pod=1), Kubelet(rig.root, pod=2)
    rig.producer.auto = False
    with rig.started():
        first.write(20_000)
        rig.run(1)
        second.write(20_000)
        rig.run(1)
        second.live.write_bytes(b"")
        again = second.write(20_000)
        rig.run(1)
        rig.producer.auto = True
        rig.producer.ack()
        rig.run(20)
        _, old, new = rig.files().values()
        assert not old.ranges
        assert [end.reason for end in old.ends] == ["truncated"]
        assert new.content() == again


@pytest.mark.parametrize("closed", [False, True])
def test_written_to_after_its_end(rig: Rig, closed: bool) -> None:
    """A second end record, with the larger size, whether or not the first was acknowledged."""
    pod = Kubelet(rig.root)
    with rig.started():
        first = pod.write(3)
        rig.run(1)
        renamed = pod.rotate()
        rig.producer.auto = closed
        rig.run(20)
        late = pod.line()
        with renamed.open("ab") as out:
            out.write(late)
        rig.producer.auto = True
        rig.producer.ack()
        rig.run(1)
        pod.write(1)
        pod.rotate()  # at the latest: the next look at the directory
        rig.run(20)
        file = next(iter(rig.files().values()))
        assert file.content() == first + late
        assert [end.size for end in file.ends] == [180, 240]
        assert not file.gaps

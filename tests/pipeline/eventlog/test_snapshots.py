"""Snapshots on a disk that may do anything: what is used is whole, ours, and of this code."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.clock import ManualClock
from pipeline.base.errors import UsageError
from pipeline.base.fold import Folds
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.broker.protocol import Record
from pipeline.contract.state import SAMPLE, StateEvent, encode_state
from pipeline.contract.topics import STATE
from pipeline.eventlog import snapshots as module
from pipeline.eventlog.fingerprint import fingerprint
from pipeline.eventlog.keeper import Keeper
from pipeline.eventlog.machine import Machine
from pipeline.eventlog.snapshots import KEPT, Snapshots
from tests.models.state_rig import ChainFold


def opened(directory: Path, *, cluster: str = "c", code: str = "f") -> Snapshots:
    made = Snapshots(directory, cluster=cluster, fingerprint=code, telemetry=RecordingTelemetry())
    made.open()
    return made


def usable(snapshots: Snapshots, upto: int = 10**9) -> list[int]:
    return [head.offset for head, _ in snapshots.usable(-1, upto)]


def refused(snapshots: Snapshots) -> list[str]:
    told: RecordingTelemetry = snapshots._telemetry
    return [fields["reason"] for name, fields in told.events if name == "snapshot.unusable"]


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    snapshots = opened(tmp_path / "deep" / "er")
    assert snapshots.save(7, b"value", {"a": b"state" * 1000, "b": b""}, confirmed=7)
    ((head, parts),) = snapshots.usable(-1, 7)
    assert (head.offset, parts) == (7, {"a": b"state" * 1000, "b": b""})
    assert not usable(snapshots, 6)
    assert not list(snapshots.usable(7, 9))


def test_the_last_that_a_restart_can_use_are_kept_and_those_beyond(tmp_path: Path) -> None:
    snapshots = opened(tmp_path)
    for offset in range(1, 8):
        snapshots.save(offset * 10, None, {"p": b"x"}, confirmed=offset * 10 - 5)
    assert snapshots.offsets() == [70, 60, 50, 40]
    assert len(snapshots.offsets()) == KEPT + 1


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_is_noticed(tmp_path_factory: pytest.TempPathFactory, at, bit) -> None:
    snapshots = opened(tmp_path_factory.mktemp("s"))
    snapshots.save(1, None, {"p": b"older"}, confirmed=9)
    snapshots.save(2, b"v", {"p": b"newer"}, confirmed=9)
    path = snapshots._directory / "snapshot-2.zst"
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= 1 << bit
    path.write_bytes(content)
    assert usable(snapshots) == [1]
    assert refused(snapshots) == ["damaged"]


@given(length=st.integers(0, 10_000))
def test_a_short_file_is_noticed(tmp_path_factory: pytest.TempPathFactory, length) -> None:
    snapshots = opened(tmp_path_factory.mktemp("s"))
    snapshots.save(2, b"v", {"p": b"newer"}, confirmed=9)
    path = snapshots._directory / "snapshot-2.zst"
    content = path.read_bytes()
    path.write_bytes(content[: length % len(content)])
    assert usable(snapshots) == []


def test_a_snapshot_of_another_cluster_or_of_other_code_is_not_used(tmp_path: Path) -> None:
    opened(tmp_path, cluster="other").save(1, None, {"p": b""}, confirmed=9)
    opened(tmp_path, code="older").save(2, None, {"p": b""}, confirmed=9)
    snapshots = opened(tmp_path)
    (tmp_path / "snapshot-3.zst").write_bytes(b"nobody wrote this\n")
    (tmp_path / "snapshot-4.zst").write_bytes((tmp_path / "snapshot-2.zst").read_bytes())
    (tmp_path / "snapshot-5.zst").mkdir()
    assert usable(snapshots) == []
    assert refused(snapshots) == ["damaged", "damaged", "damaged", "other-code", "foreign"]


def test_a_full_disk_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots = opened(tmp_path)
    snapshots.save(1, None, {"p": b"x"}, confirmed=9)

    def full(path: Path, pieces: Iterable[bytes]) -> None:
        path.write_bytes(next(iter(pieces)))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_write", full)
    assert not snapshots.save(2, None, {"p": b"x"}, confirmed=9)
    assert os.listdir(tmp_path) == ["snapshot-1.zst"]
    assert "snapshot.failed" in snapshots._telemetry.names()


def test_what_a_crash_left_half_written_is_removed(tmp_path: Path) -> None:
    (tmp_path / "snapshot-9.123.tmp").write_bytes(b"half")
    assert usable(opened(tmp_path)) == []
    assert os.listdir(tmp_path) == []


def test_a_directory_that_cannot_be_used_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"state_dir .*file/state cannot be used"):
        opened(tmp_path / "file" / "state")


# The keeper


class Kept:
    """A machine with a directory."""

    def __init__(self, directory: Path, **limits) -> None:
        self.clock, self.telemetry = ManualClock(), RecordingTelemetry()
        self.machine = Machine(
            lambda tripped: Folds({"toy": ChainFold()}, tripped),
            telemetry=self.telemetry,
            clock=self.clock,
        )
        self.keeper = Keeper(
            self.machine,
            opened(directory),
            events=limits.get("events", 10),
            every_s=limits.get("every_s", 60),
            telemetry=self.telemetry,
            clock=self.clock,
        )

    def fold(self, count: int) -> None:
        first = self.machine.next
        self.machine.take([record(offset) for offset in range(first, first + count)])


def record(offset: int) -> Record:
    body = {"node": "n", "part": "host", "outcome": "ok"}
    value, headers = encode_state(StateEvent(SAMPLE, offset, "t", f"i{offset}", body))
    return Record(STATE, 0, offset, offset, b"-", value, headers)


def test_due_by_events_or_by_time_and_never_without_news(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.clock.advance(100)
    assert not kept.keeper.due(0)
    kept.fold(1)
    assert kept.keeper.due(1)
    kept.keeper.save(1)
    kept.fold(9)
    assert not kept.keeper.due(10)
    kept.fold(1)
    assert kept.keeper.due(11)


def test_one_beyond_what_is_confirmed_is_enough(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.fold(20)
    kept.keeper.save(5)
    kept.fold(20)
    assert not kept.keeper.due(19)
    assert kept.keeper.due(20)


def test_a_disk_that_does_not_take_it_is_not_asked_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept(tmp_path)
    kept.fold(20)
    monkeypatch.setattr(module, "_write", _full)
    kept.keeper.save(20)
    assert not kept.keeper.due(20)
    kept.clock.advance(61)
    kept.fold(1)
    assert kept.keeper.due(21)


def _full(path: Path, pieces: Iterable[bytes]) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_dump_that_the_folds_do_not_understand_is_passed_over(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.fold(4)
    kept.keeper.save(4)
    opened(tmp_path).save(5, None, {"fold/toy": b"{}"}, confirmed=9)
    other = Kept(tmp_path)
    assert other.keeper.load(9, lambda head: True)
    assert other.machine.next == 4
    assert other.machine.dump() == kept.machine.dump()


def test_a_snapshot_that_would_go_back_is_not_taken(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.fold(4)
    kept.keeper.save(4)
    kept.fold(4)
    assert not kept.keeper.load(100, lambda head: True)
    assert kept.machine.next == 8


def test_the_fingerprint_follows_code_and_data(tmp_path: Path, monkeypatch) -> None:
    package = tmp_path / "rules"
    (package / "data").mkdir(parents=True)
    for path in (package / "__init__.py", package / "data" / "causes.yaml", package / "x.txt"):
        path.write_text("1")
    monkeypatch.syspath_prepend(tmp_path)
    before = fingerprint("rules")
    (package / "x.txt").write_text("2")
    assert fingerprint("rules") == before
    (package / "data" / "causes.yaml").write_text("2")
    assert fingerprint("rules") != before
    assert fingerprint("pipeline.base.fold") != fingerprint("pipeline.base.clock")

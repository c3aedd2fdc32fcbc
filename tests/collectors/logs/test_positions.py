"""The journal: what was acknowledged survives a kill, a full disk and its own growth."""

import errno
import os
from pathlib import Path

import pytest

from collectors.logs import positions as module
from collectors.logs.positions import Position, Positions
from pipeline.base.errors import UsageError
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.contract.record import Source

SOURCE = Source("n1", "shop", "web", "uid-1", "main", 0, "/logs/web\udcff/0.log")


@pytest.fixture
def telemetry() -> RecordingTelemetry:
    return RecordingTelemetry()


def reopened(directory: Path, telemetry: RecordingTelemetry) -> dict[int, Position]:
    with Positions(directory, telemetry) as positions:
        return dict(positions.items())


def test_positions_come_back(tmp_path: Path, telemetry: RecordingTelemetry) -> None:
    with Positions(tmp_path, telemetry) as positions:
        for file_id in (1, 2, 3):
            positions.opened(file_id, SOURCE, format="cri")
            positions.moved(file_id, 100, "mark")
        positions.saw(1, 250)
        positions.ended(2, 100)
        positions.sync()
        positions.forget(3)
    assert reopened(tmp_path, telemetry) == {
        1: Position(SOURCE, "cri", 100, "mark", 250),
        2: Position(SOURCE, "cri", 100, "mark", 100, ended=True),
    }


def test_what_was_not_synced_lags_and_nothing_leads(
    tmp_path: Path, telemetry: RecordingTelemetry
) -> None:
    with Positions(tmp_path, telemetry) as positions:
        positions.opened(1, SOURCE, format="cri")
        positions.moved(1, 100, "a")
        positions.sync()
        positions.moved(1, 200, "b")
        on_disk = (tmp_path / "positions.log").read_bytes()
    copy = tmp_path / "killed"
    copy.mkdir()
    (copy / "positions.log").write_bytes(on_disk)
    assert reopened(copy, telemetry)[1].acked == 100


def test_every_torn_end_is_survived(tmp_path: Path, telemetry: RecordingTelemetry) -> None:
    with Positions(tmp_path / "whole", telemetry) as positions:
        positions.opened(1, SOURCE, format="cri")
        for offset in (10, 20, 30):
            positions.moved(1, offset, "m")
            positions.sync()
    data = (tmp_path / "whole" / "positions.log").read_bytes()
    seen = set()
    for cut in range(len(data) + 1):
        directory = tmp_path / str(cut)
        directory.mkdir()
        (directory / "positions.log").write_bytes(data[:cut])
        with Positions(directory, telemetry) as positions:
            found = positions.get(1)
            seen.add(found.acked if found else None)
            if found is None:
                positions.opened(1, SOURCE, format="cri")
            positions.moved(1, 99, "m")
        assert reopened(directory, telemetry)[1].acked == 99
    assert seen == {None, 0, 10, 20, 30}
    assert "positions-damaged" not in telemetry.names()


def test_a_damaged_line_costs_that_line_and_is_said(
    tmp_path: Path, telemetry: RecordingTelemetry
) -> None:
    with Positions(tmp_path, telemetry) as positions:
        positions.opened(1, SOURCE, format="cri")
        for offset in (10, 20):
            positions.moved(1, offset, "m")
            positions.sync()
    path = tmp_path / "positions.log"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[-1] = lines[-1].replace(b"20", b"90")
    path.write_bytes(b"".join(lines))
    assert reopened(tmp_path, telemetry)[1].acked == 10
    assert ("positions-damaged", {"level": "warn", "lines": 1}) in telemetry.events


def test_the_journal_is_compacted(
    tmp_path: Path, telemetry: RecordingTelemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_COMPACT_AT", 2000)
    path = tmp_path / "positions.log"
    with Positions(tmp_path, telemetry) as positions:
        positions.opened(1, SOURCE, format="cri")
        positions.opened(2, SOURCE, format="cri")
        positions.ended(2, 0)
        for offset in range(1000):
            positions.moved(1, offset, "m")
            positions.sync()
            assert path.stat().st_size < 4000
        positions.moved(1, 1000, "m")
    assert reopened(tmp_path, telemetry) == {
        1: Position(SOURCE, "cri", 1000, "m", 1000),
        2: Position(SOURCE, "cri", ended=True),
    }
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lock", "positions.log"]


def test_a_full_disk_is_said_and_caught_up(
    tmp_path: Path, telemetry: RecordingTelemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def full(fd: int, data: bytes) -> int:
        real(fd, data[:7])
        raise OSError(errno.ENOSPC, "No space left on device")

    with Positions(tmp_path, telemetry) as positions:
        positions.opened(1, SOURCE, format="cri")
        positions.moved(1, 10, "m")
        positions.sync()
        monkeypatch.setattr(os, "write", full)
        for offset in (20, 30):
            positions.moved(1, offset, "m")
            positions.sync()
            assert "No space left on device" in str(positions.trouble)
        assert telemetry.names() == ["positions-lag"]
        monkeypatch.setattr(os, "write", real)
        positions.sync()
        assert positions.trouble is None
    assert telemetry.names() == ["positions-lag", "positions-caught-up"]
    assert reopened(tmp_path, telemetry)[1].acked == 30


def test_an_unknown_journal_is_refused_and_left_alone(
    tmp_path: Path, telemetry: RecordingTelemetry
) -> None:
    path = tmp_path / "positions.log"
    path.write_bytes(b"kubeledger-positions 9\nwhatever\n")
    with (
        pytest.raises(UsageError, match=r"positions\.log: not a positions journal"),
        Positions(tmp_path, telemetry),
    ):
        pass
    assert path.read_bytes() == b"kubeledger-positions 9\nwhatever\n"


def test_two_collectors_on_one_directory_are_refused(
    tmp_path: Path, telemetry: RecordingTelemetry
) -> None:
    with (
        Positions(tmp_path, telemetry),
        pytest.raises(UsageError, match="another collector"),
        Positions(tmp_path, telemetry),
    ):
        pass


def test_a_directory_that_cannot_be_made_is_a_clear_error(
    tmp_path: Path, telemetry: RecordingTelemetry
) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(UsageError, match="set `state_dir`"),
        Positions(tmp_path / "file" / "state", telemetry),
    ):
        pass


def test_a_retired_file_is_not_forgotten(tmp_path: Path, telemetry: RecordingTelemetry) -> None:
    with Positions(tmp_path, telemetry) as positions:
        for file_id in (1, 2, 3):
            positions.opened(file_id, SOURCE, format="cri")
        positions.ended(1, 0)
        positions.ended(2, 0, retired=True)
        for file_id in (1, 2, 3):
            positions.forget_ended(file_id)
        assert [file_id for file_id, _ in positions.items()] == [2, 3]

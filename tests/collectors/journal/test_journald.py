"""The program that reads the journal: started, asked, killed, replaced; a stand-in for
journalctl speaks its part."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from collectors.journal.config import JournalConfig
from collectors.journal.entries import Entry, Lost
from collectors.journal.journald import Journald
from pipeline.base.clock import ManualClock
from pipeline.base.telemetry import RecordingTelemetry
from tests.collectors.cluster.watcher_rig import until
from tests.collectors.journal.rig import fields

FAKE = Path(__file__).with_name("journalctl.py")


class Journal:
    """A file that the stand-in reads, and the source under test."""

    def __init__(self, folder: Path, **settings) -> None:
        self.path = folder / "journal"
        self.path.touch()
        command = folder / "journalctl"
        command.write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE} "$@"\n')
        command.chmod(0o755)
        self.config = JournalConfig(source="journald", command=str(command), **settings)
        self.clock = ManualClock()
        self.telemetry = RecordingTelemetry()
        self.number = 0
        self.source = self.fresh()

    def fresh(self, cursor: str = "") -> Journald:
        self.source = Journald(self.config, telemetry=self.telemetry, clock=self.clock)
        self.source.begin(cursor)
        return self.source

    def write(self, program: str, message: str, **other) -> str:
        self.number += 1
        entry = fields(self.number, program, message) | other
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        return entry["__CURSOR"]

    def vacuum(self, count: int) -> None:
        """As journald does: files go whole, and who has them open reads on."""
        lines = self.path.read_text().splitlines(keepends=True)
        self.path.unlink()
        self.path.write_text("".join(lines[count:]))

    def read(self, count: int) -> list[Entry | Lost]:
        found: list[Entry | Lost] = []
        until(lambda: found.extend(self.source.read(1 << 20)) or len(found) >= count)
        return found

    def ended(self, times: int) -> list[Entry | Lost]:
        """Read until the child has been found to have ended so often; what came meanwhile."""
        found: list[Entry | Lost] = []
        until(lambda: found.extend(self.source.read(1 << 20)) or len(self.ends()) >= times)
        return found

    def ends(self) -> list[dict]:
        return [more for name, more in self.telemetry.events if name == "journal-reader-ended"]

    def said(self, count: int) -> list[str]:
        return [json.loads(e.data)["msg"] if isinstance(e, Entry) else "LOST"
                for e in self.read(count)]  # fmt: skip

    def calls(self) -> list[str]:
        return Path(f"{self.path}.calls").read_text().splitlines()

    @property
    def pid(self) -> int:
        child = self.source._child
        assert child is not None
        return child.pid


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FAKE_JOURNAL", str(tmp_path / "journal"))
    # A child of a busy machine may take its time between its last word and its end.
    monkeypatch.setattr("collectors.journal.journald._REAP_TRIES", 12_000)
    made = Journal(tmp_path)
    yield made
    made.source.close()


def test_follows(journal: Journal) -> None:
    journal.write("kubelet", "one")
    assert journal.said(1) == ["one"]
    journal.write("kernel", "two")
    journal.write("cron", "nobody asked for it")
    journal.write("systemd", "three")
    assert journal.said(2) == ["two", "three"]
    (call,) = journal.calls()
    assert "--follow" in call
    assert "--lines=10000" in call
    assert "_SYSTEMD_UNIT=kubelet.service + " in call
    assert call.endswith("_PID=1 + _TRANSPORT=kernel")


def test_the_first_start_takes_the_last_entries(tmp_path: Path, journal: Journal) -> None:
    journal.config = journal.config.model_copy(update={"backlog_lines": 3})
    for i in range(10):
        journal.write("kubelet", str(i))
    journal.fresh()
    assert journal.said(3) == ["7", "8", "9"]


def test_goes_on_at_a_cursor(journal: Journal) -> None:
    cursors = [journal.write("kubelet", str(i)) for i in range(30)]
    journal.fresh(cursors[11])
    assert journal.said(19) == [str(i) for i in range(11, 30)]
    probe, follow = journal.calls()
    assert "--lines=1" in probe
    assert "_SYSTEMD_UNIT" not in probe, "a unit that is not wanted any more is no loss"
    assert f"--cursor={cursors[11]}" in follow
    assert "--no-tail" in follow


def test_a_cursor_that_is_gone_is_told_first(journal: Journal) -> None:
    cursors = [journal.write("kubelet", str(i)) for i in range(10)]
    journal.vacuum(5)
    journal.fresh(cursors[2])
    assert journal.said(6) == ["LOST", "5", "6", "7", "8", "9"]
    assert "journal-vacuumed" in journal.telemetry.names()
    journal.source.close()
    journal.vacuum(5)
    journal.fresh(cursors[9])
    assert journal.said(1) == ["LOST"]
    journal.write("kubelet", "new")
    assert journal.said(1) == ["new"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_whatever_ends_it_it_goes_on_where_it_was(journal: Journal, how: int) -> None:
    for life in range(3):
        journal.write("kubelet", f"{life}a")
        journal.write("kubelet", f"{life}b")
        assert journal.said(2) == [f"{life}a", f"{life}b"]
        os.kill(journal.pid, how)
        journal.write("kubelet", f"{life}c")
        assert not journal.ended(life + 1)
        assert not list(journal.source.read(1 << 20)), "not at once: it may be ending again"
        journal.clock.advance(60)
        assert journal.said(1) == [f"{life}c"]
    assert len(journal.ends()) == 3


def test_one_that_cannot_start_is_tried_again_with_patience(journal: Journal) -> None:
    Path(f"{journal.path}.fail").write_text("Failed to open files: Permission denied")
    for times in range(1, 6):
        assert not journal.ended(times)
        pause = journal.ends()[-1]["again_in_s"]
        assert pause == 2 ** (times - 1), "each pause is twice as long"
        journal.clock.advance(pause - 0.1)
        assert not list(journal.source.read(1 << 20))
        assert len(journal.calls()) == times
        journal.clock.advance(0.2)
    assert "status 1: Failed to open files: Permission denied" in journal.ends()[0]["why"]
    assert not journal.ended(6)
    Path(f"{journal.path}.fail").unlink()
    journal.write("kubelet", "at last")
    journal.clock.advance(60)
    assert journal.said(1) == ["at last"]


def test_no_such_program(journal: Journal) -> None:
    journal.config = journal.config.model_copy(update={"command": "/no/such/journalctl"})
    journal.fresh()
    assert not list(journal.source.read(1 << 20))
    ((_, told),) = journal.telemetry.events
    assert "No such file" in told["why"]


def test_after_a_long_time_without_reading_it_is_asked_anew(journal: Journal) -> None:
    """The broker was away; meanwhile journald has removed what was not read."""
    for i in range(4):
        journal.write("kubelet", str(i))
    assert journal.said(4) == ["0", "1", "2", "3"]
    for i in range(4, 8):
        journal.write("kubelet", str(i))
    journal.vacuum(6)
    journal.clock.advance(300)
    assert journal.said(3) == ["LOST", "6", "7"]


def test_odd_output(journal: Journal) -> None:
    with journal.path.open("a") as file:
        file.write('{"_PID": "1"}\n[1]\n')
    journal.write("kubelet", "after", PRIORITY=["3", "4"], _PID=None)
    journal.write("kubelet", [104, 105, 255])
    one, two = journal.read(2)
    assert json.loads(one.data)["p"] == 3
    assert json.loads(two.data)["msg"] == "hi\udcff"
    assert "journal-entry-unreadable" in journal.telemetry.names()


def test_close_leaves_no_process(journal: Journal) -> None:
    journal.write("kubelet", "x")
    journal.said(1)
    pid = journal.pid
    journal.source.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)

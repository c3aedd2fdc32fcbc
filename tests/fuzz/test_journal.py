"""What journalctl and the kernel say, and the lines that are made of it."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.journal.config import JournalConfig
from collectors.journal.entries import compare, journald_entry
from collectors.journal.journald import Journald
from collectors.journal.kmsg import Kmsg
from pipeline.base.clock import ManualClock
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.stages.journal import parse_journal
from pipeline.stages.lines import Text
from tests.collectors.journal.rig import fields
from tests.fuzz.hostile import CLASSICS, bent, examples, mistyped, only, values, written

ENTRY = fields(1, "kubelet", "m") | {"_PID": "5", "UNIT": "x.service", "MESSAGE": [104, 105]}
LINE = json.dumps(ENTRY).encode() + b"\n"
KERNEL = b"6,12345,987654321,-;eth0: link \\x1b up\n SUBSYSTEM=net\n DEVICE=+pci:0000:00:03.0\n"


def entry(found: Any) -> None:
    made = journald_entry(found, units={"kubelet.service"}, systemd=True, kernel=True)
    if made is not None:
        assert made.data.endswith(b"\n")
        compare(made.cursor, ENTRY["__CURSOR"])


@examples(100)
@given(mistyped([ENTRY]))
def test_entries(found: Any) -> None:
    if isinstance(found, dict):
        only(ValueError, lambda: entry(found))
        found["MESSAGE"] = [found.get("MESSAGE")] * 3
        only(ValueError, lambda: entry(found))


class Said:
    """A child that has said this, and goes on."""

    said, ended, pid = b"", False, 0

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int) -> bytes:
        found, self._data = self._data[:50], self._data[50:]
        return found

    def close(self, *, kill: bool = True) -> int:
        return 0


@pytest.mark.parametrize("probing", [False, True])
def test_streams(probing: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken lines are told and passed over; what comes after them is read."""
    telemetry = RecordingTelemetry()
    config = JournalConfig(source="journald", units=["kubelet.service"])

    @examples(80)
    @given(bent([LINE * 2]) | written(mistyped([ENTRY])) | st.sampled_from(CLASSICS))
    def run(data: bytes) -> None:
        source = Journald(config, telemetry=telemetry, clock=ManualClock())
        given_out = iter([Said(data + b"\n"), Said(data + b"\n" + LINE)])
        monkeypatch.setattr(
            "collectors.journal.journald.Child", lambda arguments: next(given_out, Said(b""))
        )
        source.begin("s=a;i=1" if probing else "")
        for _ in range(4):
            list(source.read(1 << 20))

    run()


class Device:
    """/dev/kmsg gives one record for each read; a pipe in packet mode does the same."""

    def __init__(self, record: bytes) -> None:
        self.out, into = os.pipe2(os.O_DIRECT | os.O_NONBLOCK)
        os.write(into, record[:4000] or b"\n")
        os.write(into, KERNEL)
        os.close(into)


@examples(80)
@given(bent([KERNEL]) | st.binary(max_size=60))
def test_the_kernel(record: bytes) -> None:
    device = Device(record)
    source = Kmsg(
        telemetry=RecordingTelemetry(), clock=ManualClock(), opened=lambda: device.out, boot="b"
    )
    source.begin("")
    list(source.read(1 << 20))
    source.close()


@examples(80)
@given(bent([b'{"ts":1,"p":6,"msg":"a","more":1}\n{"ts":1,"msg":"b"}\n']) | written(values))
def test_lines_that_were_made(data: bytes) -> None:
    parse_journal(Text(data, np.array([0]), np.array([len(data)])))


def test_cursors(tmp_path: Path) -> None:
    for text in ("", ";", "=", "s=;i=zz", "s=a;i=" + "f" * 5000, "\udcff"):
        compare(text, "s=a;i=1")

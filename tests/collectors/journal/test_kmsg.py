"""/dev/kmsg: one record per read, numbers without a hole, or it is told."""

import errno
import json
import os
import socket

import pytest

from collectors.journal.entries import Entry, Lost
from collectors.journal.kmsg import DEVICE, Kmsg
from pipeline.base.clock import ManualClock, SystemClock
from pipeline.base.errors import UsageError
from pipeline.base.telemetry import RecordingTelemetry

BOOT = "b" * 32
EPOCH_US = 1_795_412_941_000_000


class Device:
    """A socket that keeps records apart, as the device does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.end, self.kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.end.setblocking(False)
        self.overwritten = False
        real = os.read

        def read(fd: int, size: int) -> bytes:
            if self.overwritten:
                self.overwritten = False
                raise OSError(errno.EPIPE, "overwritten")
            return real(fd, size)

        monkeypatch.setattr("collectors.journal.kmsg.os.read", read)
        self.number = 0

    def say(self, text: str, *, priority: int = 6, facility: int = 0) -> None:
        record = f"{facility * 8 + priority},{self.number},{self.number * 1000},-;{text}\n"
        self.kernel.send(record.encode())
        self.number += 1

    def source(self, cursor: str = "", boot: str = BOOT) -> Kmsg:
        clock = ManualClock(EPOCH_US * 1000)
        self.telemetry = RecordingTelemetry()
        made = Kmsg(
            telemetry=self.telemetry,
            clock=clock,
            opened=lambda: os.dup(self.end.fileno()),
            boot=boot,
        )
        made.begin(cursor)
        return made


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch):
    made = Device(monkeypatch)
    yield made
    made.end.close()
    made.kernel.close()


def said(found) -> list[str]:
    return [json.loads(e.data)["msg"] if isinstance(e, Entry) else "LOST" for e in found]


def test_records(device: Device) -> None:
    device.say("nfs: server x not responding", priority=4)
    device.say("tab\\x09 é \\xff\n SUBSYSTEM=net\n DEVICE=n2", facility=3)
    source = device.source()
    one, two = source.read(1 << 20)
    assert not list(source.read(1 << 20))
    assert (one.program, one.boot) == ("kernel", BOOT)
    assert json.loads(one.data) == {
        "ts": json.loads(one.data)["ts"], "p": 4, "msg": "nfs: server x not responding",
    }  # fmt: skip
    assert json.loads(two.data)["ts"] - json.loads(one.data)["ts"] == 1_000_000
    assert json.loads(two.data)["msg"] == "tab\t é \udcff"
    source.close()


def test_goes_on_behind_what_it_had(device: Device) -> None:
    for i in range(3):
        device.say(str(i))
    source = device.source()
    cursor = list(source.read(1 << 20))[-1].cursor
    source.close()
    device.number = 1
    for i in range(1, 5):  # the buffer from its oldest record on
        device.say(str(i))
    source = device.source(cursor)
    assert said(source.read(1 << 20)) == ["2", "3", "4"], "the last one again: marks decide"
    source.close()


def test_overwritten_records_are_told(device: Device) -> None:
    device.say("0")
    source = device.source()
    assert said(source.read(1 << 20)) == ["0"]
    device.number = 7
    device.overwritten = True
    device.say("7")
    lost, seven = source.read(1 << 20)
    assert isinstance(lost, Lost)
    assert lost.why.startswith("6 records")
    cursor = seven.cursor
    source.close()
    device.number = 20
    device.say("20")
    source = device.source(cursor)
    assert said(source.read(1 << 20)) == ["LOST", "20"]
    source.close()
    device.number = 0
    device.say("0")
    source = device.source(cursor, boot="c" * 32)
    assert said(source.read(1 << 20)) == ["0"], "another boot begins anew"
    source.close()


def test_odd_records_and_other_errors(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    device.kernel.send(b"not a record")
    device.say("x")
    source = device.source()
    assert said(source.read(1 << 20)) == ["x"]

    def broken(fd: int, size: int) -> bytes:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr("collectors.journal.kmsg.os.read", broken)
    assert not list(source.read(1))
    assert not list(source.read(1))
    assert device.telemetry.names() == ["kmsg-unreadable"], "said once; the node goes on"
    source.close()


def test_a_device_that_may_not_be_read() -> None:
    def refused() -> int:
        raise PermissionError(errno.EPERM, "Operation not permitted", DEVICE)

    source = Kmsg(telemetry=RecordingTelemetry(), clock=ManualClock(), opened=refused, boot=BOOT)
    with pytest.raises(UsageError, match=r"/dev/kmsg: .*not permitted; run with CAP_SYSLOG"):
        source.begin("")


def test_the_real_one() -> None:
    if not os.access(DEVICE, os.R_OK):
        pytest.skip(f"{DEVICE} cannot be read here")
    source = Kmsg(telemetry=RecordingTelemetry(), clock=SystemClock())
    try:
        source.begin("")
        found = [e for e in source.read(1 << 20) if isinstance(e, Entry)]
    except UsageError:
        pytest.skip("the kernel's log is restricted here (kernel.dmesg_restrict)")
    finally:
        source.close()
    numbers = [int(entry.cursor.split(";")[1][2:], 16) for entry in found]
    assert numbers == sorted(numbers)
    for entry in found:
        assert json.loads(entry.data)["p"] <= 7

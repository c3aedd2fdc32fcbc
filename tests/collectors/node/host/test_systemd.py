"""systemd answers, does not, or is not there; never is it waited for longer than the deadline."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collectors.node.host.systemd import Systemd
from tests.collectors.node.host.bus_server import FakeBus

KUBELET = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "ActiveEnterTimestamp": 1_795_412_100_123_456,
    "MainPID": 812,
    "NRestarts": 3,
}
NAMES = ("kubelet.service", "containerd.service", "docker.service", "crio.service")


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[FakeBus]:
    with FakeBus(tmp_path / "bus", {"kubelet.service": dict(KUBELET)}) as server:
        yield server


def ask(path: Path, deadline_s: float = 60) -> dict[str, Any]:
    systemd = Systemd(str(path), units=NAMES, deadline_s=deadline_s, every_s=10)
    systemd.begin(0.0)
    return systemd.take(deadline_s)


def test_units_that_exist_are_reported(bus: FakeBus) -> None:
    found = ask(bus.path)
    assert found["systemd"]["outcome"] == "ok"
    assert found["units"] == {
        "kubelet.service": {
            "active": "active",
            "sub": "running",
            "main_pid": 812,
            "restarts": 3,
            "since_ms": 1_795_412_100_123,
        }
    }


def test_a_failed_unit_is_reported_and_one_never_used_is_not(bus: FakeBus) -> None:
    bus.units["containerd.service"] = KUBELET | {
        "ActiveState": "failed", "SubState": "failed", "MainPID": 0, "ActiveEnterTimestamp": 0,
    }  # fmt: skip
    bus.units["docker.service"] = KUBELET | {"ActiveState": "inactive", "ActiveEnterTimestamp": 0}
    bus.units["crio.service"] = KUBELET | {"ActiveState": "inactive", "LoadState": "not-found"}
    units = ask(bus.path)["units"]
    assert sorted(units) == ["containerd.service", "kubelet.service"]
    assert units["containerd.service"] == {"active": "failed", "sub": "failed", "restarts": 3}


def test_what_an_old_systemd_does_not_know_is_absent(bus: FakeBus) -> None:
    del bus.units["kubelet.service"]["NRestarts"]
    assert "restarts" not in ask(bus.path)["units"]["kubelet.service"]


@pytest.mark.parametrize("point", ["connect", "auth", "Hello", "GetUnit", "Get"])
def test_silence_is_a_timeout_wherever_it_begins(bus: FakeBus, point: str) -> None:
    bus.silent_at = point
    assert ask(bus.path, 0.3) == {"systemd": {"outcome": "timeout"}}


def test_a_bus_where_nobody_accepts_is_silent(tmp_path: Path) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "bus"))
    server.listen(0)
    waiting = []
    try:
        for _ in range(3):  # fill the backlog
            client = socket.socket(socket.AF_UNIX)
            client.setblocking(False)
            waiting.append(client)
            try:
                client.connect(str(tmp_path / "bus"))
            except BlockingIOError:
                break
        assert ask(tmp_path / "bus", 0.3) == {"systemd": {"outcome": "timeout"}}
    finally:
        for each in [server, *waiting]:
            each.close()


def test_no_socket_means_no_systemd(tmp_path: Path) -> None:
    assert ask(tmp_path / "none") == {"systemd": {"outcome": "absent"}}


@pytest.mark.parametrize("name", ["ServiceUnknown", "NameHasNoOwner", "AccessDenied"])
def test_a_bus_without_systemd_means_no_systemd(bus: FakeBus, name: str) -> None:
    bus.errors["GetUnit"] = f"org.freedesktop.DBus.Error.{name}"
    found = ask(bus.path)["systemd"]
    assert found["outcome"] == "absent"
    assert name in found["detail"]


def test_a_dead_socket_and_a_refused_user_are_neither_silence_nor_absence(
    tmp_path: Path, bus: FakeBus
) -> None:
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "dead"))
    dead.close()
    assert ask(tmp_path / "dead")["systemd"]["outcome"] == "refused"
    bus.accept_auth = False
    refused = ask(bus.path)["systemd"]
    assert refused["outcome"] == "refused"
    assert "does not accept this user" in refused["detail"]


def test_an_unexpected_error_of_systemd_is_not_taken_for_silence(bus: FakeBus) -> None:
    bus.errors["GetUnit"] = "org.freedesktop.DBus.Error.NoReply"
    assert ask(bus.path)["systemd"]["outcome"] == "refused"


def test_it_is_asked_at_its_own_pace_and_its_answer_repeated(bus: FakeBus) -> None:
    systemd = Systemd(str(bus.path), units=NAMES, deadline_s=60, every_s=10)
    answers = []
    for now in (0.0, 5.0, 9.9, 10.0):
        systemd.begin(now)
        answers.append(systemd.take(60.0))
    assert bus.asked.count("Hello") == 2
    assert answers[0] == answers[1] == answers[2]
    assert answers[3]["units"] == answers[0]["units"]

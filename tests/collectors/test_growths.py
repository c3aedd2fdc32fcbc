"""The tailer tells when containers' logs grow, in virtual time."""

from collections.abc import Collection
from itertools import pairwise
from pathlib import Path

import pytest

from collectors.agent import Agent
from tests.collectors.rig import Kubelet, Rig


class Told:
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.grown: list[tuple[str, float]] = []
        self.here: list[tuple[float, set[str]]] = []

    def grew(self, container: str, at: float) -> None:
        self.grown.append((container, at))

    def looked(self, at: float, here: Collection[str]) -> None:
        self.here.append((at, set(here)))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Every agent of the test tells it."""
    found, begin = Told(), Agent.__init__

    def telling(self: Agent, *arguments: object, **named: object) -> None:
        begin(self, *arguments, growths=found, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Agent, "__init__", telling)
    return found


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    (tmp_path / "pods").mkdir()
    return Rig(tmp_path / "pods", tmp_path / "state")


def test_what_was_there_is_no_growth_and_what_is_written_is(rig: Rig, told: Told) -> None:
    pod = Kubelet(rig.root)
    pod.write(5)
    with rig.started():
        rig.run(10)
        assert told.grown == []  # found, not grown: an agent's start silences nobody
        pod.write()
        rig.step()
        assert told.grown == [("shop/web-1/main", rig.clock.monotonic())]


def test_a_sweep_says_which_containers_can_still_write(rig: Rig, told: Told) -> None:
    one, two = Kubelet(rig.root, pod=1), Kubelet(rig.root, pod=2)
    one.write()
    two.write()
    with rig.started():
        rig.run(6)
        assert told.here[-1][1] == {"shop/web-1/main", "shop/web-2/main"}
        one.remove()
        rig.run(12)
        assert told.here[-1][1] == {"shop/web-2/main"}
        times = [at for at, _ in told.here]
        assert max(b - a for a, b in pairwise(times)) <= 5.2


def test_host_files_are_nobodys_container(rig: Rig, told: Told, tmp_path: Path) -> None:
    messages = tmp_path / "messages"
    messages.write_bytes(b"one\n")
    rig.settings["host_files"] = [{"glob": str(messages), "container": "messages"}]
    with rig.started():
        rig.run(6)
        with messages.open("ab") as out:
            out.write(b"two\n")
        rig.run(6)
    assert told.grown == []
    assert all(not here for _, here in told.here)

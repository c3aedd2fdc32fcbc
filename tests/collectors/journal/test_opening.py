"""Which journal is there, and an agent that carries it."""

import os
from pathlib import Path

import pytest

from collectors.agent import Agent
from collectors.config import CollectConfig
from collectors.journal.journald import Journald
from collectors.journal.kmsg import Kmsg
from collectors.journal.opening import _source, open_journals
from collectors.logs.positions import Positions
from collectors.logs.watch import Waker, Watch
from pipeline.base.clock import ManualClock
from pipeline.base.errors import UsageError
from pipeline.base.telemetry import RecordingTelemetry
from tests.collectors.journal.rig import Node
from tests.collectors.rig import Pods, ToyProducer


def config(tmp_path: Path, **journal) -> CollectConfig:
    return CollectConfig(
        node="node-a", roots=(tmp_path / "pods",), state_dir=tmp_path / "state", journal=journal
    )


def chosen(tmp_path: Path, **journal) -> object:
    settings = config(tmp_path, **journal).journal
    return _source(settings, telemetry=RecordingTelemetry(), clock=ManualClock())


def test_what_is_there_is_taken(tmp_path: Path) -> None:
    journal, command = tmp_path / "journal", tmp_path / "journalctl"
    assert chosen(tmp_path, source="off") is None
    assert isinstance(chosen(tmp_path, source="journald"), Journald)
    assert isinstance(chosen(tmp_path, source="kmsg"), Kmsg)
    auto = {"source": "auto", "directory": journal, "command": str(command)}
    assert isinstance(chosen(tmp_path, **auto), Kmsg), "no directory"
    journal.mkdir()
    (journal / "machine").mkdir()
    assert isinstance(chosen(tmp_path, **auto), Kmsg), "no program"
    command.touch(0o755)
    assert isinstance(chosen(tmp_path, **auto), Journald)


def test_what_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(source: Kmsg, cursor: str) -> None:
        raise UsageError("/dev/kmsg: not permitted")

    monkeypatch.setattr(Kmsg, "begin", refused)
    telemetry = RecordingTelemetry()
    for source in ("auto", "kmsg"):
        settings = config(tmp_path, source=source, directory=tmp_path / "none")
        opening = open_journals(
            settings, producer=ToyProducer(), telemetry=telemetry, clock=ManualClock(),
            wake=lambda: None,
        )  # fmt: skip
        if source == "auto":
            with opening as journals:
                assert journals is None
            assert "journal-none" in telemetry.names()
        else:
            with pytest.raises(UsageError, match="not permitted"), opening:
                pass


def test_units_are_checked() -> None:
    with pytest.raises(ValueError, match="units"):
        CollectConfig(journal={"units": ["kubelet"]})


def test_the_agent_sends_reports_and_stops_them(tmp_path: Path) -> None:
    settings = config(tmp_path)
    telemetry, clock, producer = RecordingTelemetry(), ManualClock(), ToyProducer()
    node = Node(tmp_path / "state")
    node.clock, node.producer, node.telemetry = clock, producer, telemetry
    with (
        Positions(tmp_path / "files", telemetry) as positions,
        Watch(telemetry) as watch,
        Waker() as waker,
    ):
        journals = node.start()
        agent = Agent(
            settings, producer=producer, positions=positions, pods=Pods(), watch=watch,
            waker=waker, telemetry=telemetry, clock=clock, journals=journals,
        )  # fmt: skip
        node.journal.write("kubelet", "one")
        pauses = []
        for _ in range(80):
            pauses.append(agent.step())
            clock.advance(0.1)
        assert node.logs() == {"kubelet": ["one"]}
        assert pauses[1] == settings.reading.tick_s
        assert pauses[-1] > settings.reading.tick_s, "at rest it does not turn for nothing"
        assert agent.health() is None
        node.positions.trouble = "the disk is full"
        assert agent.health() == "the disk is full"
        node.positions.trouble = None
        node.journal.write("kubelet", "two")
        agent.step()
        agent.drain(1.0)
        assert node.logs() == {"kubelet": ["one", "two"]}
        assert node.source.closed
        node.life.close()


def test_two_collectors_do_not_share_a_place(tmp_path: Path) -> None:
    settings = config(tmp_path, source="journald", command="/no/such/program")
    open_one = lambda: open_journals(  # noqa: E731
        settings, producer=ToyProducer(), telemetry=RecordingTelemetry(), clock=ManualClock(),
        wake=lambda: None,
    )  # fmt: skip
    with open_one() as journals:
        assert journals is not None
        with pytest.raises(UsageError, match="another collector"), open_one():
            pass
    assert os.path.exists(tmp_path / "state" / "journal" / "positions.log")

"""A node's journal for tests, in virtual time: entries as journald numbers them, a bus that
acknowledges when told, and lives that end without a word."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from collectors.config import CollectConfig
from collectors.journal.entries import Entry, Lost, compare, journald_entry
from collectors.journal.journals import Journals
from collectors.logs.positions import Positions
from collectors.ship import Shipper
from pipeline.base.clock import ManualClock
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.contract.record import FileEnd
from tests.collectors.rig import Delivered, ToyProducer, delivered

BOOTS = ("b" * 32, "c" * 32, "d" * 32)
START_US = 1_795_412_941_000_000
UNITS = ("kubelet.service", "containerd.service", "docker.service", "crio.service")


def fields(number: int, program: str, message: str, *, boot: int = 0, sequence: str = "a") -> dict:
    """An entry as `journalctl -o json` shows it."""
    t = START_US + number * 1000
    cursor = f"s={sequence * 32};i={number:x};b={BOOTS[boot]};m={number * 1000:x};t={t:x};x=0"
    found = {
        "__CURSOR": cursor,
        "__REALTIME_TIMESTAMP": str(t),
        "__MONOTONIC_TIMESTAMP": str(number * 1000),
        "_BOOT_ID": BOOTS[boot],
        "PRIORITY": "6",
        "MESSAGE": message,
    }
    if program == "kernel":
        return found | {"_TRANSPORT": "kernel", "PRIORITY": "4"}
    if program == "systemd":
        return found | {"_PID": "1", "UNIT": "kubelet.service", "_SYSTEMD_UNIT": "init.scope"}
    return found | {"_SYSTEMD_UNIT": f"{program}.service", "_PID": "77", "_TRANSPORT": "stdout"}


class ToyJournal:
    """What journald.py promises, over a list. `vacuum` removes from the front."""

    def __init__(self) -> None:
        self.entries: list[dict] = []
        self.number = 0
        self.boot = 0
        self.vacuumed: list[dict] = []

    def write(self, program: str, message: str) -> None:
        self.number += 1
        self.entries.append(fields(self.number, program, message, boot=self.boot))

    def vacuum(self, count: int) -> None:
        self.vacuumed += self.entries[:count]
        del self.entries[:count]

    def source(self) -> "ToySource":
        return ToySource(self)


class ToySource:
    def __init__(self, journal: ToyJournal) -> None:
        self.journal = journal
        self.cursor = ""
        self.inclusive = True
        self.probe = False
        self.closed = False

    def begin(self, cursor: str) -> None:
        self.cursor, self.probe = cursor, bool(cursor)

    def again(self) -> None:
        """As after a restart of the child."""
        self.probe = bool(self.cursor)

    def read(self, size: int) -> Iterator[Entry | Lost]:
        assert not self.closed
        entries = [journald_entry(f, units=UNITS, systemd=True, kernel=True)
                   for f in self.journal.entries]  # fmt: skip
        if self.cursor:
            entries = [e for e in entries if compare(e.cursor, self.cursor) >= 0]
        if self.probe:
            self.probe = False
            if not entries or entries[0].cursor != self.cursor:
                yield Lost("vacuumed")
        for entry in entries:
            if size <= 0:
                return
            known = entry.cursor == self.cursor and not self.inclusive
            self.cursor, self.inclusive = entry.cursor, False
            if not known:
                size -= len(entry.data)
                yield entry

    def close(self) -> None:
        self.closed = True


class Node:
    """Lives of one collector, with their positions on disk."""

    def __init__(self, state: Path, *, journal=None, **settings) -> None:
        self.config = CollectConfig(
            node="node-a", state_dir=state, journal=settings, limits={"unacked_records": 64}
        )
        self.journal = journal or ToyJournal()
        self.clock = ManualClock()
        self.telemetry = RecordingTelemetry()
        self.producer = ToyProducer()
        self.life: ExitStack | None = None

    def start(self, source=None) -> Journals:
        self.life = ExitStack()
        self.positions = self.life.enter_context(
            Positions(Path(self.config.state_dir) / "journal", self.telemetry)
        )
        self.ship = Shipper(
            self.producer, self.positions, limits=self.config.limits, telemetry=self.telemetry,
            clock=self.clock, wake=lambda: None,
        )  # fmt: skip
        self.source = source or self.journal.source()
        self.journals = Journals(
            self.config, self.source, ship=self.ship, positions=self.positions,
            telemetry=self.telemetry, clock=self.clock,
        )  # fmt: skip
        self.journals.begin()
        return self.journals

    def run(self, seconds: float = 1.0) -> None:
        for _ in range(max(1, round(seconds / 0.1))):
            self.journals.step(self.clock.monotonic())
            self.clock.advance(0.1)

    def stop(self) -> None:
        self.journals.drain(0.0)
        self.life.close()

    def kill(self) -> None:
        """kill -9: what is not synced is gone; what is on its way may arrive or not."""
        self.positions._dirty.clear()
        self.positions.trouble = None
        self.life.close()

    def files(self) -> dict[int, Delivered]:
        return delivered(self.producer.records)

    def logs(self) -> dict[str, list[str]]:
        """Messages by log, in the order of files and offsets, each byte once."""
        found: dict[str, list[str]] = {}
        for file in self.files().values():
            program = file.events[0].source.container
            found.setdefault(program, []).extend(messages(file.content()))
        return found


def messages(content: bytes) -> list[str]:
    """Long ones put together."""
    found, begun = [], ""
    for line in map(json.loads, content.splitlines()):
        begun += line["msg"]
        if not line.get("more"):
            found.append(begun)
            begun = ""
    assert not begun
    return found


def ends(node: Node) -> list[FileEnd]:
    return [end for file in node.files().values() for end in file.ends]

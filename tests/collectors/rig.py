"""A node for tests: a log tree that a toy kubelet writes, a toy bus that acknowledges when told,
and an agent driven by hand in virtual time."""

import gc
import gzip
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard
from crc32c import crc32c

from collectors.agent import Agent
from collectors.config import CollectConfig
from collectors.logs.positions import Positions
from collectors.logs.watch import Waker, Watch
from pipeline.base.clock import ManualClock, SystemClock
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.broker.protocol import Position
from pipeline.contract.record import (
    STARTS_MID_LINE,
    Chunk,
    FileEnd,
    FileOpen,
    Gap,
    Headers,
    LogRecord,
    decode_headers,
)

_TICKS = 5  # CLOCK_REALTIME_COARSE of linux/time.h
UID = "0a1b2c3d-0000-4000-8000-{:012x}"


@dataclass
class ToyProducer:
    """Keeps what it is sent; acknowledges at once, or when `ack` says so. `refuse` may give an
    error for a record."""

    auto: bool = True
    refuse: Callable[[LogRecord, bytes], BaseException | None] = lambda event, value: None
    records: list[tuple[LogRecord, bytes]] = field(default_factory=list)
    pending: list[tuple["Future[Position]", LogRecord, bytes]] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)

    def send(
        self, topic: str, *, key: bytes | None, value: bytes | None, headers: Headers = (),
        partition: int | None = None, timestamp_ms: int | None = None,
    ) -> "Future[Position]":  # fmt: skip
        assert topic == "kubeledger.logs"
        assert value is not None
        future: Future[Position] = Future()
        self.keys.append(key)
        self.pending.append((future, decode_headers(headers), value))
        if self.auto:
            self.ack()
        return future

    def ack(self, count: int | None = None) -> None:
        """The oldest `count` records become durable (or are refused)."""
        taken = len(self.pending) if count is None else count
        batch, self.pending = self.pending[:taken], self.pending[taken:]
        for future, event, value in batch:
            error = self.refuse(event, value)
            if error is not None:
                future.set_exception(error)
                continue
            self.records.append((event, value))
            future.set_result(Position(0, len(self.records) - 1))

    def flush(self, timeout_s: float) -> bool:
        return not self.pending

    def close(self, timeout_s: float) -> None:
        pass


class Pods:
    """Metadata that is there, or not yet."""

    def __init__(self, versions: dict[str, int | None] | None = None) -> None:
        self.versions = versions or {}

    def version(self, uid: str) -> int | None:
        return self.versions.get(uid, 0)


@dataclass
class Delivered:
    """What the bus has of one file."""

    events: list[LogRecord] = field(default_factory=list)
    ranges: list[tuple[int, bytes]] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    ends: list[FileEnd] = field(default_factory=list)

    def content(self) -> bytes:
        """Bytes from 0 on as far as they are delivered; overlapping ranges must agree."""
        whole = bytearray()
        for offset, raw in sorted(self.ranges, key=lambda r: r[0]):
            assert offset <= len(whole), f"hole at {len(whole)}: next range starts at {offset}"
            overlap = whole[offset : offset + len(raw)]
            assert raw[: len(overlap)] == overlap
            whole[offset : offset + len(raw)] = raw
        return bytes(whole)


def delivered(records: list[tuple[LogRecord, bytes]]) -> dict[int, Delivered]:
    """By file id; checks each chunk against its own headers."""
    files: dict[int, Delivered] = {}
    for event, value in records:
        file = files.setdefault(event.file_id, Delivered())
        file.events.append(event)
        if isinstance(event, Chunk):
            raw = zstandard.ZstdDecompressor().decompress(value)
            assert len(raw) == event.raw_length
            assert crc32c(raw) == event.crc32c
            assert raw.endswith(b"\n") or event.flags & ~STARTS_MID_LINE
            file.ranges.append((event.offset, raw))
        elif isinstance(event, Gap):
            file.gaps.append(event)
        elif isinstance(event, FileEnd):
            file.ends.append(event)
        else:
            assert isinstance(event, FileOpen)
    return files


class Kubelet:
    """Writes and rotates as the kubelet and the runtime do."""

    def __init__(self, root: Path, *, pod: int = 1, container: str = "main") -> None:
        self.uid = UID.format(pod)
        self.pod = root / f"shop_web-{pod}_{self.uid}"
        self.directory = self.pod / container
        self.directory.mkdir(parents=True, exist_ok=True)
        self.restart = 0
        self._lines = 0
        self._rotations = 0

    @property
    def live(self) -> Path:
        return self.directory / f"{self.restart}.log"

    def line(self, size: int = 60) -> bytes:
        self._lines += 1
        head = b"2026-11-23T05:00:%02d.%09dZ stdout F " % (self._lines // 1000, self._lines)
        return head + b"x" * max(0, size - len(head) - 1) + b"\n"

    def write(self, lines: int = 1, *, size: int = 60) -> bytes:
        data = b"".join(self.line(size) for _ in range(lines))
        self.append(data)
        return data

    def append(self, data: bytes) -> None:
        with self.live.open("ab") as out:
            out.write(data)

    def rename(self) -> Path:
        """First half of a rotation: the runtime still writes to the renamed file."""
        self._rotations += 1
        target = Path(f"{self.live}.20261123-{self._rotations:06}")
        self.live.rename(target)
        return target

    def reopen(self) -> None:
        self.live.touch()

    def rotate(self) -> Path:
        target = self.rename()
        self.reopen()
        return target

    def compress(self, path: Path) -> Path:
        temporary, final = Path(f"{path}.tmp"), Path(f"{path}.gz")
        temporary.write_bytes(gzip.compress(path.read_bytes(), 1))
        temporary.rename(final)
        path.unlink()
        return final

    def remove(self) -> None:
        """The pod is deleted."""
        for path in sorted(self.pod.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        self.pod.rmdir()


class Rig:
    """One life of a collector; `with rig.started()` gives a next one on the same state."""

    def __init__(self, root: Path, state: Path, **settings: Any) -> None:
        self.root, self.state = root, state
        self.clock = ManualClock(wall_ns=1_795_412_100_000_000_000)
        self.telemetry = RecordingTelemetry()
        self.producer = ToyProducer()
        self.pods = Pods()
        self.settings: dict[str, Any] = {"node": "n1", "roots": [root], "state_dir": state}
        self.settings.update(settings)
        self._stack: ExitStack | None = None
        self.agent: Agent
        self.waker: Waker
        self.positions: Positions

    def start(self) -> "Rig":
        self.config = config = CollectConfig.model_validate(self.settings)
        self._stack = stack = ExitStack()
        self.positions = stack.enter_context(Positions(config.state_dir, self.telemetry))
        self.watch = stack.enter_context(Watch(self.telemetry, enabled=config.reading.inotify))
        self.waker = stack.enter_context(Waker())
        self.agent = Agent(
            config, producer=self.producer, positions=self.positions, pods=self.pods,
            watch=self.watch, waker=self.waker, telemetry=self.telemetry, clock=self.clock,
        )  # fmt: skip
        return self

    def step(self, seconds: float = 0.1) -> None:
        self.clock.advance(seconds)
        self.agent.step()
        if self.agent._files.polling:
            self._outlast_mtimes()

    def _outlast_mtimes(self) -> None:
        """What a test changes next has a later modification time than what was seen, on file
        systems that keep it in ticks of the kernel's. For the collector, whose time is virtual, all
        that was long ago, and it would not look again."""
        newest = max((d.mtime_ns for d in self.agent._files._tree._known.values()), default=0)
        while 0 <= newest - time.clock_gettime_ns(_TICKS) < 10**9:
            time.sleep(0.001)

    def run(self, seconds: float, *, tick: float = 0.1) -> None:
        """That much virtual time, in ticks."""
        for _ in range(round(seconds / tick)):
            self.step(tick)

    def stop(self) -> None:
        """As SIGTERM does."""
        assert self._stack is not None
        self.agent.drain(10)
        self._stack.close()
        self._stack = None

    def kill(self) -> None:
        """As SIGKILL does: positions as last synced, in-flight records may or may not arrive."""
        assert self._stack is not None
        self.agent._files.close()  # the descriptors would close with the process
        self.positions.sync = lambda: None  # type: ignore[method-assign]
        self._stack.close()
        self._stack = None

    @contextmanager
    def started(self) -> Iterator["Rig"]:
        self.start()
        try:
            yield self
        finally:
            if self._stack is not None:
                self.stop()

    def files(self) -> dict[int, Delivered]:
        return delivered(self.producer.records)

    def only(self) -> Delivered:
        (file,) = self.files().values()
        return file


class LateClock(SystemClock):
    """For a thread that is held up: whenever it looks, an hour has passed."""

    def __init__(self) -> None:
        self._hours = 0

    def monotonic(self) -> float:
        self._hours += 1
        return super().monotonic() + 3600 * self._hours


def open_descriptors(below: Path = Path("/")) -> int:
    """How many this process has, sockets aside: a collector here has none, and a client that an
    earlier test left behind may connect at any moment. Of files there, if it is said where."""
    gc.collect()  # what earlier tests left behind should not go away in between
    links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    if below == Path("/"):
        found = [os.path.realpath(link) for link in links]
        return sum("/socket:[" not in place for place in found)
    return sum(os.path.realpath(link).startswith(f"{below}/") for link in links)


def threads() -> int:
    return threading.active_count()

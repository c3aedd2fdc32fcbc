"""Node agent at a steady 10 MB/s over 10 files, with and without rotation: share of a core,
resident memory, and how old a line is when a reader of the bus has it in hand."""

import calendar
import contextlib
import re
import time
from collections import Counter
from pathlib import Path

import zstandard

from pipeline.broker.protocol import Record
from tests.bench.agent import Agent, agent, compiled
from tests.bench.buses import EMBEDDED, KAFKA, Bus, bus
from tests.bench.limits import compress_rate
from tests.bench.report import at_most, emit, skipped
from tests.bench.tree import container_directories, make_tree
from tests.bench.writer import start_writer
from tests.real.kafka import RealPartMissing

MBPS = 10.0
FILES = 10
SAMPLE = 50_000_000  # bytes for the limit: what zstd-1 alone takes for 10 MB/s
WINDOWS, WINDOW_S, WARM_S = 3, 5.0, 2.0
_STAMP = re.compile(rb"^\S{30} ", re.MULTILINE)
_SETTLE_S = 3.0


def run(work: Path) -> None:
    sample = make_tree(work / "sample", containers=1, size=SAMPLE)
    for kind in (EMBEDDED, KAFKA):
        try:
            with bus(kind, work / kind) as found:
                compiled(found.url, work / f"start-{kind}")
                for rotate_mb in (0, 10):
                    limit = 100 * MBPS / compress_rate(sample.files)
                    _measure(found, kind, work / f"{kind}-{rotate_mb}", rotate_mb, limit)
        except RealPartMissing as missing:
            skipped(f"steady.{kind}", str(missing))


def _measure(found: Bus, kind: str, work: Path, rotate_mb: int, limit: float) -> None:
    container_directories(work / "pods", FILES)
    name = f"steady.{kind}{'.rotating' if rotate_mb else ''}"
    with agent(work / "pods", found.url, work / "state") as running:
        ages = Ages(found)
        ages.watch(_SETTLE_S)
        seconds = WARM_S + WINDOWS * WINDOW_S
        writer = start_writer(work / "pods", mbps=MBPS, seconds=seconds, rotate_mb=rotate_mb)
        ages.watch(WARM_S)
        shares = [_share(running, ages) for _ in range(WINDOWS)]
        resident = running.resident_mib()
        writer.wait()
        ages.watch(1.0)
        running.stop()
        ages.close()
    emit(f"{name}.cpu", shares, "% of a core", target=at_most(5), limit=limit)
    emit(f"{name}.rss", [resident], "MiB", target=at_most(48), peak=round(running.peak_mib, 1))
    emit(f"{name}.age-p50", [ages.quantile(0.5)], "s")
    emit(f"{name}.age-p99", [ages.quantile(0.99)], "s", target=at_most(0.5), lines=ages.lines)


def _share(running: Agent, ages: "Ages") -> float:
    before, start = running.cpu_so_far(), time.perf_counter()
    ages.watch(WINDOW_S)
    return 100 * (running.cpu_so_far() - before) / (time.perf_counter() - start)


class Ages:
    """Reads the bus and notes, for every line, the time since it was written."""

    def __init__(self, found: Bus) -> None:
        self._follower = found.follow()
        self._zstd = zstandard.ZstdDecompressor()
        self._ages: Counter[int] = Counter()  # milliseconds

    def watch(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            for record in self._follower.poll(min(left, 0.2)):
                self._note(record, time.time())

    def _note(self, record: Record, now: float) -> None:
        if not record.value:
            return
        raw = self._zstd.decompressobj().decompress(record.value)
        for stamp, lines in Counter(_STAMP.findall(raw)).items():
            self._ages[round((now - _seconds(stamp)) * 1000)] += lines

    @property
    def lines(self) -> int:
        return self._ages.total()

    def quantile(self, part: float) -> float:
        seen = 0
        for age in sorted(self._ages):
            seen += self._ages[age]
            if seen >= part * self.lines:
                return age / 1000
        return float("nan")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._follower.close()


def _seconds(stamp: bytes) -> float:
    """Unix seconds of `2026-11-23T12:00:00.123456789Z `."""
    text = stamp.decode()
    whole = time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")
    return calendar.timegm(whole) + float(text[19:29])

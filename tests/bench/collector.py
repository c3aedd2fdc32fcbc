"""Node agent at full speed: files -> bus, MB of log per CPU-second, interpreter start to clean
stop, and the peak of its resident memory."""

import time
from pathlib import Path

from pipeline.contract.record import Chunk, decode_headers
from tests.bench.agent import Agent, agent, compiled
from tests.bench.buses import EMBEDDED, KAFKA, Bus, Follower, bus
from tests.bench.limits import compress_rate, read_rate
from tests.bench.report import at_least, at_most, emit, skipped
from tests.bench.tree import LogTree, make_tree, recorded_tree
from tests.real.kafka import RealPartMissing

SIZE = 300_000_000
RECORDED = 60_000_000  # some 1,500 small files, archives among them
CONTAINERS = (10, 200)
RUNS = 3
_TIMEOUT_S = 120.0
_RATE = at_least(320)  # 10 x the best structured mode of Fluent Bit 5.1 on such a tree
_PEAK = at_most(64)


def run(work: Path) -> None:
    trees = {
        f"{n}-files": make_tree(work / f"tree{n}", containers=n, size=SIZE) for n in CONTAINERS
    }
    trees["recorded"] = recorded_tree(work / "recorded", size=RECORDED)
    emit("limit.page-cache-read", [read_rate(trees["10-files"].files)], "MB/CPU-s")
    for kind in (EMBEDDED, KAFKA):
        try:
            with bus(kind, work / kind) as found:
                compiled(found.url, work / f"start-{kind}")
                for name, tree in trees.items():
                    _measure(found, f"{kind}.{name}", tree, work)
        except RealPartMissing as missing:
            skipped(f"collector.{kind}", str(missing))


def _measure(found: Bus, name: str, tree: LogTree, work: Path) -> None:
    """The limit, zstd-1 alone, is taken right before: a busy machine slows both alike. No rate is
    promised for the recordings: opening files is most of the work there."""
    rates, peaks, walls = [], [], []
    compress = compress_rate(tree.files[: len(tree.files) // 5])
    for number in range(RUNS):
        follower = found.follow()
        with agent(tree.root, found.url, work / f"{name}-{number}") as running:
            started = time.perf_counter()
            _wait(follower, running, tree.size)
            walls.append(tree.size / 1e6 / (time.perf_counter() - started))
            running.stop()
        rates.append(tree.size / 1e6 / running.cpu_s)
        peaks.append(running.peak_mib)
    target = None if name.endswith("recorded") else _RATE
    emit(
        f"collector.{name}.rate",
        rates,
        "MB/CPU-s",
        target=target,
        limit=compress,
        wall_mb_s=round(max(walls)),
        files=len(tree.files),
    )
    emit(f"collector.{name}.peak-rss", peaks, "MiB", target=_PEAK)


def _wait(follower: Follower, running: Agent, size: int) -> None:
    """Until every byte is in the bus, as its records say."""
    seen, deadline = 0, time.monotonic() + _TIMEOUT_S
    try:
        while seen < size:
            for record in follower.poll(0.2):
                event = decode_headers(record.headers)
                seen += event.raw_length if isinstance(event, Chunk) else 0
            if time.monotonic() > deadline or running.process.poll() is not None:
                raise RuntimeError(f"only {seen:,} of {size:,} bytes arrived")
    finally:
        follower.close()

"""One soak: a generator writes and rotates at a steady rate; nothing is killed. At the end the
audit speaks, the generator's own counts are compared, and memory and descriptors must have
stayed where they were after the warm-up."""

import json
import subprocess
import sys
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.audit import audit
from pipeline.base.clock import Clock
from pipeline.base.errors import Fatal
from pipeline.console.embedded import COLLECT, PROCESS, STORE, EmbeddedPipeline, Inputs
from pipeline.console.up import drain
from pipeline.contract.tables import PARTIAL
from pipeline.store.clickhouse import ClickHouseStore, open_store
from tests.real.kafka import start_kafka
from tests.soak.samples import Course, Sample, course, sample

JUDGED = (COLLECT, PROCESS)  # the store's memory is the engine's own matter, and is told
_SETTLE_S = 300.0
_FRESH = """
SELECT quantiles(0.5, 0.99)((toUnixTimestamp64Milli(stored_at) - toUnixTimestamp64Milli(ts)) / 1000)
FROM logs
"""
# A line whose parts went into two files is two rows, the first of them partial: it counts once,
# and its checksum is that of no line.
_COUNTS = f"""
SELECT pod_uid, countIf(bitAnd(flags, {PARTIAL}) = 0), sum(CRC32(body)), sum(nbytes),
       countIf(bitAnd(flags, {PARTIAL}) != 0)
FROM logs GROUP BY pod_uid
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """`warm_s`: what is not judged at the beginning."""

    directory: Path
    seconds: float
    mbps: float = 10.0
    bus: str = "sqlite"
    warm_s: float = 300.0
    every_s: float = 5.0
    containers: int = 10
    max_size: int = 10 << 20
    max_files: int = 8
    monitor_s: float = 5.0
    seed: int = 1


def run_soak(plan: Plan, clock: Clock) -> dict[str, Any]:
    """The figures; `ok` is false when anything grew, differs or is missing."""
    root = plan.directory / "pods"
    root.mkdir(parents=True)
    with ExitStack() as stack:
        bus = None
        if plan.bus == "kafka":
            node = start_kafka(plan.directory / "kafka")
            stack.callback(node.stop)
            bus = node.url
        inputs = Inputs((root,), "soak-node", pod_files=(plan.directory / "pods.json",))
        (plan.directory / "pods.json").write_text('{"kind": "PodList", "items": []}')
        pipeline = stack.enter_context(
            EmbeddedPipeline(plan.directory / "data", inputs, clock=clock, bus=bus)
        )
        samples: dict[str, list[Sample]] = defaultdict(list)
        oracle, problems = _write(pipeline, plan, clock, samples)
        _settle(pipeline, plan, clock)
        store = open_store(pipeline.store)
        try:
            report = _account(pipeline, store, oracle, problems, clock)
        finally:
            store.close()
    for name, seen in samples.items():
        found = course(seen, warm_s=plan.warm_s)
        report[name] = asdict(found)
        if name in JUDGED:
            problems += _judge(name, found)
    return report | {"seconds": plan.seconds, "ok": not problems, "problems": problems}


def _judge(name: str, found: Course) -> list[str]:
    problems = []
    if not found.flat:
        problems.append(f"{name}: memory is not flat: {found.resident}")
    if found.grows:
        problems.append(f"{name}: descriptors grow: {found.descriptors}")
    return problems


def _write(
    pipeline: EmbeddedPipeline, plan: Plan, clock: Clock, samples: dict[str, list[Sample]]
) -> tuple[dict[str, Any], list[str]]:
    """Until the generator is done; what it says, and whether a service had to be restarted."""
    words = {
        "root": plan.directory / "pods",
        "pods": plan.directory / "pods.json",
        "mbps": plan.mbps,
        "seconds": plan.seconds,
        "seed": plan.seed,
        "containers": plan.containers,
        "max-size": plan.max_size,
        "max-files": plan.max_files,
        "monitor": plan.monitor_s,
    }
    arguments = [str(word) for name, value in words.items() for word in (f"--{name}", value)]
    writer = subprocess.Popen(
        [sys.executable, "-m", "pipeline.console.kubelet_writer", *arguments],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    problems: list[str] = []
    start = due = clock.monotonic()
    try:
        while writer.poll() is None:
            clock.sleep(0.2)
            problems += pipeline.check()
            if (now := clock.monotonic()) >= due:
                due = now + plan.every_s
                _look(pipeline, now - start, samples)
        output = writer.communicate()[0]
    finally:
        if writer.poll() is None:
            writer.kill()
            writer.wait()
    if writer.returncode != 0:
        raise Fatal(f"the generator failed with exit code {writer.returncode}")
    return json.loads(output), problems


def _look(pipeline: EmbeddedPipeline, at: float, samples: dict[str, list[Sample]]) -> None:
    for name in (*JUDGED, STORE):
        pid = pipeline.pid(name)
        found = sample(pid, at) if pid is not None else None
        if found is not None:
            samples[name].append(found)
    if len(samples[COLLECT]) % 12 == 1:
        now = {name: (seen[-1].resident, seen[-1].descriptors) for name, seen in samples.items()}
        text = ", ".join(f"{name} {mib:.1f} MiB {fds} fds" for name, (mib, fds) in now.items())
        print(f"{at:7.0f} s  {text}, {pipeline.lag()} records wait", file=sys.stderr)


def _settle(pipeline: EmbeddedPipeline, plan: Plan, clock: Clock) -> None:
    deadline = clock.monotonic() + _SETTLE_S
    quiet = 0
    while quiet < 5:
        if clock.monotonic() > deadline:
            raise Fatal(f"the collector still has {pipeline.waiting_bytes()} bytes")
        clock.sleep(0.5)
        quiet = quiet + 1 if pipeline.waiting_bytes() == 0 else 0
    if not drain(pipeline, clock=clock, timeout_s=_SETTLE_S):
        raise Fatal(f"{pipeline.lag()} records in the bus are not stored")


def _account(
    pipeline: EmbeddedPipeline,
    store: ClickHouseStore,
    oracle: dict[str, Any],
    problems: list[str],
    clock: Clock,
) -> dict[str, Any]:
    """The audit, and the generator's own count and checksum per container."""
    found = audit(store, database=pipeline.store.database, since_ns=0, clock=clock)
    summary = found.summary()
    if summary["unexplained"] or summary["duplicates"] or summary["gap_bytes"]:
        problems.append(f"audit: {summary}")
    stored = {str(uid): tuple(map(int, rest)) for uid, *rest in store.query(_COUNTS).rows}
    for container in oracle["containers"]:
        lines, crc, size, torn = stored.get(container["uid"], (0, 0, 0, 0))
        written = container["lines"], container["bytes"], container["crc32_sum"]
        if written != (lines, size, container["crc32_sum"] if torn else crc):
            problems.append(f"{container['pod']}: wrote {written}, stored {(lines, size, crc)}")
    fresh = store.query(_FRESH).rows[0][0]
    return {
        "audit": summary,
        "lines": oracle["lines"],
        "torn_lines": sum(torn for *_, torn in stored.values()),
        "bytes": oracle["bytes"],
        "rotations": oracle["rotations"],
        "removed_generations": oracle["removed_generations"],
        "fresh_p50_s": round(float(fresh[0]), 3),
        "fresh_p99_s": round(float(fresh[1]), 3),
    }

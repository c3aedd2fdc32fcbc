"""`kubeledger demo`: the main job on this machine, with accidents, judged by the audit.

A recorded log tree of a real kubelet and a generator that writes and rotates as one run through
the embedded pipeline; collector, processor and store are each killed with SIGKILL once. Then the
audit speaks, and so does an oracle that knows nothing of the pipeline: per container the
generator's own count and checksum of its lines against what the store gives back.
"""

import importlib.resources
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.audit import Audit, audit
from pipeline.base.clock import Clock
from pipeline.base.errors import Fatal, Unavailable, UsageError
from pipeline.console.demo_report import Outcome, examples
from pipeline.console.embedded import COLLECT, PROCESS, STORE, EmbeddedPipeline, Inputs
from pipeline.console.sizes import human_bytes
from pipeline.console.up import count_rows, drain
from pipeline.store.clickhouse import ClickHouseStore, open_store

Say = Callable[[str], None]

# When each service is killed, as a part of the writing time.
_KILLS = ((0.25, COLLECT), (0.5, PROCESS), (0.75, STORE))
_NODE = "demo-node"
_SETTLE_S = 300.0  # a small machine takes its time
# Written -> queryable of what the generator wrote (the recording's lines are old already). The
# row's own time is when the program wrote it, stored_at is when the engine took it.
_FRESHNESS = """
SELECT quantiles(0.5, 0.99)((toUnixTimestamp64Milli(stored_at) - toUnixTimestamp64Milli(ts)) / 1000)
FROM logs WHERE pod_uid IN {uids:Array(String)}
"""
_STORED = """
SELECT sum(data_compressed_bytes) FROM system.parts
WHERE active AND database = currentDatabase() AND table = 'logs'
"""
_ORACLE = """
SELECT pod_uid, count(), sum(CRC32(body)) FROM logs WHERE pod_uid IN {uids:Array(String)}
GROUP BY pod_uid
"""


@dataclass(frozen=True, slots=True)
class DemoPlan:
    seconds: int
    mbps: float
    data: Path | None
    seed: int
    containers: int = 12


def run_demo(plan: DemoPlan, *, clock: Clock, say: Say) -> Outcome:
    """Run it all; takes about `plan.seconds` and half a minute."""
    if plan.data is not None and plan.data.exists() and any(plan.data.iterdir()):
        raise UsageError(f"{plan.data} is not empty; the demo wants a directory of its own")
    with _directory(plan.data) as data:
        root = data / "pods"
        pods = data / "pod-lists"
        _lay_recording(root, pods)
        inputs = Inputs(roots=(root,), node=_NODE, pod_files=(pods,))
        say("starting store, processor and collector …")
        with EmbeddedPipeline(data, inputs, clock=clock) as pipeline:
            for line in pipeline.describe()[1:3]:
                say(line)
            oracle, kills = _write_and_kill(pipeline, plan, data, clock=clock, say=say)
            say("written; waiting until everything is stored …")
            _settle(pipeline, clock=clock)
            store = open_store(pipeline.store)
            try:
                account = audit(store, database=pipeline.store.database, since_ns=0, clock=clock)
                outcome = _measure(store, oracle, account, plan=plan, kills=kills)
            finally:
                store.close()
    return outcome


@contextmanager
def _directory(data: Path | None) -> Iterator[Path]:
    if data is not None:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="kubeledger-demo-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def recording() -> Path:
    """The recorded tree: inside the wheel, or in the checkout's tests."""
    packaged = Path(str(importlib.resources.files("pipeline.console"))) / "healthy"
    checkout = Path(__file__).resolve().parents[2] / "tests" / "recordings" / "healthy"
    for place in (packaged, checkout):
        if (place / "container-logs").is_dir():
            return place
    raise Fatal(f"the recorded log tree is missing: neither {packaged} nor {checkout} is there")


def _lay_recording(root: Path, pods: Path) -> None:
    source = recording()
    shutil.copytree(source / "container-logs", root)
    pods.mkdir()
    shutil.copy(source / "pods.json", pods / "recorded.json")


def _write_and_kill(
    pipeline: EmbeddedPipeline, plan: DemoPlan, data: Path, *, clock: Clock, say: Say
) -> tuple[dict[str, Any], int]:
    """Let the generator write, keep the services alive, kill each once. The generator is a
    process of its own: nothing that is killed can touch its memory of what it wrote."""
    # Rotations every few seconds, and enough generations that nothing is deleted unread.
    words = ["--root", str(data / "pods"), "--pods", str(data / "pod-lists" / "generated.json"),
             "--mbps", str(plan.mbps), "--seconds", str(plan.seconds), "--seed", str(plan.seed),
             "--containers", str(plan.containers), "--max-size", str(2 << 20),
             "--max-files", "8", "--monitor", "2"]  # fmt: skip
    writer = subprocess.Popen(
        [sys.executable, "-m", "pipeline.console.kubelet_writer", *words],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    start = said = clock.monotonic()
    waiting = list(_KILLS)
    kills = 0
    try:
        while waiting or writer.poll() is None:
            clock.sleep(0.2)
            elapsed = clock.monotonic() - start
            for news in pipeline.check():
                say(f"{elapsed:5.1f} s  {news}")
            due = waiting and elapsed >= waiting[0][0] * plan.seconds
            if due and pipeline.kill(waiting[0][1]):  # one that is down is killed once it runs
                kills += 1
                say(f"{elapsed:5.1f} s  kill -9 {waiting.pop(0)[1]}")
            if clock.monotonic() - said >= 5:
                said = clock.monotonic()
                say(f"{elapsed:5.1f} s  {_progress(pipeline)}")
        output = writer.communicate()[0]
    finally:
        if writer.poll() is None:
            writer.kill()
            writer.wait()
    if writer.returncode != 0:
        raise Fatal(f"the generator failed with exit code {writer.returncode}")
    oracle: dict[str, Any] = json.loads(output)
    say(f"the generator wrote {oracle['lines']:,} lines, {human_bytes(oracle['bytes'])}, "
        f"{oracle['rotations']} rotations")  # fmt: skip
    return oracle, kills


def _progress(pipeline: EmbeddedPipeline) -> str:
    try:
        store = open_store(pipeline.store)
        try:
            rows, raw = count_rows(store)
        finally:
            store.close()
    except (Unavailable, Fatal):
        return "the store is starting"
    return f"{rows:,} rows, {human_bytes(raw)} queryable"


def _settle(pipeline: EmbeddedPipeline, *, clock: Clock) -> None:
    """Wait until the collector has nothing left, then stop it and empty the bus."""
    deadline = clock.monotonic() + _SETTLE_S
    quiet = 0
    while quiet < 3 and clock.monotonic() < deadline:
        pipeline.check()
        quiet = quiet + 1 if pipeline.waiting_bytes() == 0 else 0
        clock.sleep(0.3)
    if not drain(pipeline, clock=clock, timeout_s=_SETTLE_S):
        raise Fatal("the processor did not finish in five minutes; see log/process-logs.log")


def _measure(
    store: ClickHouseStore, oracle: dict[str, Any], account: Audit, *, plan: DemoPlan, kills: int
) -> Outcome:
    written = {c["uid"]: (int(c["lines"]), int(c["crc32_sum"])) for c in oracle["containers"]}
    uids = {"uids": list(written)}
    stored = {
        str(uid): (int(count), int(crc)) for uid, count, crc in store.query(_ORACLE, uids).rows
    }
    wrong = [uid for uid, pair in written.items() if stored.get(uid, (0, 0)) != pair]
    rows, raw = count_rows(store)
    freshness = store.query(_FRESHNESS, uids).rows[0][0]
    return Outcome(
        rows=rows,
        raw_bytes=raw,
        stored_bytes=int(store.query(_STORED).rows[0][0]),
        freshness_p50_s=round(float(freshness[0]), 3),
        freshness_p99_s=round(float(freshness[1]), 3),
        audit={k: account.summary()[k]
               for k in ("files", "complete", "open", "gaps", "unexplained", "duplicates")},
        kills=kills,
        seconds=float(plan.seconds),
        oracle_containers=len(written),
        oracle_wrong=len(wrong),
        examples=examples(store),
        kept=str(plan.data) if plan.data else None,
    )  # fmt: skip

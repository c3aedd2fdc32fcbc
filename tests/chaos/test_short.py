"""The short form of `make chaos`, with a fixed seed.

What longer runs found has a deterministic test of its own, because a seed fixes what happens to
whom, and not how far each process was when it happened:

  sqlite 1   a false gap and a crash after a file was finished and deleted between two sweeps;
  kafka 2    the rest of a file begun just before a kill was missed by nobody:
             tests/faults/test_collector_lives.py
  kafka 2    files that vanished unseen were called complete: tests/pipeline/test_audit.py
  kafka 12   a processor gave up when the bus was away at its start:
             tests/faults/test_processor_start.py
  kafka 501  the thread that sends found a library loaded halfway, and ended:
             tests/pipeline/base/test_lean.py
"""

import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.base.clock import SystemClock
from tests.chaos.accidents import Profile
from tests.chaos.harness import Setting
from tests.chaos.run import run_chaos
from tests.real.kafka import RealPartMissing

SHORT = Profile(
    kills=6, every=1.2, longest=5.0, session=3.0, sweep=1.0, mbps=0.5, containers=20, max_files=6
)


def run(bus: str, seed: int, directory: Path, profile: Profile = SHORT) -> dict[str, Any]:
    try:
        return run_chaos(Setting(bus, seed, profile, directory), SystemClock())
    except RealPartMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must not skip the real parts: {missing}")
        pytest.skip(str(missing))


@pytest.mark.slow
@pytest.mark.timeout(900)  # its parts have limits of their own
def test_all_embedded(tmp_path: Path) -> None:
    report = run("sqlite", 4, tmp_path / "chaos")
    assert report["problems"] == []
    assert report["accidents"]["kill"] >= SHORT.kills
    assert report["audit"]["unexplained"] == report["audit"]["duplicates"] == 0
    assert report["rows"] > 10_000


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.timeout(900)
def test_real_kafka(tmp_path: Path) -> None:
    report = run("kafka", 4, tmp_path / "chaos")
    assert report["problems"] == []
    assert report["accidents"]["kill"] >= SHORT.kills
    assert report["audit"]["unexplained"] == report["audit"]["duplicates"] == 0
    assert report["rows"] > 10_000

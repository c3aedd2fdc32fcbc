"""The soak's own judgement, and its short form."""

from pathlib import Path

import pytest

from pipeline.base.clock import SystemClock
from tests.soak.run import Plan, run_soak
from tests.soak.samples import Course, Sample, course


def walk(resident: float, descriptors: float, *, count: int = 120) -> Course:
    """Memory and descriptors that grow by so much in each of 120 samples, around 40 MiB and 30
    descriptors, with the saw teeth of batches and rotations; the first third is warm-up."""
    samples = [
        Sample(n * 5.0, 40 + n % 3 + n * resident, int(30 + n % 4 + n * descriptors), n * 0.1)
        for n in range(count)
    ]
    return course(samples, warm_s=count * 5 / 3)


def test_a_leak_is_seen_and_a_busy_process_is_not_called_one() -> None:
    busy = walk(0, 0)
    assert (busy.flat, busy.grows) == (True, False)
    assert busy.cpu_percent == pytest.approx(2.0)
    assert not walk(0.08, 0).flat  # 1 MiB a minute
    assert not walk(-0.08, 0).flat
    assert walk(0, 0.1).grows  # 6 descriptors a minute
    assert not walk(0, -0.1).grows


def test_too_few_samples_are_no_verdict() -> None:
    with pytest.raises(ValueError, match="samples"):
        walk(0, 0, count=12)


@pytest.mark.slow
def test_half_a_minute(tmp_path: Path) -> None:
    """Too short for a verdict on memory and on descriptors (no generation is old enough to be
    deleted); everything else must be as in the long form."""
    plan = Plan(
        tmp_path / "soak", 20, mbps=3, warm_s=5, every_s=0.2, max_size=1 << 20, monitor_s=2
    )  # fmt: skip
    report = run_soak(plan, SystemClock())
    growth = [p for p in report["problems"] if "memory" in p or "descriptors" in p]
    assert report["problems"] == growth
    assert report["audit"]["unexplained"] == report["audit"]["duplicates"] == 0
    assert report["rotations"] > 10
    assert report["bytes"] > 20_000_000  # of 60: the generator may be held up
    assert len(report["collect"]["resident"]) == 10

"""What a soak looks at: memory and descriptors of a process over time, and whether they stay.

A process that is at work is never still: buffers come and go with every batch, descriptors with
every rotation. So windows are compared, not samples. Memory is flat when the median of every
window is near the median of all; descriptors grow when the last windows hold more than the first.
"""

import itertools
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.measure import cpu_seconds, memory_mib

WINDOWS = 10
BAND = 0.05  # how far a window's memory may be from the median of all
SPARE = 2  # descriptors: a rotation that happens to be under way


@dataclass(frozen=True, slots=True)
class Sample:
    """`at` in seconds, memory in MiB."""

    at: float
    resident: float
    descriptors: int
    cpu_s: float


def sample(pid: int, at: float) -> Sample | None:
    """None if the process ends just now."""
    try:
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        return Sample(at, memory_mib(pid, "VmRSS"), descriptors, cpu_seconds(pid))
    except (OSError, LookupError):
        return None


@dataclass(frozen=True, slots=True)
class Course:
    """Windows of one process after its warm-up. `spread` is the largest distance of a window's
    memory from the median, as a part of it."""

    resident: tuple[float, ...]
    descriptors: tuple[float, ...]
    spread: float
    cpu_percent: float

    @property
    def flat(self) -> bool:
        return self.spread <= BAND

    @property
    def grows(self) -> bool:
        """Are more descriptors open at the end than at the beginning?"""
        third = max(len(self.descriptors) // 3, 1)
        first, last = self.descriptors[:third], self.descriptors[-third:]
        return statistics.median(last) > statistics.median(first) + SPARE


def course(samples: Sequence[Sample], *, warm_s: float, windows: int = WINDOWS) -> Course:
    """Raises ValueError when there is less than a sample for each window."""
    kept = [s for s in samples if s.at - samples[0].at >= warm_s]
    if len(kept) < windows:
        raise ValueError(f"{len(kept)} samples after the warm-up, {windows} windows")
    edges = [len(kept) * n // windows for n in range(windows + 1)]
    parts = [kept[first:last] for first, last in itertools.pairwise(edges)]
    resident = [statistics.median(s.resident for s in part) for part in parts]
    middle = statistics.median(resident)
    span = kept[-1].at - kept[0].at
    return Course(
        resident=tuple(round(value, 1) for value in resident),
        descriptors=tuple(statistics.median(s.descriptors for s in part) for part in parts),
        spread=round(max(abs(value - middle) for value in resident) / middle, 4),
        cpu_percent=round(100 * (kept[-1].cpu_s - kept[0].cpu_s) / max(span, 1e-9), 2),
    )

"""What a process costs: CPU seconds and resident memory, from the kernel."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU of a piece of work and how long it took."""

    cpu_s: float
    wall_s: float


def cpu_seconds(pid: int) -> float:
    """User and system time of a live process, all threads, in nanoseconds' resolution: its
    CPU-time clock, as clock_getcpuclockid(3) makes it."""
    return time.clock_gettime((~pid << 3) | 2)


def memory_mib(pid: int, field: str) -> float:
    """`VmHWM` (peak) or `VmRSS` (now). Not ru_maxrss: that remembers the parent's size."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024 / MIB
    raise LookupError(f"process {pid} has no {field}")


def spent(work: Callable[[], object]) -> Cost:
    """CPU and wall time of a call in this process."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Cost(time.process_time() - cpu, time.perf_counter() - wall)


def reap(pid: int) -> float:
    """Wait for a child's end; its CPU seconds from start to end."""
    _, _, usage = os.wait4(pid, 0)
    return usage.ru_utime + usage.ru_stime

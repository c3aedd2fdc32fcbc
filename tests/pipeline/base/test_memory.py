"""Memory of a large batch does not stay with the process."""

import subprocess
import sys

SCRIPT = """
from pathlib import Path
from pipeline.base.memory import trimmer

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20

rows = [bytes(2000) for _ in range(50_000)]
keep = rows[::100]  # something of every part of the heap stays in use
before = resident()
del rows
held = resident()
trimmer()()
print(before, held, resident())
"""


def test_what_was_freed_is_given_back() -> None:
    answer = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    before, held, after = map(int, answer.stdout.split())
    assert before > 100
    assert after < before / 2, f"{before} MiB, {held} after freeing, {after} after trimming"

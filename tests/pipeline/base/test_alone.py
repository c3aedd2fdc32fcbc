"""A directory for one process: who waits for whom."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.base import alone as module
from pipeline.base.alone import alone

HOLDER = """
import fcntl, sys, time
with open(sys.argv[1]) as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.mark.parametrize("goes", [True, False])
def test_one_that_goes_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, goes: bool
) -> None:
    path = tmp_path / "lock"
    path.touch()
    words = [sys.executable, "-c", HOLDER, str(path), "0.3" if goes else "600"]
    monkeypatch.setattr(module, "DYING_S", 60.0 if goes else 0.2)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        handle = os.open(path, os.O_RDWR)
        try:
            assert alone(handle) is goes
        finally:
            os.close(handle)
            holder.kill()

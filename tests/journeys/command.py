"""kubeledger as a person runs it: another process, its words, its answers."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.store.embedded.locate import endpoint

TIMEOUT_S = 300
# A second that has just gone, as a runtime writes it: a store drops what is older than it keeps.
SECOND = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - 60))


def run(*words: object, code: int = 0) -> str:
    """Standard output; the exit code must be as said and no traceback may show."""
    done = subprocess.run(
        [sys.executable, "-m", "kubeledger", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env=os.environ | {"COLUMNS": "200"},
    )
    said = done.stdout + done.stderr
    assert "Traceback" not in said, said
    assert done.returncode == code, said
    return done.stdout if code == 0 else said


def query(data: Path, sql: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(run("query", "--data", data, sql, "--format", "json"))
    return rows


def count(data: Path, where: str = "1") -> int:
    return int(query(data, f"SELECT toUInt32(count()) AS n FROM logs WHERE {where}")[0]["n"])


def serving(data: Path) -> bool:
    """The store answers and its tables are there: the collector's configuration comes last."""
    return endpoint(data / "store") is not None and (data / "config" / "collect.yaml").exists()


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s:.0f} s for {what}"
        time.sleep(0.2)


@contextmanager
def up(*words: object) -> Iterator["subprocess.Popen[str]"]:
    """A running `kubeledger up`, stopped by Ctrl-C at the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "kubeledger", "up", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=TIMEOUT_S)[0]
        assert process.returncode == 0, said
        assert "Traceback" not in said, said
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()

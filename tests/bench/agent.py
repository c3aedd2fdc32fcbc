"""The node agent as it is deployed: `kubeledger collect`, a process of its own.

Installing a wheel compiles it once; a checkout is compiled by whoever runs it first. So
`compiled` runs the agent once before anything is measured, and lets Python keep what it compiled:
otherwise every start would count a second's work that no node ever does."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.base.ports import free_port
from tests.bench.measure import cpu_seconds, memory_mib, reap


@dataclass(slots=True)
class Agent:
    """A running collector."""

    process: "subprocess.Popen[bytes]"
    health: str  # URL of /healthz
    cpu_s: float = 0.0  # start to end, once it has ended
    peak_mib: float = 0.0

    def cpu_so_far(self) -> float:
        return cpu_seconds(self.process.pid)

    def resident_mib(self) -> float:
        return memory_mib(self.process.pid, "VmRSS")

    def stop(self) -> None:
        """SIGTERM, a clean stop; afterwards `cpu_s` and `peak_mib` are known."""
        self.peak_mib = memory_mib(self.process.pid, "VmHWM")
        self.process.send_signal(signal.SIGTERM)
        self.cpu_s = reap(self.process.pid)
        self.process.returncode = 0  # reaped here, so that Popen does not wait for it


@contextmanager
def agent(
    root: Path, url: str, state: Path, more: Mapping[str, Any] | None = None
) -> Iterator[Agent]:
    """Everything as by default, `/healthz` and `/metrics` included. A failed one says why.
    `more` are further settings."""
    state.mkdir(parents=True)
    config = {
        "node": "bench",
        "roots": [str(root)],
        "state_dir": str(state / "positions"),
        "broker": {"url": url},
        "health": f"127.0.0.1:{free_port()}",
        **(more or {}),
    }
    path = state / "collect.yaml"
    path.write_text(yaml.safe_dump(config))
    with (state / "collect.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "kubeledger", "collect", "--config", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=_environment(),
        )
    running = Agent(process, f"http://{config['health']}/healthz")
    try:
        yield running
        if process.poll() is not None and not running.cpu_s:
            raise RuntimeError((state / "collect.log").read_text()[-2000:])
    finally:
        if not running.cpu_s and process.poll() is None:
            process.kill()
            process.wait()


def _environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPATH": str(Path(__file__).parents[2])}


def compiled(url: str, work: Path) -> None:
    """One start and stop on an empty tree, not measured."""
    root = work / "compiled" / "pods"
    root.mkdir(parents=True)
    with agent(root, url, work / "compiled" / "state") as running:
        deadline = time.monotonic() + 30
        while not _serves(running) and time.monotonic() < deadline:
            time.sleep(0.1)
        running.stop()


def _serves(running: Agent) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(running.health, timeout=1):
        return True
    return False

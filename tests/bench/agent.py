"""The node agent as it is deployed: `kubeledger collect`, a process of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.bench.measure import cpu_seconds, memory_mib, reap
from tests.real.kafka import free_port


@dataclass(slots=True)
class Agent:
    """A running collector."""

    process: "subprocess.Popen[bytes]"
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
def agent(root: Path, url: str, state: Path) -> Iterator[Agent]:
    """Everything as by default, `/healthz` and `/metrics` included. A failed one says why."""
    state.mkdir(parents=True)
    config = {
        "node": "bench",
        "roots": [str(root)],
        "state_dir": str(state / "positions"),
        "broker": {"url": url},
        "health": f"127.0.0.1:{free_port()}",
    }
    path = state / "collect.yaml"
    path.write_text(yaml.safe_dump(config))
    with (state / "collect.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "kubeledger", "collect", "--config", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        )
    running = Agent(process)
    try:
        yield running
        if process.poll() is not None and not running.cpu_s:
            raise RuntimeError((state / "collect.log").read_text()[-2000:])
    finally:
        if not running.cpu_s and process.poll() is None:
            process.kill()
            process.wait()

"""A real Prometheus Alertmanager (Debian's) on loopback, alone or two as a cluster.

It must be installed: its templates are where Debian puts them.
"""

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.base.ports import free_port
from tests.real.kafka import RealPartMissing

NAME = "prometheus-alertmanager"
_START_S = 60.0


class Alertmanager:
    def __init__(self, url: str) -> None:
        self.url = url

    def alerts(self) -> list[dict[str, Any]]:
        """What it knows, the silenced and inhibited too."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=_START_S) as answer:
            found: list[dict[str, Any]] = json.load(answer)
            return found

    def groups(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts/groups", timeout=_START_S) as answer:
            found: list[dict[str, Any]] = json.load(answer)
            return found

    def peers(self) -> tuple[int, str]:
        """How many members its cluster has, itself counted, and whether it has settled."""
        with urllib.request.urlopen(f"{self.url}/api/v2/status", timeout=_START_S) as answer:
            cluster = json.load(answer)["cluster"]
            return len(cluster.get("peers", [])), cluster["status"]


@contextmanager
def alertmanagers(folder: Path, webhook: str, count: int = 1) -> Iterator[list[Alertmanager]]:
    """Members of one cluster; all tell `webhook`, at once. RealPartMissing if there is none."""
    program = _program()
    config = folder / "alertmanager.yml"
    config.write_text(
        "route: {receiver: hook, group_by: [incident, alertname], group_wait: 1s,"
        " group_interval: 1s, repeat_interval: 1h}\n"
        "receivers: [{name: hook, webhook_configs: "
        f"[{{url: '{webhook}', send_resolved: true}}]}}]\n"
    )
    gossip = [free_port() for _ in range(count)]
    running, found = [], []
    try:
        for number in range(count):
            web = free_port()
            words = [
                program, f"--config.file={config}", f"--storage.path={folder / str(number)}",
                f"--web.listen-address=127.0.0.1:{web}", "--cluster.settle-timeout=1s",
                f"--cluster.listen-address={f'127.0.0.1:{gossip[number]}' if count > 1 else ''}",
            ]  # fmt: skip
            words += [f"--cluster.peer=127.0.0.1:{port}" for port in gossip[:number]]
            log = (folder / f"alertmanager-{number}.log").open("wb")
            running.append(subprocess.Popen(words, stdout=log, stderr=log))
            log.close()
            found.append(Alertmanager(f"http://127.0.0.1:{web}"))
            # One after the other: a member that finds no peer when it starts tries again only
            # after ten seconds, and until then both would tell.
            _wait(found[-1], "it answers", lambda one: one.alerts() is not None)
        if count > 1:
            for one in found:
                _wait(one, "it is in the cluster", lambda one: one.peers() == (count, "ready"))
        yield found
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(_START_S)


def _program() -> str:
    found = shutil.which(NAME)
    if found is None:
        raise RealPartMissing(f"{NAME} is not installed (Debian: apt-get install {NAME})")
    return found


def _wait(one: Alertmanager, what: str, condition: Callable[[Alertmanager], bool]) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            if condition(one):
                return
        except OSError:
            pass  # it does not listen yet
        assert time.monotonic() < deadline, f"an Alertmanager does not get so far: {what}"
        time.sleep(0.1)

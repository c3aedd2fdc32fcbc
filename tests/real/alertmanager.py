"""A real Prometheus Alertmanager (Debian's) on loopback, alone or two as a cluster.

It must be installed: its templates are where Debian puts them.
"""

import json
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.real.kafka import RealPartMissing

NAME = "prometheus-alertmanager"
_LIMIT_S = 90.0
_LISTENS = re.compile(rb'msg="Listening on" address=(\S+)\n')


class Alertmanager:
    def __init__(self, url: str) -> None:
        self.url = url

    def alerts(self) -> list[dict[str, Any]]:
        """What it knows, the silenced and inhibited too."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=_LIMIT_S) as answer:
            found: list[dict[str, Any]] = json.load(answer)
            return found

    def groups(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts/groups", timeout=_LIMIT_S) as answer:
            found: list[dict[str, Any]] = json.load(answer)
            return found

    def gossip(self) -> str:
        """The address that its peers know it by."""
        return str(self._cluster()["peers"][0]["address"])

    def peers(self) -> tuple[int, str]:
        """How many members its cluster has, itself counted, and whether it has settled."""
        cluster = self._cluster()
        return len(cluster.get("peers", [])), cluster["status"]

    def _cluster(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/api/v2/status", timeout=_LIMIT_S) as answer:
            found: dict[str, Any] = json.load(answer)["cluster"]
            return found


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
    running, found = [], []
    try:
        for number in range(count):
            words = [
                program, f"--config.file={config}", f"--storage.path={folder / str(number)}",
                "--web.listen-address=127.0.0.1:0", "--cluster.settle-timeout=1s",
                f"--cluster.listen-address={'127.0.0.1:0' if count > 1 else ''}",
                "--cluster.peer-timeout=60s",  # so long the second waits for the first to tell
            ]  # fmt: skip
            words += [f"--cluster.peer={one.gossip()}" for one in found]
            path = folder / f"alertmanager-{number}.log"
            with path.open("wb") as log:
                running.append(subprocess.Popen(words, stdout=log, stderr=log))
            # One after the other: a member that finds no peer when it starts tries again only
            # after ten seconds, and until then both would tell.
            found.append(Alertmanager(f"http://{_listens(path)}"))
            _wait(found[-1], "it answers", lambda one: one.alerts() is not None)
        if count > 1:
            for one in found:
                _wait(one, "it is in the cluster", lambda one: one.peers() == (count, "ready"))
        yield found
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(60)


def _program() -> str:
    found = shutil.which(NAME)
    if found is None:
        raise RealPartMissing(f"{NAME} is not installed (Debian: apt-get install {NAME})")
    return found


def _listens(log: Path) -> str:
    """The address that it has taken, as it says."""
    deadline = time.monotonic() + _LIMIT_S
    while not (said := _LISTENS.search(log.read_bytes())):
        assert time.monotonic() < deadline, f"no Alertmanager listens: {log.read_text()[-2000:]}"
        time.sleep(0.1)
    return said[1].decode()


def _wait(one: Alertmanager, what: str, condition: Callable[[Alertmanager], bool]) -> None:
    deadline = time.monotonic() + _LIMIT_S
    while True:
        try:
            if condition(one):
                return
        except OSError:
            pass  # it does not listen yet
        assert time.monotonic() < deadline, f"an Alertmanager does not get so far: {what}"
        time.sleep(0.1)

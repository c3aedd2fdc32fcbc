"""Processes of the container runtime: the daemons, a shim for each pod, and runc for a moment.

A shim that is stopped or in state D answers for its containers no more; a runc that is older than
seconds waits for something (systemd on D-Bus, a mount, a freezer). Whose they are is told by their
children, which live in the pod's cgroup, and by the container id on the command line.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from collectors.node.host.asleep import whose
from collectors.node.host.cgroups import owner
from collectors.node.host.cmdline import CommandLines
from collectors.node.host.names import PodNames
from collectors.node.host.processes import Process, text
from pipeline.contract.samples import DAEMONS

OLD_RUNC_S = 10.0
STUCK = frozenset("DTt")
LISTED = 64
_SHIMS = ("containerd-shim", "conmon")  # comm is cut at 15 bytes: containerd-shim-runc-v2 too
_OLD_DOCKER = "docker-containe"  # docker-containerd and docker-containerd-shim, cut
_RUNC = re.compile(r"(docker-)?runc(:\[\d:[A-Z]+\])?|crun|kata-runtime|runsc")
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_SHOWN = 4  # further arguments may be the container's own
_COMMANDS = frozenset(
    ("checkpoint", "create", "delete", "events", "exec", "features", "init", "kill", "pause")
).union(("ps", "restore", "resume", "run", "start", "state", "update"))


class Table(NamedTuple):
    """One look at the process table."""

    processes: Sequence[Process]
    uptime_s: float
    boot_time: int  # Unix seconds


def daemons(proc: str, table: Table) -> dict[str, Process]:
    """The kubelet and the runtimes of the node: of several the oldest that is not in a pod."""
    found: dict[str, Process] = {}
    for process in sorted(table.processes, key=lambda p: p.start):
        if process.comm not in DAEMONS or process.comm in found or process.state == "Z":
            continue
        if not owner(text(f"{proc}/{process.pid}/cgroup")).pod_uid:
            found[process.comm] = process
    return found


def is_runc(process: Process) -> bool:
    return process.state != "Z" and _RUNC.fullmatch(process.comm) is not None


class RuntimeProcesses:
    """Descriptions of shims and runc processes; `now` is monotonic seconds."""

    def __init__(self, proc: str, names: PodNames) -> None:
        self._proc = proc
        self._names = names
        self._lines = CommandLines(proc)

    def is_shim(self, process: Process) -> bool:
        if process.state == "Z":
            return False  # what started a shim and has gone; nobody has reaped it
        if process.comm == _OLD_DOCKER:
            return any(word.endswith("-shim") for word in self._lines.of(process.pid)[:1])
        return process.comm.startswith(_SHIMS)

    def stuck_shims(self, table: Table, now: float) -> list[dict[str, Any]]:
        """In state D, T or t."""
        stuck = [p for p in table.processes if p.state in STUCK and self.is_shim(p)]
        return [self.shim(process, table, now) for process in stuck[:LISTED]]

    def old_runc(self, table: Table, now: float, *, older_s: float) -> list[dict[str, Any]]:
        found = [p for p in table.processes if is_runc(p) and p.age(table.uptime_s) > older_s]
        return [self.runc(process, table, now) for process in found[:LISTED]]

    def shim(self, process: Process, table: Table, now: float) -> dict[str, Any]:
        """{pid, comm, state, age_s, container?, pod_uid?, pod?}; container is the pod's sandbox
        (containerd) or the container itself (conmon)."""
        return {
            "pid": process.pid,
            "comm": process.comm,
            "state": process.state,
            "age_s": round(process.age(table.uptime_s), 1),
        } | self._belongs(process, table, now)

    def runc(self, process: Process, table: Table, now: float) -> dict[str, Any]:
        """{pid, state, age_s, command, container?, pod_uid?, pod?}"""
        return {
            "pid": process.pid,
            "state": process.state,
            "age_s": round(process.age(table.uptime_s), 1),
            "command": _command(self._lines.of(process.pid)) or process.comm,
        } | self._belongs(process, table, now)

    def _belongs(self, process: Process, table: Table, now: float) -> dict[str, str]:
        """Its own cgroup may be the pod's, else a child's is; the command line has the id."""
        known = whose(self._proc, process.pid, self._names, now)
        children = (p.pid for p in table.processes if p.ppid == process.pid)
        while "pod_uid" not in known and (child := next(children, None)) is not None:
            known |= whose(self._proc, child, self._names, now)
        words = self._lines.of(process.pid)
        ids = [found for word in words for found in _ID.findall(word)]
        return known | ({"container": ids[-1]} if ids else {})


def _command(words: Sequence[str]) -> str:
    """Its first arguments and what it does: create, exec, delete, …"""
    shown = [word[:128] for word in words[:_SHOWN]]
    verb = next((word for word in words[_SHOWN:] if word in _COMMANDS), None)
    return " ".join([*shown, "…", verb] if verb else shown)

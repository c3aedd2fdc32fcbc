"""Goroutine dumps: SIGUSR1 makes containerd and dockerd write all their goroutines to their log.

Off by default. Sources: containerd cmd/containerd/command/main_unix.go, moby daemon/daemon.go
setupDumpStackTrap. SIGUSR1 ends a process that does not handle it, so it is only sent to one whose
mask says that it does.
"""

import os
import signal
from collections.abc import Mapping

from collectors.node.blackbox.evidence import own_pids
from collectors.node.host.processes import Process, text

_DUMPING = ("containerd", "dockerd")


def dump_goroutines(proc: str, daemons: Mapping[str, Process]) -> dict[str, str]:
    """Program to what became of it: `sent`, or why not."""
    return {name: _dump(proc, daemons[name].pid) for name in _DUMPING if name in daemons}


def _dump(proc: str, pid: int) -> str:
    if not own_pids(proc):
        return "needs the host's pid namespace"
    if not handles(proc, pid):
        return "it does not handle SIGUSR1"
    try:
        os.kill(pid, signal.SIGUSR1)
    except OSError as error:
        return str(error.strerror)
    return "sent"


def handles(proc: str, pid: int) -> bool:
    for line in text(f"{proc}/{pid}/status").splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (signal.SIGUSR1 - 1) & 1)
    return False

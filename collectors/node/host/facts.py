"""Host facts: `values` of part host, from /proc, the disks and systemd. See ports.HostFacts.

What can hang (statvfs, systemd) is begun first, on threads of its own; the process table and the
kernel's figures are read meanwhile; then what has come back in time is taken. Nothing that hangs
keeps anything else away.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collectors.node.host import kernel
from collectors.node.host.asleep import Sleepers
from collectors.node.host.disks import Disks
from collectors.node.host.names import PodNames
from collectors.node.host.processes import Process, scan, threads
from collectors.node.host.runtime import OLD_RUNC_S, RuntimeProcesses, Table, daemons
from collectors.node.host.systemd import Systemd

if TYPE_CHECKING:
    from collectors.node.host.config import HostConfig


class HostReader:
    """State: see Sleepers, Disks, Systemd. Used by one thread."""

    def __init__(
        self,
        *,
        proc: str,
        names: PodNames,
        disks: Disks,
        disk_deadline_s: float,
        systemd: Systemd,
        systemd_deadline_s: float,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._proc = proc
        self._disks = disks
        self._disk_deadline_s = disk_deadline_s
        self._systemd = systemd
        self._systemd_deadline_s = systemd_deadline_s
        self._sleepers = Sleepers(proc, names)
        self._runtime = RuntimeProcesses(proc, names)
        self._timer = timer  # of waits here, which are short and real whatever `now` says
        self._boot_time = 0

    def read(self, now: float) -> Mapping[str, Any]:
        """`now` is monotonic seconds. Comes back after the longer of both deadlines at most."""
        began = self._timer()
        self._disks.begin(now)
        self._systemd.begin(now)
        values = kernel.figures(self._proc) | self._tasks(now)
        fs = self._disks.take(lambda: began + self._disk_deadline_s - self._timer())
        if fs:
            values["fs"] = fs
        return values | self._systemd.take(began + self._systemd_deadline_s - self._timer())

    def _tasks(self, now: float) -> dict[str, Any]:
        processes = scan(self._proc)
        if not processes:
            return {}
        self._boot_time = self._boot_time or kernel.boot_time(self._proc)
        table = Table(processes, kernel.uptime(self._proc), self._boot_time)
        found = daemons(self._proc, table)
        tasks = [*processes, *self._daemon_threads(found.values())]
        asleep = {(task.pid, task.start) for task in tasks if task.state == "D"}
        return {
            "dstate": self._sleepers.see(tasks, now),
            "dstate_count": len(asleep),
            "daemons": {name: _daemon(process, table) for name, process in found.items()},
            "shims": self._runtime.stuck_shims(table, now),
            "runc": self._runtime.old_runc(table, now, older_s=OLD_RUNC_S),
        }

    def _daemon_threads(self, found: Iterable[Process]) -> list[Process]:
        """A process shows its first thread's state only. The black box looks at all threads; here
        the daemons' are enough, and cheap."""
        return [
            thread
            for process in found
            for thread in threads(self._proc, process.pid)
            if thread.pid != process.pid
        ]


def _daemon(process: Process, table: Table) -> dict[str, Any]:
    known: dict[str, Any] = {"pid": process.pid, "state": process.state}
    if table.boot_time:
        known["started"] = round(table.boot_time + process.started_s)
    return known


def open_host(config: "HostConfig", *, log_roots: Iterable[Path]) -> HostReader:
    """As configured; nothing is opened or read yet."""
    proc = str(config.proc)
    return HostReader(
        proc=proc,
        names=PodNames(str(root) for root in log_roots),
        disks=Disks([str(path) for path in config.disks], root=str(config.root), proc=proc),
        disk_deadline_s=config.disk_deadline_s,
        systemd=Systemd(
            str(config.bus),
            units=config.units,
            deadline_s=config.systemd_deadline_s,
            every_s=config.systemd_every_s,
        ),
        systemd_deadline_s=config.systemd_deadline_s,
    )

"""What is kept before anybody restarts anything: who is asleep and where, shims and runc processes
with their ages, mounts that hang, the last lines of the logs.

Everything that may hang is begun at once, on threads or in processes of its own, and taken when
the runtime has been asked. State: the sleeps of the first look, so that the second can say which
of them last.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from collectors.node.aside import Aside, Late
from collectors.node.blackbox.mounts import suspicious
from collectors.node.blackbox.tails import tail_of
from collectors.node.host import kernel
from collectors.node.host.asleep import Sleepers
from collectors.node.host.mounts import table
from collectors.node.host.names import PodNames
from collectors.node.host.processes import Process, scan, text, threads
from collectors.node.host.runtime import STUCK, RuntimeProcesses, Table, daemons, is_runc
from pipeline.contract.state import TIMEOUT

_STACK_LINES = 24
_YOUNG_SHIMS = 40
_PARALLEL_MOUNTS = 16
_LOOK_S = 3.0  # for a look at the process table
_TAILS_S = 7.0
_PROBER_S = 3.0  # to begin and to end, besides the deadlines of its mounts
_LEAST_BETWEEN_LOOKS_S = 1.0


class Evidence:
    """`begin`, then `look`, later `rest`."""

    def __init__(self, task: Any) -> None:
        """`task`: see __main__.py."""
        self._proc = str(task.host.proc)
        self._root = str(task.host.root).rstrip("/")
        self._box = task.config
        self._left = {prober.mount: prober.pid for prober in task.left}
        names = PodNames(str(root) for root in task.log_roots)
        self._names = names
        self._sleepers = Sleepers(self._proc, names)
        self._processes = Aside(self._look, name="processes")
        self._looked = 0.0
        self._mounts = Aside(self._probe_mounts, name="mounts")
        self._tails = {
            log.program: Aside(partial(self._tail, log), name=f"tail {log.program}")
            for log in task.config.logs
        }
        self.found: dict[str, Any] = {}
        self.daemons: Mapping[str, Process] = {}

    def begin(self) -> None:
        for aside in (self._processes, self._mounts, *self._tails.values()):
            aside.begin()  # type: ignore[attr-defined]  # their results differ

    def look(self) -> dict[str, Any]:
        """dstate, dstate_count, shims, runc, by now; what can be told of them before is kept when
        a second look does not come back."""
        try:
            self.found = self._processes.take(_LOOK_S)
        except (Late, OSError) as error:
            self.found = self.found | {"processes": {"outcome": TIMEOUT, "detail": str(error)}}
        return self.found

    def suspects(self) -> set[str]:
        """Ids of containers, uids of pods and namespace/pod that processes name."""
        stuck = [entry for entry in self.found.get("shims", ()) if entry["state"] in STUCK]
        entries = [*self.found.get("dstate", ()), *stuck, *self.found.get("runc", ())]
        keys = ("container", "pod_uid", "pod")
        return {entry[key] for entry in entries for key in keys if key in entry}

    def rest(self) -> dict[str, Any]:
        """Mounts and last lines; and a second look at the processes, so that `for_s` says whether
        a sleep lasts."""
        between = time.monotonic() - self._looked
        if between < _LEAST_BETWEEN_LOOKS_S:
            time.sleep(_LEAST_BETWEEN_LOOKS_S - between)
        self._processes.begin()
        found = dict(self.look())
        end = time.monotonic() + _TAILS_S
        tails = {program: self._take(aside, end) for program, aside in self._tails.items()}
        found["tails"] = {program: lines for program, lines in tails.items() if lines}
        found["mounts"] = self._take(self._mounts, end)
        return found

    @staticmethod
    def _take(aside: Aside[list[Any]], end: float) -> list[Any]:
        try:
            return aside.take(end - time.monotonic())
        except (Late, OSError):
            return []

    # -- on threads ----------------------------------------------------------------------------

    def _look(self) -> dict[str, Any]:
        now = self._looked = time.monotonic()
        processes = scan(self._proc)
        table_ = Table(processes, kernel.uptime(self._proc), kernel.boot_time(self._proc))
        self.daemons = daemons(self._proc, table_)
        tasks = [
            task for process in processes for task in threads(self._proc, process.pid) or [process]
        ]
        runtime = RuntimeProcesses(self._proc, self._names)
        sleepers = self._sleepers.see(tasks, now)
        return {
            "dstate": [entry | self._stack(entry["pid"]) for entry in sleepers],
            "dstate_count": sum(task.state == "D" for task in tasks),
            "shims": [runtime.shim(p, table_, now) for p in _interesting(runtime, table_)],
            "runc": [runtime.runc(p, table_, now) for p in processes if is_runc(p)],
            "daemons": {name: {"pid": p.pid, "state": p.state} for name, p in self.daemons.items()},
        }

    def _stack(self, pid: int) -> dict[str, list[str]]:
        """Of the kernel; for root only."""
        lines = text(f"{self._proc}/{pid}/stack").splitlines()[:_STACK_LINES]
        return {"stack": [line.partition("] ")[2] or line for line in lines]} if lines else {}

    def _tail(self, log: Any) -> list[str]:
        return tail_of(log, lines=self._box.lines, journal_dir=self._box.journal_dir)

    def _probe_mounts(self) -> list[dict[str, Any]]:
        """Those that hang or fail come first."""
        mounts, found = suspicious(table(self._proc)), []
        asked = []
        for mount in mounts:
            pid = self._left.get(mount.point)
            if pid is not None and text(f"/proc/{pid}/stat").rpartition(")")[2].startswith(" D"):
                found.append(_still(mount.point, mount.type, pid))
            else:
                path = f"{self._root}{mount.point}"
                asked.append({"mount": mount.point, "type": mount.type, "path": path})
        return found + (self._ask_mounts(asked) if asked else [])

    def _ask_mounts(self, asked: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
        task = {"mounts": asked, "deadline_s": self._box.mount_s, "parallel": _PARALLEL_MOUNTS}
        rounds = 1 + len(asked) // _PARALLEL_MOUNTS
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "collectors.node.blackbox.mounts"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as prober:
            try:
                out, _ = prober.communicate(
                    json.dumps(task).encode(), rounds * self._box.mount_s + _PROBER_S
                )
            except subprocess.TimeoutExpired:
                prober.kill()
                return []
        results = [json.loads(line) for line in out.splitlines()]
        return sorted(results, key=lambda result: str(result["outcome"]) == "ok")


def _still(point: str, kind: str, pid: int) -> dict[str, Any]:
    """The child of an earlier run has not come back yet."""
    return {"mount": point, "type": kind, "outcome": TIMEOUT, "ms": 0, "prober": pid}


def _interesting(runtime: RuntimeProcesses, table_: Table) -> list[Process]:
    """Stuck shims first, then the youngest: what was begun last is what may hang now."""
    shims = [p for p in table_.processes if runtime.is_shim(p)]
    shims.sort(key=lambda p: (p.state not in STUCK, -p.start))
    return shims[: sum(p.state in STUCK for p in shims) + _YOUNG_SHIMS]


def own_pids(proc: str) -> bool:
    """Are the process ids of this procfs the ones that this process may send signals to?"""
    for line in text(f"{proc}/self/status").splitlines():
        if line.startswith("NSpid:"):
            return line.split()[1:] == [str(os.getpid())]
    return False

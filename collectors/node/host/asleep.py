"""Tasks in uninterruptible sleep, and for how long the same sleep has been seen to last.

A disk puts tasks into state D for milliseconds all the time; what counts is one sleep that does
not end. So the switches of a task are compared: a task that has run in between sleeps anew.

State: since when each sleep has been seen; forgotten when the task is in another state.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from collectors.node.host.cgroups import owner
from collectors.node.host.names import PodNames
from collectors.node.host.processes import Process, switches, text

LISTED = 32  # a hung file system can put thousands to sleep
ASLEEP = "D"


@dataclass(slots=True)
class _Sleep:
    since: float
    switches: str


class Sleepers:
    """`proc` is the procfs; `names` tells whose pod it is."""

    def __init__(self, proc: str, names: PodNames) -> None:
        self._proc = proc
        self._names = names
        self._sleeps: dict[tuple[int, int], _Sleep] = {}

    def see(self, tasks: Iterable[Process], now: float) -> list[dict[str, Any]]:
        """Those that are asleep, longest first, at most LISTED of them; `for_s` is how long this
        has been seen, so 0 at first."""
        asleep = {(task.pid, task.start): task for task in tasks if task.state == ASLEEP}
        known = [key for key in self._sleeps if key in asleep]
        fresh = [key for key in asleep if key not in self._sleeps]
        listed = [*known, *fresh][:LISTED]
        self._sleeps = {key: self._sleep(key, now) for key in listed}
        found = [self._describe(asleep[key], now - self._sleeps[key].since, now) for key in listed]
        return sorted(found, key=lambda entry: -float(entry["for_s"]))

    def _sleep(self, key: tuple[int, int], now: float) -> _Sleep:
        before, counts = self._sleeps.get(key), switches(self._proc, key[0])
        return before if before and before.switches == counts else _Sleep(now, counts)

    def _describe(self, task: Process, for_s: float, now: float) -> dict[str, Any]:
        entry: dict[str, Any] = {"pid": task.pid, "comm": task.comm, "for_s": round(for_s, 1)}
        wchan = text(f"{self._proc}/{task.pid}/wchan").strip()
        if wchan not in ("", "0"):  # 0: awake by now, or not to be told to us
            entry["wchan"] = wchan
        return entry | whose(self._proc, task.pid, self._names, now)


def whose(proc: str, pid: int, names: PodNames, now: float) -> dict[str, str]:
    """container, pod_uid and pod (namespace/name) of a process, as far as they are known."""
    found = owner(text(f"{proc}/{pid}/cgroup"))
    known = {
        "container": found.container,
        "pod_uid": found.pod_uid,
        "pod": names.name(found.pod_uid, now),
    }
    return {key: value for key, value in known.items() if value}

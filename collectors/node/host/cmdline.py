"""Command lines of processes that may hang.

/proc/PID/cmdline reads the process's memory under a lock that a hung process can hold, which is
why `ps` hangs on a sick node. So each is read on a thread; while one has not come back, none is
known (collectors/node/aside.py).
"""

from functools import partial

from collectors.node.aside import Aside, Late
from collectors.node.host.processes import read

_WAIT_S = 0.2


class CommandLines:
    """Used by one thread."""

    def __init__(self, proc: str) -> None:
        self._proc = proc
        self._aside: Aside[bytes] | None = None

    def of(self, pid: int) -> list[str]:
        """The arguments, which may hold secrets; empty when they are not to be had."""
        if self._aside is not None and self._aside.busy:
            return []
        self._aside = Aside(partial(read, f"{self._proc}/{pid}/cmdline"), name="cmdline")
        self._aside.begin()
        try:
            raw = self._aside.take(_WAIT_S)
        except (Late, OSError):
            return []
        return raw.rstrip(b"\0").decode("utf-8", "replace").split("\0") if raw else []

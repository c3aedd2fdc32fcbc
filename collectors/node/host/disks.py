"""Size and inodes of the file systems below configured paths; one that hangs is said to hang.

State: per mount point one thread that may hang (collectors/node/aside.py), and the mount point of
each path as last seen. A path is sorted to its mount point by name until it has been looked at.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from collectors.node.aside import Aside, Late
from collectors.node.host.mounts import Mount, point_of, table
from pipeline.contract.state import TIMEOUT

Figures = dict[str, int]
_TABLE_EVERY_S = 60.0


class Disks:
    """`begin`, then `take`; `now` is monotonic seconds. `statvfs` is os.statvfs, or a test's."""

    def __init__(
        self,
        paths: Sequence[str],
        *,
        root: str,
        proc: str,
        statvfs: Callable[[str], os.statvfs_result] = os.statvfs,
    ) -> None:
        self._paths = tuple(paths)
        self._root = root.rstrip("/")
        self._proc = proc
        self._statvfs = statvfs
        self._mounts: list[Mount] = []
        self._read_table = float("-inf")
        self._points: dict[str, str] = {}
        self._asked: dict[str, Aside[dict[str, Figures]]] = {}

    def begin(self, now: float) -> None:
        """Ask each mount point that is not still being waited for."""
        if now - self._read_table >= _TABLE_EVERY_S:
            self._read_table, self._mounts = now, table(self._proc)
        groups: dict[str, list[str]] = {}
        for path in self._paths:
            point = self._points.get(path) or point_of(path, self._mounts)
            groups.setdefault(point, []).append(path)
        waiting = {point: aside for point, aside in self._asked.items() if aside.busy}
        self._asked = waiting | {
            point: Aside(partial(self._measure, tuple(paths)), name=f"statvfs {point}")
            for point, paths in groups.items()
            if point not in waiting
        }
        for aside in self._asked.values():
            aside.begin()

    def take(self, wait_s: Callable[[], float]) -> Mapping[str, Any]:
        """{mount point: figures or {"outcome": "timeout"}}. `wait_s` is what is left of the
        deadline, which all share."""
        found: dict[str, Any] = {}
        for point, aside in self._asked.items():
            try:
                found.update(aside.take(wait_s()))
            except Late:
                found[point] = {"outcome": TIMEOUT}
            except OSError:
                continue
        return found

    def _measure(self, paths: Sequence[str]) -> dict[str, Figures]:
        """On a thread of its own: everything here can hang."""
        found: dict[str, Figures] = {}
        for path in paths:
            seen = f"{self._root}{path}"
            try:
                # Links are followed only where they mean the same to this process and the host.
                real = path if self._root else os.path.realpath(path)
                point = point_of(real, self._mounts)
                if point not in found:
                    found[point] = _figures(self._statvfs(seen))
            except OSError:
                continue  # it is not there
            self._points[path] = point
        return found


def _figures(result: os.statvfs_result) -> Figures:
    """`free` is what others than root may use: what the kubelet compares with its thresholds."""
    return {
        "size": result.f_blocks * result.f_frsize,
        "free": result.f_bavail * result.f_frsize,
        "inodes": result.f_files,
        "inodes_free": result.f_ffree,
    }

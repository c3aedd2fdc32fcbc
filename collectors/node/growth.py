"""When each container's log last grew, and whether all of them fell silent at once.

The runtime relays what containers write, so a runtime that hangs silences all of them in the same
second (measured with containerd; dockerd relays as well, CRI-O's conmon does not need its daemon).
Two threads: the tailer tells (`grew`, `looked`), the sampler's asks (`read`, `news`).

What counts as silence: every file has been looked at (`looked`) more than 5 s after the newest
growth of the whole node, and at least three containers that had been writing regularly until then
are overdue: silent for more than twice the longest pause they made in the last minute or two. So
containers that write every 5 s say nothing, and neither does a node where nothing is written. It is
evidence, no proof: services that log requests fall silent together when their callers stop.

State: per container the time of its last growth, when it was first seen to grow, and its longest
pause in this minute and in the one before. Times are monotonic seconds until `read` turns them
into Unix milliseconds.
"""

import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

from collectors.node.ports import Instant

SILENT_S = 5.0
LEAST = 3  # containers that fall silent together
_ACTIVE_S = 60.0
_KNOWN_S = 20.0  # watched for this long before its silence means something
_REGULAR_S = 3.0  # makes no longer pauses: what pauses longer does not date a silence
_WINDOW_S = 60.0
_MOST_NAMED = 200
_NEVER = float("-inf")


@dataclass(slots=True)
class _Log:
    """One container's."""

    first: float
    last: float
    pauses: list[float]  # longest: in the window before, in this one
    window: float  # when this one began
    stopped: bool = False  # as last reported

    def grew(self, at: float) -> None:
        if at - self.window >= _WINDOW_S:
            missed = at - self.window >= 2 * _WINDOW_S
            self.pauses = [0.0 if missed else self.pauses[1], 0.0]
            self.window = at
        self.pauses[1] = max(self.pauses[1], at - self.last)
        self.last = at

    @property
    def longest(self) -> float:
        return max(self.pauses)

    def overdue(self, now: float) -> bool:
        """It wrote regularly, and should have by now."""
        regular = self.last - self.first >= _KNOWN_S and self.longest <= _REGULAR_S
        return regular and now - self.last > max(SILENT_S, 2 * self.longest)


class Silence(NamedTuple):
    since: float
    containers: int


class Growth:
    """`grew` and `looked` from the tailer's thread, the rest from one other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logs: dict[str, _Log] = {}
        self._newest = self._looked = _NEVER
        self._resumed = _NEVER  # first growth after a silence that was reported
        self._told: Silence | None = None  # as last reported

    def grew(self, container: str, at: float) -> None:
        """namespace/pod/container was seen to have grown at that time."""
        with self._lock:
            if self._told is not None and self._newest == self._told.since < at:
                self._resumed = at
            log = self._logs.get(container)
            if log is None:
                self._logs[container] = _Log(at, at, [0.0, 0.0], at)
            else:
                log.grew(at)
            self._newest = max(self._newest, at)

    def looked(self, at: float, here: Collection[str]) -> None:
        """All files were looked at; `here` are the containers that have one to write to."""
        with self._lock:
            self._looked = at
            for gone in self._logs.keys() - set(here):
                del self._logs[gone]

    def news(self) -> bool:
        """Has a silence begun or ended since the last `read`?"""
        with self._lock:
            return (self._silence() is None) is not (self._told is None)

    def read(self, now: Instant) -> dict[str, Any]:
        """`values` of part growth."""

        def ms(at: float) -> int:
            return now.wall_ms - round((now.mono - at) * 1000)

        with self._lock:
            recent = [log for log in self._logs.values() if now.mono - log.last <= _ACTIVE_S]
            values: dict[str, Any] = {"active": len(recent)}
            if self._newest > _NEVER:
                values["newest_ms"] = ms(self._newest)
            silence, told = self._silence(), self._told
            self._told = silence
            if silence is not None:
                values["silent"] = {"since_ms": ms(silence.since), "containers": silence.containers}
            elif told is not None:
                values["resumed"] = {
                    "since_ms": ms(told.since),
                    "at_ms": ms(self._resumed),
                    "containers": told.containers,
                }
            changed = {name: ms(log.last) for name, log in self._logs.items() if self._moved(log)}
            if changed:
                values["last_ms"] = dict(sorted(changed.items())[:_MOST_NAMED])
            return values

    def _silence(self) -> Silence | None:
        if self._looked - self._newest <= SILENT_S:
            return None
        overdue = sum(
            log.overdue(self._looked)
            for log in self._logs.values()
            if log.last >= self._newest - max(1.0, log.longest)
        )
        return Silence(self._newest, overdue) if overdue >= LEAST else None

    def _moved(self, log: _Log) -> bool:
        """Did it stop or resume since it was last reported?"""
        stopped, log.stopped = log.stopped, log.overdue(self._looked)
        return stopped is not log.stopped

"""Growth of container logs in a recording, told to the real `Growth` as the tailer tells it: what
grew and when, and every second that all files were looked at.
"""

import re
from typing import Any

from collectors.node.growth import Growth
from collectors.node.ports import Instant
from collectors.recording.layout import Recording

LOOK_S = 1.0
_LIVE = re.compile(r"/(?P<namespace>[^/_]+)_(?P<pod>[^/_]+)_[^/_]+/(?P<container>[^/]+)/\d+\.log$")


class RecordedGrowth:
    def __init__(self, recording: Recording) -> None:
        self._rows = list(recording.rows("pod-log-files"))
        self._next = 0
        self._here: dict[str, str] = {}  # path -> namespace/pod/container
        self._growth = Growth()

    def __bool__(self) -> bool:
        return bool(self._rows)

    def look(self, t: float) -> bool:
        """Everything up to then was seen. True when a silence has begun or ended."""
        while self._next < len(self._rows) and self._rows[self._next]["t"] <= t:
            self._take(self._rows[self._next])
            self._next += 1
        self._growth.looked(t, set(self._here.values()))
        return self._growth.news()

    def read(self, now: Instant) -> dict[str, Any]:
        return self._growth.read(now)

    def _take(self, row: dict[str, Any]) -> None:
        changed = sorted(row.get("changed", {}).items(), key=lambda item: item[1][2])
        for path, (_, _, written) in changed:
            found = _LIVE.search(path)
            if found:
                self._here[path] = "/".join(found.group("namespace", "pod", "container"))
                self._growth.grew(self._here[path], written)
        for path in row.get("gone", ()):
            self._here.pop(path, None)

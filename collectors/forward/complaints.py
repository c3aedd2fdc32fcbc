"""What was refused, and from whom: always counted, said not too often per client and kind."""

import re
from typing import Any

from pipeline.base.telemetry import Telemetry
from pipeline.contract import metrics

_QUIET_S = 10.0
_KNOWN = 1000
_PORT = re.compile(r":\d+(?= |$)")


class Complaints:
    """State: when each (kind, client) was said last, and how often it was not said since."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def say(self, kind: str, client: str, why: str, *, now: float, **fields: Any) -> None:
        """Something was refused."""
        self._telemetry.count(metrics.FORWARD_REFUSED, why=kind)
        self._tell("forward-refused", kind, client, why, now, fields)

    def notice(self, kind: str, client: str, why: str, *, now: float, **fields: Any) -> None:
        """Something is odd, and was taken."""
        self._tell("forward-odd", kind, client, why, now, fields)

    def _tell(
        self, event: str, kind: str, client: str, why: str, now: float, fields: dict[str, Any]
    ) -> None:
        key = (kind, _PORT.sub("", client, count=1))
        last, unsaid = self._said.get(key, (float("-inf"), 0))
        if now - last < _QUIET_S:
            self._said[key] = last, unsaid + 1
            return
        if len(self._said) >= _KNOWN:
            self._said.clear()
        self._said[key] = now, 0
        if unsaid:
            fields["unsaid"] = unsaid
        self._telemetry.event(event, level="warn", kind=kind, client=client, why=why, **fields)

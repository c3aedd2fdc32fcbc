"""What the event log was told about a scope as a whole: `synced` events.

The rules for whoever reads them are in pipeline/contract/state.py and design.md. State: what was
said last, so that an outage is said once, and its end.
"""

from typing import Any

from collectors.cluster.ports import Instant
from collectors.cluster.resources import Scope
from collectors.cluster.scribes import BY
from pipeline.contract import state
from pipeline.contract.state import SYNCED, StateEvent

UIDS_A_RECORD = 10_000  # 400 KB


class Said:
    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._outcome = ""  # nothing was said yet

    @property
    def troubled(self) -> bool:
        """The last word was of a failure."""
        return self._outcome not in ("", state.OK)

    def listed(
        self, version: str, count: int, now: Instant, *, uids: set[str] | None = None
    ) -> list[StateEvent]:
        """A list is complete. With `uids` it says what exists: in records that each speak of a
        range of uids, so that each can be understood alone."""
        self._outcome = state.OK
        body = {"version": version, "count": count, "outcome": state.OK}
        if uids is None:
            return [self._event(body, now)]
        names, after = sorted(uids), ""
        events: list[StateEvent] = []
        for at in range(0, max(len(names), 1), UIDS_A_RECORD):
            chunk = names[at : at + UIDS_A_RECORD]
            last = at + UIDS_A_RECORD >= len(names)
            upto = "" if last else chunk[-1]
            more = {"uids": chunk, "after": after, "upto": upto}
            events.append(self._event({**body, **more}, now, number=len(events)))
            after = upto
        return events

    def resumed(self, version: str, count: int, now: Instant) -> list[StateEvent]:
        """The watch goes on from where it was: said only after a failure was."""
        return self.listed(version, count, now) if self.troubled else []

    def seeing(self, version: str, count: int, now: Instant, *, next_ms: int) -> StateEvent:
        """The watch is open, and the next word comes within `next_ms`."""
        body = {"version": version, "count": count, "outcome": state.OK, "next_ms": next_ms}
        return self._event(body, now)

    def failed(
        self, outcome: str, detail: str, now: Instant, *, status: int = 0
    ) -> list[StateEvent]:
        """Once, until the outcome changes."""
        if outcome == self._outcome:
            return []
        self._outcome = outcome
        body: dict[str, Any] = {"version": "", "count": 0, "outcome": outcome, "detail": detail}
        return [self._event({**body, "status": status} if status else body, now)]

    def _event(self, body: dict[str, Any], now: Instant, *, number: int = 0) -> StateEvent:
        scope = self._scope
        about = {"resource": scope.resource.name}
        if scope.namespace:
            about["namespace"] = scope.namespace
        if scope.resource.object_name:
            about["name"] = scope.resource.object_name
        name = f"synced:{scope.name}:{body['version'] or body['outcome']}:{now.wall_ms}:{number}"
        return StateEvent(SYNCED, now.wall_ms, BY, name, {**about, **body})

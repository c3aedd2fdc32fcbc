"""When the fold is written down, and which snapshot it goes on from."""

from collections.abc import Callable, Mapping

from pipeline.base.clock import Clock
from pipeline.base.errors import KubeledgerError
from pipeline.base.telemetry import Telemetry
from pipeline.contract.metrics import SNAPSHOT_AGE, SNAPSHOT_SECONDS
from pipeline.eventlog.machine import Machine
from pipeline.eventlog.snapshots import Head, Snapshots, Unusable


class Keeper:
    """State: offset of the last snapshot; offset and time of the last attempt at one. A snapshot
    beyond what is confirmed is of no use to a restart yet, so there is never more than one."""

    def __init__(
        self,
        machine: Machine,
        snapshots: Snapshots,
        *,
        events: int,
        every_s: float,
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
        self._machine = machine
        self._snapshots = snapshots
        self._events = events
        self._every_s = every_s
        self._telemetry = telemetry
        self._clock = clock
        self._offset = 0
        self._tried = 0
        self._at = clock.monotonic()

    def load(self, upto: int, fits: Callable[[Head], bool]) -> bool:
        """Put the machine where the newest usable snapshot is that is not beyond `upto` and
        ahead of where it is. `fits`: is the record before it the one that was folded?"""
        above = -1 if self._machine.fresh else self._machine.next
        for head, parts in self._snapshots.usable(above, upto):
            if not fits(head):
                why = Unusable("other-topic", "the record before it is not the one it folded")
                self._snapshots.refuse(head.offset, why)
                continue
            try:
                self._machine.restore(head.offset, parts)
            except (KubeledgerError, ValueError, KeyError, TypeError, AttributeError) as error:
                # what a fold says of a dump that it does not understand is its own
                self._machine.start_at(0)
                self._snapshots.refuse(head.offset, Unusable("not-understood", repr(error)))
            else:
                self._offset = self._tried = head.offset
                self._at = self._clock.monotonic()
                self._telemetry.event("snapshot.loaded", offset=head.offset, bytes=_size(parts))
                return True
        return False

    def due(self, confirmed: int) -> bool:
        age = self._clock.monotonic() - self._at
        self._telemetry.gauge(SNAPSHOT_AGE, age)
        news = self._machine.next - self._tried
        return (
            news > 0
            and self._offset <= confirmed
            and (news >= self._events or age >= self._every_s)
        )

    def save(self, confirmed: int) -> None:
        """Write the fold down as it is now."""
        offset = self._machine.next
        if offset == self._offset or self._machine.fresh:
            return
        started = self._clock.monotonic()
        record = self._machine.last.value if self._machine.last is not None else None
        parts = self._machine.dump()
        saved = self._snapshots.save(offset, record, parts, confirmed=confirmed)
        self._tried, self._at = offset, self._clock.monotonic()
        self._telemetry.count(SNAPSHOT_SECONDS, self._at - started)
        if saved:
            self._offset = offset
            self._telemetry.event("snapshot.saved", offset=offset, bytes=_size(parts))


def _size(parts: Mapping[str, bytes]) -> int:
    return sum(map(len, parts.values()))

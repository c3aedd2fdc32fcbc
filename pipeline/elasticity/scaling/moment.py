"""When something happened, as far as can be said.

Two things bound a time. The record that shows it came at some time, so it was not later. And most
things carry a stamp, of a whole second (metav1.Time) or exact (MicroTime), so it was not earlier.
A moment says `t`, the latest time at which it can have happened, and how much earlier it may have
been. Stamps of a kubelet are by the node's clock, and said to be.

A condition counts from when the API server has it: nobody can act on it before. Its
lastTransitionTime may be much earlier (a status that was posted late; kwok writes the time at which
the node was made), so it only says how early it can have been.
"""

from dataclasses import dataclass, replace
from typing import Any

SECOND_MS = 1000  # the resolution of metav1.Time
# What a watch shows without a stamp was written shortly before. The API server sends a change
# within milliseconds; this much is granted to a busy watcher.
WATCH_LAG_MS = 1000

API, NODE = "control-plane", "node"


@dataclass(slots=True)
class Moment:
    """`t` and `uncertainty_ms`: it happened in [t - uncertainty_ms, t], Unix milliseconds."""

    t: int
    uncertainty_ms: int
    offset: int  # of the record that shows it, on kubeledger.state
    what: str  # and what in that record does
    clock: str = API
    stamped: bool = False
    ahead_ms: int = 0  # its stamp is so much later than the record: that clock is ahead

    @property
    def earliest(self) -> int:
        return self.t - self.uncertainty_ms

    def document(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "t": self.t,
            "source": {"offset": self.offset, "what": self.what},
            "uncertainty_ms": self.uncertainty_ms,
            "clock": self.clock,
        }
        return told | {"ahead_ms": self.ahead_ms} if self.ahead_ms else told


def observed(stamp: int, received: int, offset: int, what: str, clock: str = API) -> Moment:
    """A thing with this stamp (Unix ms, 0: none) in a record of this time: it happened within the
    second of the stamp, and not after the record."""
    moment = reported(stamp, received, offset, what, clock)
    if moment.stamped:
        exact = stamp % SECOND_MS != 0
        moment.t = stamp if exact else min(received, stamp + SECOND_MS - 1)
        moment.uncertainty_ms = max(1, moment.t - stamp)
    return moment


def reported(stamp: int, received: int, offset: int, what: str, clock: str = API) -> Moment:
    """A state that is in force since the record, or, if that came late, at most since the stamp."""
    if not stamp:
        return Moment(received, WATCH_LAG_MS, offset, what, clock)
    if stamp > received:  # that clock is ahead of the watcher's: only the record is left
        return Moment(received, WATCH_LAG_MS, offset, what, clock, ahead_ms=stamp - received)
    return Moment(received, max(1, received - stamp), offset, what, clock, stamped=True)


def tightened(old: Moment | None, new: Moment) -> Moment:
    """Two observations of the same thing: the time that fits both, by the better source. Where none
    fits both they are of different things, and the first stays, unless only the other has a
    stamp."""
    if old is None:
        return new
    earliest, latest = max(old.earliest, new.earliest), min(old.t, new.t)
    if earliest > latest:
        return new if new.stamped and not old.stamped else old
    better = new if new.uncertainty_ms < old.uncertainty_ms else old
    return replace(better, t=latest, uncertainty_ms=max(1, latest - earliest))


def not_after(moment: Moment, other: Moment) -> Moment:
    """What must have happened before something else did so, though its record says later."""
    if moment.t <= other.t:
        return moment
    earliest = min(moment.earliest, other.earliest)
    return Moment(  # not `replace`: this is done for each pod of a burst
        other.t, max(1, other.t - earliest), moment.offset, moment.what, moment.clock,
        moment.stamped, moment.ahead_ms,
    )  # fmt: skip

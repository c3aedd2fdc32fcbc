"""Signals in a batch's rows -> kubeledger.state, before the rows are stored.

Order is what makes them safe: **a row that is in the table has its signals in the event log.**
They are sent and acknowledged after the declaration and before the insert. A crash in between
builds the batch again and sends the same ids again, which the folds ignore; rows that recovery
leaves out because they are stored were signalled before.

Logs do not wait for ever: a signal that is not acknowledged within `wait_s`, or is refused,
becomes a dead letter `signal-unsent` that holds it whole (`kubeledger replay dead` puts it back
on kubeledger.state), before the insert as well. While what was given up is still on its way,
further signals go there at once: one wait, not one per batch. (It may yet arrive; then the letter
repeats an id.) With the whole bus away nothing is confirmed anyway, and everything waits.
"""

from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field

import numpy as np

from pipeline.base.clock import Clock
from pipeline.base.errors import Unavailable
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Position, Producer
from pipeline.contract.metrics import SIGNALS, SIGNALS_UNSENT
from pipeline.contract.record import DeadLetter
from pipeline.contract.state import StateEvent, encode_state
from pipeline.contract.topics import STATE
from pipeline.processor.dead import Dead
from pipeline.processor.link import Link
from pipeline.processor.partition import Partition
from pipeline.processor.prepare import Prepared
from pipeline.readiness.finder import SignalFinder
from pipeline.stages.rows import Origins, Rows

UNSENT = "signal-unsent"
_ACK_S = 0.5


def signals_in(finder: SignalFinder, rows: Rows, origins: Origins) -> list[StateEvent]:
    """Signals of these rows, in order of time. Rows of logs that can hold none cost one look
    each per log."""
    wanted = [i for i, origin in enumerate(origins.items) if finder.wants(origin.source)]
    if not wanted or not len(rows):
        return []
    chosen = np.flatnonzero(np.isin(rows.origin, wanted))
    chosen = chosen[np.argsort(rows.origin[chosen], kind="stable")]
    stops = np.flatnonzero(np.diff(rows.origin[chosen], append=-1)) + 1
    found: dict[str, StateEvent] = {}
    start = 0
    for stop in stops.tolist():
        at = chosen[start:stop]
        origin = origins.items[int(rows.origin[at[0]])]
        start = stop
        events = finder.find(
            origin.source,
            origin.file_id,
            bodies=[rows.bodies[i] for i in at.tolist()],
            offsets=rows.off[at].tolist(),
            ts=rows.ts[at].tolist(),
        )
        for event in events:
            found.setdefault(event.id, event)
    return sorted(found.values(), key=lambda event: (event.t, event.id))


@dataclass(slots=True)
class SignalSender:
    """`finder` None: signals are not wanted. State: what was given up and is not settled."""

    finder: SignalFinder | None
    producer: Producer
    link: Link
    clock: Clock
    telemetry: Telemetry
    wait_s: float
    _stuck: "Future[Position] | None" = field(default=None, init=False)

    def send(self, partition: Partition, batch: Prepared) -> list[Dead]:
        """On return every signal of the batch is acknowledged, or is in the result."""
        if self.finder is None:
            return []
        events = signals_in(self.finder, batch.rows, batch.origins)
        if not events:
            return []
        for event in events:
            self.telemetry.count(SIGNALS, pattern=event.body["pattern"])
        if self._stuck is not None and not self._stuck.done():
            return self._unsent(events, "earlier signals are not acknowledged yet", batch)
        futures = [self._hand_over(event) for event in events]
        deadline = self.clock.monotonic() + self.wait_s
        self.link.patiently(
            "sending signals",
            lambda: self._settle(futures, deadline),
            ours=lambda: not partition.lost,
        )
        self._stuck = None if futures[-1].done() else futures[-1]
        dead: list[Dead] = []
        for event, future in zip(events, futures, strict=True):
            problem = _problem(future)
            if problem:
                dead += self._unsent([event], problem, batch)
        return dead

    def _hand_over(self, event: StateEvent) -> "Future[Position]":
        value, headers = encode_state(event)
        key = event.body["node"].encode("utf-8", "surrogateescape")
        return self.producer.send(STATE, key=key, value=value, headers=headers)

    def _settle(self, futures: "Sequence[Future[Position]]", deadline: float) -> None:
        """Unavailable while some are on their way and the time is not over."""
        for future in futures:
            left = deadline - self.clock.monotonic()
            if left <= 0:
                return
            try:
                future.exception(min(left, _ACK_S))
            except CancelledError:
                continue
            except TimeoutError as error:
                raise Unavailable("the bus has not acknowledged a signal yet") from error

    def _unsent(self, events: Sequence[StateEvent], why: str, batch: Prepared) -> list[Dead]:
        dead = [_letter(event, why, batch.last) for event in events]
        for event, letter in zip(events, dead, strict=True):
            self.telemetry.count(SIGNALS_UNSENT, pattern=event.body["pattern"])
            self.telemetry.event("signal.unsent", "error", id=letter.id, why=why)
        return dead


def _problem(future: "Future[Position]") -> str:
    """Why it is not in the event log, or nothing."""
    if not future.done():
        return "not acknowledged in time"
    try:
        error = future.exception()
    except CancelledError:
        return "given up by the bus's client"
    return "" if error is None else str(error) or type(error).__name__


def _letter(event: StateEvent, why: str, offset: int) -> Dead:
    """The signal as a dead letter. It stands for no raw bytes: those are stored."""
    value, headers = encode_state(event)
    name = f"{STATE}:{event.id}"
    return Dead(
        id=name,
        reason=UNSENT,
        detail=why,
        offset=offset,
        value=value,
        letter=DeadLetter(name, STATE, 0, offset, UNSENT, why, headers),
    )

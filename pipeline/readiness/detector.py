"""What a detector is given, and what it may do: read one event, move its own state, and say what
it saw. Detectors never open incidents; the catalogue decides what follows from evidence.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from pipeline.contract.facts import TRANSITION, Fact
from pipeline.contract.state import StateEvent
from pipeline.readiness.catalogue import POINT_TTL_MS, Catalogue
from pipeline.readiness.evidence import Book
from pipeline.readiness.sight import Sight
from pipeline.readiness.world import World

LEAD_MS = 5_000  # a tick is said so often


class Scene:
    """One per fold. `now` is the largest event time so far (Unix ms): time is the events'. The
    clocks of nodes count only until the next word of the watcher or the processor is due, LEAD_MS
    after the last one: one node whose clock is ahead must not make all others late."""

    def __init__(
        self, book: Book, world: World, catalogue: Catalogue, sight: Sight | None = None
    ) -> None:
        self.book = book
        self.sight = sight or Sight()
        self.world = world
        self.catalogue = catalogue
        self.now = 0
        self.told = 0  # the largest time that no node's clock said
        self.started = 0  # when the first event was folded
        self.offset = -1
        self.facts: list[Fact] = []
        self._serial = 0

    def begin(self, t: int, offset: int, *, of_node: bool = False) -> None:
        if of_node:
            t = min(t, self.told + LEAD_MS) if self.told else t
        elif t > self.told:
            if not self.told and self.now > t + LEAD_MS:
                self.now = self.started = t  # until now there was a node's clock alone
            self.told = t
        if t > self.now:
            self.now = t
        if not self.started:
            self.started = t
        self.offset = offset
        self.facts = []
        self._serial = 0

    def hold(
        self, entity: str, atom: str, quote: str, *, subject: str = "", since: int | None = None
    ) -> None:
        """True from now (or from `since`, Unix ms) until `clear`."""
        self.book.hold(
            entity,
            atom,
            t=self.now if since is None else min(since, self.now),
            quote=quote,
            offset=self.offset,
            subject=subject,
        )

    def point(
        self,
        entity: str,
        atom: str,
        quote: str,
        *,
        subject: str = "",
        t: int | None = None,
        ttl_ms: int = POINT_TTL_MS,
    ) -> None:
        """Seen at `t` (now if absent). What is older than its time to live is no evidence."""
        when = self.now if t is None else min(t, self.now)
        if when + ttl_ms > self.now:
            self.book.point(
                entity,
                atom,
                t=when,
                ttl=ttl_ms,
                quote=quote,
                offset=self.offset,
                subject=subject,
            )

    def clear(self, entity: str, atom: str, *, subject: str = "") -> None:
        self.book.clear(entity, atom, subject)

    def set(
        self, entity: str, atom: str, true: bool, quote: str = "", *, subject: str = ""
    ) -> None:
        """`hold` or `clear`, as `true` says."""
        if true:
            self.hold(entity, atom, quote, subject=subject)
        else:
            self.clear(entity, atom, subject=subject)

    def sees(self, resource: str, namespace: str = "") -> bool:
        """Does silence about this resource say anything? Ask before time alone becomes evidence."""
        return self.sight.sees(resource, self.now, namespace)

    def transition(
        self, machine: str, entity: str, old: str, new: str, *, reason: str = "", message: str = ""
    ) -> None:
        """A fact: a state machine moved."""
        body = {
            "machine": machine,
            "from": old,
            "to": new,
            "reason": reason,
            "message": message,
            "source": self.offset,
        }
        fact_id = f"{self.offset}:{machine}:{self._serial}"
        self._serial += 1
        self.facts.append(Fact(TRANSITION, self.now, entity, fact_id, body))


class Detector(Protocol):
    """`ATOMS`: what it can say, and in words what each means. `READS`: (kind, key) pairs, key
    being the resource of objects and synced, the part of samples, the reason of Kubernetes
    events, the `probe` of probes, and "" for all of a kind. Its state is one dataclass of plain
    values, `state`, written to snapshots by its type."""

    state: Any

    @property
    def NAME(self) -> str: ...  # noqa: N802 - a constant of the class, read-only here

    @property
    def ATOMS(self) -> Mapping[str, str]: ...  # noqa: N802

    @property
    def READS(self) -> tuple[tuple[str, str], ...]: ...  # noqa: N802

    def see(self, event: StateEvent, scene: Scene) -> None: ...

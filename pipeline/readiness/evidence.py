"""The book of evidence: what is known to be true now, or was seen lately, of each entity.

An **atom** is one kind of observation, named in the catalogue (`signal/kubelet.pleg-skip`,
`condition/node.ready-false`, `metric/pleg.stale`). Two ways to be true:

  hold   true from now until `clear` (a condition, a gauge beyond its bound)
  point  seen now; counts for the atom's time to live (a log line, an Event)

A **subject** names who showed it within the entity: the pod of a workload, the pod that is stuck
on a node; empty for the entity itself. An atom is active while any subject shows it.

State: per entity, atom and subject one item; a heap of the times at which points run out.
Invariant: every point in the book has exactly one entry in the heap (its time may be early: a
point that was seen again is put back when its entry comes up).
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field

FOR_EVER = 1 << 62
MAX_SUBJECTS = 1000  # of one atom of one entity: a cluster of stuck pods need not be listed whole
MANY = 50  # subjects: one more or less is looked at when time passes, not at once
QUOTE_CHARS = 400


@dataclass(slots=True)
class Item:
    """One atom shown by one subject."""

    first: int  # Unix ms, as everywhere here
    last: int
    count: int
    quote: str
    offset: int  # of the record on kubeledger.state that showed it first
    until: int


Atoms = dict[str, dict[str, Item]]  # atom -> subject -> item


@dataclass(slots=True)
class BookState:
    entities: dict[str, Atoms] = field(default_factory=dict)
    heap: list[tuple[int, str, str, str]] = field(default_factory=list)
    later: dict[str, None] = field(default_factory=dict)  # entities to look at when time passes


class Book:
    """`touched` collects the entities whose set of atoms or subjects changed since `drain`; where
    an atom has MANY subjects, a tick is soon enough: 1000 pods that change one by one would be
    looked at 1000 times 1000 times."""

    def __init__(self, state: BookState | None = None) -> None:
        self.state = state or BookState()
        self.touched: dict[str, None] = {}

    def hold(
        self, entity: str, atom: str, *, t: int, quote: str, offset: int, subject: str
    ) -> None:
        """True from now on; again = still true, in these words."""
        self._put(entity, atom, subject, t, quote, offset, FOR_EVER)

    def point(
        self, entity: str, atom: str, *, t: int, ttl: int, quote: str, offset: int, subject: str
    ) -> None:
        """Seen at `t`, counts for `ttl` ms."""
        self._put(entity, atom, subject, t, quote, offset, t + ttl)

    def clear(self, entity: str, atom: str, subject: str = "") -> None:
        """No longer true. Fine if it was not."""
        atoms = self.state.entities.get(entity)
        subjects = atoms.get(atom) if atoms else None
        if atoms and subjects and subjects.pop(subject, None) is not None:
            self._touch(entity, len(subjects))
            if not subjects:
                del atoms[atom]
            if not atoms:
                del self.state.entities[entity]

    def has(self, entity: str, atom: str) -> bool:
        return atom in self.state.entities.get(entity, ())

    def atoms(self, entity: str) -> Atoms:
        return self.state.entities.get(entity, {})

    def forget(self, entity: str) -> None:
        """The entity is gone (a deleted node, a finished workload)."""
        if self.state.entities.pop(entity, None) is not None:
            self.touched[entity] = None

    def expire(self, now: int) -> None:
        """Drop the points whose time is over."""
        heap = self.state.heap
        while heap and heap[0][0] <= now:
            _, entity, atom, subject = heapq.heappop(heap)
            item = self.state.entities.get(entity, {}).get(atom, {}).get(subject)
            if item is None or item.until == FOR_EVER:
                continue
            if item.until > now:
                heapq.heappush(heap, (item.until, entity, atom, subject))
            else:
                self.clear(entity, atom, subject)

    def drain(self, *, tick: bool = False) -> Iterable[str]:
        """Entities that changed, once each, in the order of their first change."""
        touched = self.touched
        if tick and self.state.later:
            touched |= self.state.later
            self.state.later = {}
        if touched:
            self.touched = {}
        return touched

    def _touch(self, entity: str, subjects: int) -> None:
        (self.state.later if subjects >= MANY else self.touched)[entity] = None

    def _put(
        self, entity: str, atom: str, subject: str, t: int, quote: str, offset: int, until: int
    ) -> None:
        subjects = self.state.entities.setdefault(entity, {}).setdefault(atom, {})
        item = subjects.get(subject)
        if item is not None:
            if item.until != FOR_EVER and until == FOR_EVER:
                item.until = until
            elif item.until != FOR_EVER:
                item.until = max(item.until, until)
            item.last = max(item.last, t)
            item.count += 1
            if until == FOR_EVER:
                item.quote = quote[:QUOTE_CHARS]
            return
        if len(subjects) >= MAX_SUBJECTS:
            return
        subjects[subject] = Item(t, t, 1, quote[:QUOTE_CHARS], offset, until)
        if until != FOR_EVER:
            heapq.heappush(self.state.heap, (until, entity, atom, subject))
        self._touch(entity, len(subjects))

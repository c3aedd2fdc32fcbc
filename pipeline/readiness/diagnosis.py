"""Which causes fit what is known of an entity, best first, and why.

Pure: atoms in, candidates out. A cause is **satisfied** when each of its required groups has an
active atom and none of its excluding atoms is active. A cause `per_pod` wants more: one subject
that shows every group by itself, since of many pods of a workload there is always one that starts
and one that something once went wrong with. Evidence of the entity itself counts for all its pods.
Confidence:

  certain   satisfied, and one of its `proof` atoms is active
  probable  satisfied
  possible  satisfied, but marked provisional: something is wrong, the cause is open
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.contract.facts import CERTAIN, CONFIDENCES, FAULT, POSSIBLE, PROBABLE
from pipeline.readiness.catalogue import Catalogue, Cause
from pipeline.readiness.evidence import Atoms, Item

Since = dict[str, int]  # subject -> since when, Unix ms
Holds = Mapping[str, float]  # word -> seconds


@dataclass(frozen=True, slots=True)
class Candidate:
    """A cause, how far its evidence goes, and what is missing or speaks against it."""

    cause: Cause
    confidence: str
    satisfied: bool
    shown: tuple[str, ...]  # its atoms that are active
    missing: tuple[tuple[str, ...], ...]  # required groups without an active atom
    against: tuple[str, ...]  # active excluding atoms
    since: int  # when its last required group became true
    ripe: int  # when it has been so for long enough
    who: tuple[str, ...]  # of a cause `per_pod`: the subjects that show all of it

    @property
    def order(self) -> tuple[int, int, int, str]:
        return (
            CONFIDENCES.index(self.confidence),
            self.cause.rank,
            len(self.shown),
            self.cause.id,
        )


def candidates(
    atoms: Atoms, catalogue: Catalogue, entity_class: str, severity: str = FAULT
) -> list[Candidate]:
    """All causes of that class of entity and severity of which anything required is active, best
    first."""
    causes: dict[str, Cause] = {}
    by_atom = catalogue.by_atom[severity]
    for atom in atoms:
        for cause in by_atom.get(atom, ()):
            if cause.fits(entity_class):
                causes[cause.id] = cause
    found = [_candidate(cause, atoms) for cause in causes.values()]
    satisfied = {candidate.cause.id for candidate in found if candidate.satisfied}
    found = [c for c in found if not (c.satisfied and satisfied.intersection(c.cause.unless))]
    found.sort(key=lambda c: c.order, reverse=True)
    return sorted(found, key=lambda c: not c.satisfied)


def _candidate(cause: Cause, atoms: Atoms) -> Candidate:
    showing = _together if cause.per_pod else _anyhow
    missing, shown_by = showing(cause, atoms, {})
    ripe = showing(cause, atoms, cause.holds)[1] if cause.holds else shown_by
    against = tuple(word for word in cause.excluding if true(word, atoms))
    satisfied = not missing and not against
    named = cause.shown_by
    shown = tuple(atom for atom in atoms if atom in named)
    if not satisfied or cause.provisional:
        confidence = POSSIBLE
    else:
        confidence = CERTAIN if any(true(word, atoms) for word in cause.proof) else PROBABLE
    return Candidate(
        cause,
        confidence,
        satisfied,
        shown,
        missing,
        against,
        since=min(shown_by.values(), default=0),
        ripe=min(ripe.values(), default=0) + int(cause.hold_s * 1000),
        who=tuple(shown_by) if cause.per_pod else (),
    )


def true(word: str, atoms: Atoms) -> bool:
    """Is the atom active, or are all of `a+b`?"""
    if "+" not in word:
        return word in atoms
    return all(atom in atoms for atom in word.split("+"))


def _anyhow(cause: Cause, atoms: Atoms, holds: Holds) -> tuple[tuple[tuple[str, ...], ...], Since]:
    """Required groups that nobody shows; the latest of the times at which each of the others was
    first true (and, by `holds`, for long enough)."""
    missing = tuple(
        tuple(group) for group in cause.required if not any(true(word, atoms) for word in group)
    )
    since = max(
        min(
            (
                max(first(atoms[atom]) for atom in word.split("+")) + _ms(word, holds)
                for word in group
                if true(word, atoms)
            ),
            default=0,
        )
        for group in cause.required
    )
    return missing, {"": since}


def _together(
    cause: Cause, atoms: Atoms, holds: Holds
) -> tuple[tuple[tuple[str, ...], ...], Since]:
    """The group at which nobody is left who shows it and all groups before it; else who shows all
    of them, and since when."""
    who: Since = {}
    for group in cause.required:
        if not any(true(word, atoms) for word in group):
            return (tuple(group),), {}
    for number, group in enumerate(cause.required):
        mine = _group(group, atoms, holds)
        who = _both(who, mine) if number else mine
        if not who:
            return (tuple(group),), {}
    return (), who


def _group(group: list[str], atoms: Atoms, holds: Holds) -> Since:
    """Who shows any of its words, since the first of them."""
    since: Since = {}
    for word in group:
        names, wait = word.split("+"), _ms(word, holds)
        shown = _shown(names[0], atoms, wait)
        for name in names[1:]:
            shown = _both(shown, _shown(name, atoms, wait))
        if not since:
            since = shown
        else:
            since |= {s: t for s, t in shown.items() if t < since.get(s, t + 1)}
    return since


def _ms(word: str, holds: Holds) -> int:
    return int(holds.get(word, 0) * 1000)


def _shown(atom: str, atoms: Atoms, wait: int) -> Since:
    return {subject: item.first + wait for subject, item in atoms.get(atom, {}).items()}


def _both(these: Since, those: Since) -> Since:
    """Who is in both; what the entity itself shows ("") is shown by all."""
    both = {s: max(t, those[s]) for s, t in these.items() if s in those}
    if "" in those:
        both |= {s: max(t, those[""]) for s, t in these.items() if s not in both}
    if "" in these:
        both |= {s: max(t, these[""]) for s, t in those.items() if s not in both}
    return both


def first(subjects: Mapping[str, Item]) -> int:
    """When an atom was first shown by anybody."""
    return min(item.first for item in subjects.values())

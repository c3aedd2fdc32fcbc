"""The catalogue of causes, as data: what must be seen, what speaks for it, what against.

Files in a catalogue folder: `causes/*.yaml` (one list of causes each), `events.yaml` and
`conditions.yaml` (how Kubernetes Events and conditions become atoms), `signals.yaml` (log
patterns, see signals.py). Atoms that take arithmetic are made by detectors, which declare them.

Atom names: `signal/ID`, `event/ID`, `condition/ID` from the files; `metric/…`, `host/…`,
`probe/…`, `object/…`, `lease/…` from detectors.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Literal

import re2
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pipeline.base.errors import UsageError
from pipeline.contract.facts import FAULT, NOTE
from pipeline.readiness.shipped import read_yaml

POINT_TTL_MS = 300_000  # how long an Event or a log line counts when nothing else is said

EntityClass = Literal[
    "node", "zone", "workload", "namespace", "claim", "service", "mesh", "cluster",
    "hpa", "cronhpa", "vpa", "autoscaler", "nodegroup",
]  # fmt: skip


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cause(_Model):
    """One entry: domain facts as data."""

    id: str = Field(pattern=r"^[a-z]+(\.[a-z0-9-]+)+$")
    title: str
    entity: EntityClass | list[EntityClass]
    rank: int = Field(50, description="Of two satisfied causes the higher one is named first.")
    required: list[list[str]] = Field(
        description="Groups: of each group at least one must be true. `a+b`: both atoms at once."
    )
    proof: list[str] = Field([], description="One of these makes a satisfied cause certain.")
    supporting: list[str] = []
    excluding: list[str] = Field([], description="One active atom of these rules the cause out.")
    unless: list[str] = Field([], description="Not named while one of these is satisfied.")
    severity: Literal["fault", "note"] = Field(
        "fault", description="A note is worth knowing and no incident: a limit that somebody set."
    )
    provisional: bool = Field(False, description="Opens an incident; its cause is open still.")
    hold_s: float = Field(0, description="Required must be true for so long before it opens.")
    holds: dict[str, float] = Field(
        {}, description="Required word -> how long it must be true before it counts; in seconds."
    )
    close_s: float = Field(60, description="Quiet time before an incident of this cause closes.")
    explains: list[str] = Field(
        [], description="Causes of pods on the node (or nodes of the zone) that are its symptoms."
    )
    explained_as: str = Field(
        "", description="What explains this cause explains it, too: it says the same, and why."
    )
    because: dict[str, str] = Field(
        {}, description="Atom (or `a+b`) -> a narrower reason that it shows; the first counts."
    )
    everyone: bool = Field(False, description="All pods of the node are affected.")
    per_pod: bool = Field(
        False, description="One pod must show all required groups; only such pods are affected."
    )
    lookalikes: dict[str, str] = Field({}, description="Cause id -> how it differs.")
    remedy: list[str] = Field(description="What to do, safest first.")
    avoid: list[str] = Field([], description="What not to do, and why.")
    capture: list[str] = Field([], description="What to save before anybody restarts anything.")
    docs: list[str] = Field([], description="Where the facts come from.")

    @field_validator("required")
    @classmethod
    def _not_empty(cls, groups: list[list[str]]) -> list[list[str]]:
        if not groups or not all(groups):
            raise ValueError("needs at least one group, and no empty one")
        return groups

    def fits(self, entity_class: str) -> bool:
        """May it explain entities of that class?"""
        return entity_class in ([self.entity] if isinstance(self.entity, str) else self.entity)

    @cached_property
    def shown_by(self) -> frozenset[str]:
        """Atoms that speak for it."""
        words = [*(word for group in self.required for word in group), *self.proof]
        return frozenset("+".join(words).split("+")) | frozenset(self.supporting)

    def atoms(self) -> set[str]:
        """Every atom that it names."""
        words = [*self.excluding, *self.because, *self.holds]
        return {*self.shown_by, *(atom for word in words for atom in word.split("+"))}


class EventRule(_Model):
    """A Kubernetes Event that becomes `event/ID` of its object."""

    id: str
    reason: str
    message: str = Field("", description="RE2; empty: any.")
    kind: str = Field("", description="Kind of the object; empty: any.")
    component: str = ""
    node: bool = Field(False, description="Of a pod: concerns the node of its writer as well.")
    ttl_s: float = POINT_TTL_MS / 1000
    evidence: bool = Field(True, description="False: it only takes other evidence away.")
    clears: list[str] = Field([], description="Atoms of the same object that it ends, if older.")
    says: str


class ConditionRule(_Model):
    """A condition of an object's status that holds `condition/ID`."""

    id: str
    kind: str
    type: str
    status: str
    reason: str = Field("", description="RE2 on the whole reason; empty: any.")
    message: str = Field("", description="RE2; empty: any.")
    says: str


@dataclass(frozen=True, slots=True)
class Matcher:
    """A rule with its patterns compiled."""

    rule: Any
    reason: Any
    message: Any

    def matches(self, reason: str, message: str) -> bool:
        if self.reason is not None and not self.reason.fullmatch(reason):
            return False
        return self.message is None or self.message.search(message) is not None


class Catalogue:
    """Everything by what it is looked up with."""

    def __init__(
        self, causes: list[Cause], events: list[EventRule], conditions: list[ConditionRule]
    ) -> None:
        self.causes = {cause.id: cause for cause in causes}
        self.events: dict[str, list[Matcher]] = {}
        for event in events:
            matcher = Matcher(event, None, _compiled(event.message))
            self.events.setdefault(event.reason, []).append(matcher)
        self.conditions: dict[str, list[Matcher]] = {}  # by kind of object
        for rule in conditions:
            matcher = Matcher(rule, _compiled(rule.reason), _compiled(rule.message))
            self.conditions.setdefault(rule.kind, []).append(matcher)
        self.by_atom: dict[str, dict[str, list[Cause]]] = {FAULT: {}, NOTE: {}}  # by severity
        for cause in causes:
            words = "+".join(word for group in cause.required for word in group)
            for atom in sorted(set(words.split("+"))):
                self.by_atom[cause.severity].setdefault(atom, []).append(cause)
        self._cleared = sorted({(e.id, atom) for e in events for atom in e.clears})
        self._declared = {f"event/{e.id}": e.says for e in events if e.evidence} | {
            f"condition/{c.id}": c.says for c in conditions
        }

    def check(self, atoms: Mapping[str, str]) -> None:
        """Every atom a cause names must be made by somebody: `atoms` are those of signals and
        detectors. Raises UsageError naming cause and atom."""
        known = self._declared.keys() | atoms.keys()
        for event, atom in self._cleared:
            if atom not in known:
                raise UsageError(f"catalogue: event {event} clears the unknown atom `{atom}`")
        for cause in self.causes.values():
            for atom in sorted(cause.atoms() - known):
                raise UsageError(f"catalogue: {cause.id} names the unknown atom `{atom}`")
            others = (*cause.explains, *cause.unless, *cause.lookalikes, cause.explained_as)
            for other in filter(None, others):
                if other not in self.causes:
                    raise UsageError(f"catalogue: {cause.id} names the unknown cause `{other}`")


def load_catalogue(*folders: Traversable) -> Catalogue:
    """One catalogue of these folders, or of the one that is shipped with this package."""
    folders = folders or (files("pipeline.readiness") / "catalogue",)
    causes, events, conditions = [], [], []
    for folder in folders:
        causes += load_causes(folder)
        events += _models(folder / "events.yaml", EventRule)
        conditions += _models(folder / "conditions.yaml", ConditionRule)
    seen: set[str] = set()
    for cause in causes:
        if cause.id in seen:
            raise UsageError(f"catalogue: two causes are called {cause.id}")
        seen.add(cause.id)
    return Catalogue(causes, events, conditions)


def load_causes(folder: Traversable) -> list[Cause]:
    """The causes of one folder."""
    causes: list[Cause] = []
    for file in sorted((folder / "causes").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".yaml"):
            causes += _models(file, Cause)
    return causes


def _models(file: Traversable, model: Any) -> list[Any]:
    documents = read_yaml(file)
    if not isinstance(documents, list):
        raise UsageError(f"{file}: expected a list, found {type(documents).__name__}")
    found = []
    for number, document in enumerate(documents, 1):
        try:
            found.append(model.model_validate(document))
        except ValidationError as error:
            name = document.get("id", "") if isinstance(document, dict) else ""
            raise UsageError(f"{file}: item {number} {name}: {error}") from None
    return found


def _compiled(pattern: str) -> Any:
    """RE2: linear in the text, whatever the pattern (a message is foreign input)."""
    if not pattern:
        return None
    try:
        return re2.compile(pattern)
    except re2.error as error:
        raise UsageError(f"catalogue: pattern {pattern!r} is not RE2: {error}") from error

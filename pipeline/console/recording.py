"""What a recording comes to: its events and log lines through the real folds.

The one who calls gives the happenings in order of time. A recorded node's (collectors/recording
makes them) are state events, and log lines, which become signals here as they do in the log
processor; a capsule holds state events alone. Offsets count from 0, as on a topic of its own.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Protocol, TextIO

from pipeline.base.errors import Fatal
from pipeline.base.fold import Folds, Tripped
from pipeline.console.drain_text import drain_lines
from pipeline.console.folds import open_folds
from pipeline.console.incident_text import duration, incident_document, moment
from pipeline.console.incidents import verdict_document
from pipeline.console.output import harmless, json_text
from pipeline.console.scalings import print_scalings, scaling_documents, unscaled_documents
from pipeline.contract.facts import (
    CAPACITY,
    DRAIN,
    EPISODE,
    MERGED,
    NOTE,
    TRANSITION,
    Fact,
    encode_fact,
)
from pipeline.contract.record import Source
from pipeline.contract.state import StateEvent
from pipeline.readiness.finder import SignalFinder
from pipeline.readiness.signals import load_signals
from pipeline.verdicts import elasticity_verdicts

_SNAPSHOTS = 10  # places from which a verified replay is continued

Offset = tuple[int, StateEvent]


class LogLine(Protocol):
    """A line of a daemon of the node."""

    @property
    def node(self) -> str: ...
    @property
    def program(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def t_ms(self) -> int: ...
    @property
    def text(self) -> bytes: ...


def events_of(happenings: Iterable[StateEvent | LogLine]) -> Iterator[StateEvent]:
    """State events in order, lines as the signals that they are."""
    finder = SignalFinder(load_signals(), by="process-logs")
    for happening in happenings:
        if isinstance(happening, StateEvent):
            yield happening
            continue
        path = f"/var/log/{happening.program}.log"
        source = Source(happening.node, "", "", "", happening.program, 0, path)
        yield from finder.find(
            source,
            0,
            bodies=[happening.text],
            offsets=[happening.number],
            ts=[happening.t_ms * 1_000_000],
        )


def until(
    events: Iterable[StateEvent], start: float, seconds: float | None
) -> Iterator[StateEvent]:
    """Those of the first `seconds` after `start` (Unix seconds); all without."""
    if seconds is None:
        return iter(events)
    end = (start + seconds) * 1000
    return takewhile(lambda event: event.t <= end, events)


@dataclass(slots=True)
class Replayed:
    """`episodes` are the last versions, oldest first, without those that were merged; `incidents`
    those that are faults, `verdicts` those that speak of scaling, notes among them."""

    name: str
    start: int  # Unix ms, of the first event
    end: int
    events: int = 0
    facts: list[Fact] = field(default_factory=list)
    tripped: list[str] = field(default_factory=list)  # events that a fold could not read, and why

    @property
    def incidents(self) -> list[dict[str, Any]]:
        return [body for body in self.episodes if body["severity"] != NOTE]

    @property
    def verdicts(self) -> list[dict[str, Any]]:
        known = elasticity_verdicts()
        return [body for body in self.episodes if body["verdict"] in known]

    @property
    def episodes(self) -> list[dict[str, Any]]:
        last = {f.body["id"]: dict(f.body) for f in self.facts if f.kind == EPISODE}
        found = [body for body in last.values() if body["status"] != MERGED]
        return sorted(found, key=lambda body: (body["opened_at"], body["entity"]))

    @property
    def capacity(self) -> list[dict[str, Any]]:
        """The last figures of each node pool."""
        last = {
            fact.entity: {"t": fact.t, **fact.body}
            for fact in self.facts
            if fact.kind == CAPACITY and "pool" in fact.body
        }
        return [last[entity] for entity in sorted(last)]

    @property
    def drains(self) -> list[dict[str, Any]]:
        """Last versions, oldest first."""
        last = {fact.body["id"]: dict(fact.body) for fact in self.facts if fact.kind == DRAIN}
        return sorted(last.values(), key=lambda body: (body["started_at"], body["node"]))

    @property
    def transitions(self) -> list[Fact]:
        return [fact for fact in self.facts if fact.kind == TRANSITION]

    def document(self) -> dict[str, Any]:
        """As `--json` shows it."""
        return {
            "recording": self.name,
            "start": self.start,
            "end": self.end,
            "events": self.events,
            "incidents": [incident_document(body) for body in self.incidents],
            "verdicts": [verdict_document(body) for body in self.verdicts],
            "capacity": self.capacity,
            "drains": self.drains,
            "transitions": [
                {"t": fact.t, "entity": fact.entity, **fact.body} for fact in self.transitions
            ],
            "scalings": scaling_documents(self.facts),
            "not_caused_by_scaling": unscaled_documents(self.facts),
            **({"tripped": self.tripped} if self.tripped else {}),
        }


def replay_events(events: Iterable[StateEvent], *, name: str) -> Replayed:
    """Fold them, as the state processor does: what a fold cannot read does not end it."""
    tripped: list[str] = []
    fold, facts = open_folds(_telling(tripped)), list[Fact]()
    start = end = count = 0
    for event in events:
        start = start or event.t
        if event.t > end:
            end = event.t
        facts += fold.apply(event, count)
        count += 1
    return Replayed(name, start, end, count, facts, tripped)


def _telling(tripped: list[str]) -> Tripped:
    def tell(name: str, event: StateEvent, offset: int, error: Exception) -> None:
        what = f"{type(error).__name__}: {error}"
        tripped.append(f"event {offset} ({event.kind} {event.id}): {name}: {what}")

    return tell


def verify(events: list[StateEvent], replayed: Replayed) -> str:
    """Fold again: whole, with events delivered twice, and continued from snapshots. The facts must
    be the same bytes. Raises Fatal saying where they differ."""
    numbered = list(enumerate(events))
    want = [encode_fact(fact) for fact in replayed.facts]
    _same(want, _facts(_fresh(), numbered), "a second time")
    twice = [pair for number in numbered for pair in (number, number)]
    _same(want, _facts(_fresh(), twice), "with every event delivered twice")
    step = max(1, len(numbered) // _SNAPSHOTS)
    first = _fresh()
    done: list[Any] = []
    for at in range(0, len(numbered), step):
        second = _fresh()
        second.restore(first.dump())
        _same(want, done + _facts(second, numbered[at:]), f"from a snapshot at event {at}")
        done += _facts(first, numbered[at : at + step])
    places = len(range(0, len(numbered), step))
    return f"verified: the same {len(want)} facts again, with repeats, and from {places} snapshots"


def _fresh() -> Folds:
    return open_folds(_telling([]))


def _facts(fold: Folds, events: list[Offset]) -> list[Any]:
    return [encode_fact(fact) for offset, event in events for fact in fold.apply(event, offset)]


def _same(want: list[Any], got: list[Any], how: str) -> None:
    if want != got:
        at = next((n for n, (a, b) in enumerate(zip(want, got, strict=False)) if a != b), len(want))
        raise Fatal(f"replayed {how}, the facts differ from number {at} on; please report this")


def print_replay(replayed: Replayed, out: TextIO) -> None:
    """Incidents with their evidence, then how the nodes moved."""
    span = duration(replayed.end - replayed.start)
    out.write(f"{replayed.name}: {replayed.events} events in {span}\n")
    if replayed.tripped:
        first = harmless(replayed.tripped[0])
        out.write(f"{len(replayed.tripped)} events could not be read, such as {first}\n")
    if not replayed.incidents:
        out.write("no incidents\n")
    for body in sorted(replayed.episodes, key=lambda body: body["severity"] == NOTE):
        because = f", because {body['because']}" if body["because"] else ""
        note = "a note, no incident: " if body["severity"] == NOTE else ""
        out.write(
            f"\n{harmless(body['entity'])}: {note}{body['title']}\n"
            f"  {body['verdict']}{because} ({body['confidence']}), {body['status']}\n"
            f"  began {_after(replayed, body['opened_at'])}, "
            f"reported {_after(replayed, body['detected_at'])}"
            + (f", ended {_after(replayed, body['closed_at'])}" if body["closed_at"] else "")
            + f"{_lead(replayed, body)}\n"
        )
        for evidence in body["evidence"]:
            if evidence["role"] in ("proof", "required"):
                who = f" [{evidence['subject']}]" if evidence["subject"] else ""
                quote = harmless(f"{evidence['atom']}{who}: {evidence['quote']}")
                out.write(f"    {_after(replayed, evidence['first'])} {quote[:160]}\n")
        if body["affected"]:
            shown = ", ".join(body["affected"][:8])
            out.write(f"    affected {len(body['affected'])}: {harmless(shown)}\n")
    for drain in replayed.drains:
        lines = "; ".join(drain_lines(drain))
        out.write(f"\ndrain of node/{harmless(drain['node'])}: {harmless(lines)}\n")
    print_scalings(replayed.facts, replayed.start, out)
    out.write("\n")
    for fact in replayed.transitions:
        if fact.body["machine"] in ("node", "pleg", "kubelet", "namespace", "apiservice"):
            moved = f"{fact.body['from']} -> {fact.body['to']} {fact.body['reason']}"
            out.write(f"  {_after(replayed, fact.t)} {fact.entity} {harmless(moved)}\n")


def lead_s(replayed: Replayed, body: dict[str, Any]) -> float | None:
    """Seconds by which an incident of a node was reported before its NotReady or Unknown came."""
    lost = (
        fact.t
        for fact in replayed.transitions
        if fact.entity == body["entity"]
        and fact.body["machine"] == "node"
        and fact.body["from"] != "new"
        and fact.body["to"] in ("NotReady", "Unknown")
    )
    when = next(lost, None)
    return None if when is None else (when - body["detected_at"]) / 1000


def _lead(replayed: Replayed, body: dict[str, Any]) -> str:
    lead = lead_s(replayed, body)
    return "" if lead is None else f", {lead:.0f} s before the node status said so"


def _after(replayed: Replayed, ms: int) -> str:
    return f"{(ms - replayed.start) / 1000:+.0f} s ({moment(ms)[11:]})"


def write_json(replayed: Replayed, out: TextIO, more: Mapping[str, Any] | None = None) -> None:
    """`more`: what others make of the same facts."""
    out.write(json_text(replayed.document() | dict(more or {})) + "\n")

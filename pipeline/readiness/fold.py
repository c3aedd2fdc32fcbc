"""The fold of the diagnosis: state', facts = fold(state, event).

Deterministic: no clock, no randomness, no I/O. Time is the events'; repeats do not come here
(pipeline/base/seen.py). The parts, in the order in which an event passes them:

  sight      what the watcher sees                   sight.py
  world      what exists                             world.py
  detectors  what it means: evidence, transitions    detect/, and those of pipeline/elasticity
  book       evidence by entity                      evidence.py
  episodes   incidents and their causes              episodes.py, diagnosis.py, catalogue/

State is plain values; `dump` and `restore` write and read all of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import TypeAdapter

from pipeline.base.errors import UsageError
from pipeline.base.fold import versioned
from pipeline.contract.facts import NOTE, Fact
from pipeline.contract.state import (
    DELETED,
    EVENT,
    KINDS,
    OBJECT,
    PROBE,
    SAMPLE,
    SIGNAL,
    SYNCED,
    TICK,
    StateEvent,
)
from pipeline.readiness.catalogue import Catalogue
from pipeline.readiness.detector import Detector, Scene
from pipeline.readiness.episode import Episode, EpisodesState
from pipeline.readiness.episodes import Episodes
from pipeline.readiness.evidence import Book, BookState
from pipeline.readiness.sight import Sight, SightState
from pipeline.readiness.world import World, WorldState

SNAPSHOT_VERSION = 3

_KEYS = dict.fromkeys(KINDS, "") | {
    OBJECT: "resource", SYNCED: "resource", SAMPLE: "part", PROBE: "probe", EVENT: "reason"
}  # fmt: skip

_OF_NODES = (SAMPLE, PROBE, SIGNAL)  # records of what runs on a node

See = Callable[[StateEvent, Scene], None]


@dataclass(slots=True)
class _State:
    world: WorldState
    book: BookState
    episodes: EpisodesState
    notes: EpisodesState
    now: int
    started: int
    sight: SightState = field(default_factory=SightState)  # absent from older snapshots
    told: int = 0


_ADAPTERS: dict[type, TypeAdapter[Any]] = {}  # made once: that takes longer than to use one


def _adapter(kind: type) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


class Readiness:
    """One cluster. `detectors` are fresh instances, owned by this fold."""

    KINDS = frozenset(KINDS)

    def __init__(self, catalogue: Catalogue, detectors: Sequence[Detector]) -> None:
        self.catalogue = catalogue
        self._detectors = tuple(detectors)
        self._readers: dict[str, dict[str, list[See]]] = {kind: {} for kind in KINDS}
        episodes = EpisodesState(), EpisodesState()
        self._take(_State(WorldState(), BookState(), *episodes, 0, 0))

    def apply(self, event: StateEvent, offset: int, gone: Sequence[StateEvent] = ()) -> list[Fact]:
        """Facts that follow from this event, in a fixed order."""
        scene, kind = self.scene, event.kind
        scene.begin(event.t, offset, of_node=kind in _OF_NODES)
        self._show(event)
        if kind == SYNCED:
            self.sight.told(event.body, event.t, scene.now)
            for deletion in gone:
                self._show(deletion)
        if kind == TICK:
            self.book.expire(scene.now)
            self.world.tick(scene.now)
        elif not self.book.touched:
            return scene.facts  # the end of nearly every sample
        for entity in self.book.drain(tick=kind == TICK):
            self.episodes.judge(entity)
            self.notes.judge(entity)
        if kind == TICK:
            self.episodes.tick()
            self.notes.tick()
        return scene.facts

    def _show(self, event: StateEvent) -> None:
        """To the world, then to the detectors."""
        kind, body = event.kind, event.body
        if kind == OBJECT:
            if "cut" in body and body["type"] != DELETED:
                return  # metadata alone: what was known of it stays
            if body.get("replaced"):
                return  # what has its name now is another object
            self.world.see(body["resource"], body["type"] == DELETED, body["object"], event.t)
        elif kind in _OF_NODES and self.world.departed(body.get("node", ""), event.t):
            return
        key = body.get(_KEYS[kind], "")
        readers = self._readers[kind].get(key)
        if readers is None:
            readers = self._reading(kind, key)
        for see in readers:
            see(event, self.scene)

    def incidents(self) -> list[dict[str, Any]]:
        """Bodies of the open episodes that are faults, oldest first."""
        return [self.episodes.body(episode) for episode in self.open()]

    def open(self) -> list[Episode]:
        return sorted(self.episodes.state.open.values(), key=lambda e: (e.opened_at, e.id))

    def dump(self) -> bytes:
        """All state, in one deterministic text."""
        return orjson.dumps(
            {
                "version": SNAPSHOT_VERSION,
                "core": _adapter(_State).dump_python(self._state(), mode="json"),
                "detectors": {
                    d.NAME: _adapter(type(d.state)).dump_python(d.state, mode="json")
                    for d in self._detectors
                },
            }
        )

    def restore(self, data: bytes) -> None:
        """Continue from a snapshot. Raises UsageError if it is of another version."""
        document = versioned(orjson.loads(data), SNAPSHOT_VERSION)
        for detector in self._detectors:
            stored = document["detectors"].get(detector.NAME)
            if stored is None:
                raise UsageError(f"the snapshot has no state of `{detector.NAME}`; fold again")
            detector.state = _adapter(type(detector.state)).validate_python(stored)
        self._take(_adapter(_State).validate_python(document["core"]))

    def _state(self) -> _State:
        return _State(
            self.world.state,
            self.book.state,
            self.episodes.state,
            self.notes.state,
            self.scene.now,
            self.scene.started,
            self.sight.state,
            self.scene.told,
        )

    def _take(self, state: _State) -> None:
        self.world = World(state.world)
        self.book = Book(state.book)
        self.sight = Sight(state.sight)
        self.scene = Scene(self.book, self.world, self.catalogue, self.sight)
        self.scene.now, self.scene.started = state.now, state.started
        self.scene.told = state.told
        self.episodes = Episodes(self.scene, state.episodes)
        self.notes = Episodes(self.scene, state.notes, NOTE)

    def _reading(self, kind: str, key: str) -> list[See]:
        """Who reads it, in the order of the detectors; remembered."""
        either = {(kind, key), (kind, "")}
        found: list[See] = [d.see for d in self._detectors if not either.isdisjoint(d.READS)]
        self._readers[kind][key] = found
        return found

"""Which incidents are symptoms of another: pods of a broken node, nodes of a silent zone, a Service
whose pods are broken, a pod whose volume a broken node still has.

A cause lists the causes that it explains. An incident is explained when for everybody who shows it
an open episode of its node, zone or cluster (for a Service: of its pods' workload, too), or one
that has just ended, explains it.
"""

from collections.abc import Iterator

from pipeline.contract.facts import MERGED
from pipeline.readiness.detector import Scene
from pipeline.readiness.diagnosis import Candidate
from pipeline.readiness.episode import Episode, EpisodesState
from pipeline.readiness.world import entity_class, node_entity

NO_READY_NODE = "object/pod.no-ready-node"
HELD_ELSEWHERE = "object/volume.held-elsewhere"  # its subjects are the names of nodes
BEFORE_MS = 120_000  # a symptom may be noticed so long before the incident that explains it


class Symptoms:
    def __init__(self, scene: Scene, state: EpisodesState) -> None:
        self._scene = scene
        self._state = state

    def explained_by(self, entity: str, best: Candidate) -> Episode | None:
        """An episode, open or just ended, that explains this one for all who show it."""
        parents: list[Episode] = []
        for place in self.places(entity, best):
            parent = self._explaining(place, best)
            if parent is None:
                return None
            parents.append(parent)
        return parents[0] if parents else None

    def _explaining(self, places: list[str], best: Candidate) -> Episode | None:
        for place in places:
            episode = self._state.open.get(place) or self._state.ended.get(place)
            if episode is None or episode.status == MERGED:
                continue
            cause = self._scene.catalogue.causes[episode.cause]
            end = episode.closed_at or self._scene.now
            within = episode.opened_at - BEFORE_MS <= best.since <= end
            names = {best.cause.id, best.cause.explained_as}
            if within and names.intersection(cause.explains):
                return episode
        return None

    def places(self, entity: str, best: Candidate) -> Iterator[list[str]]:
        """For each who shows it: where an incident would explain it, nearest first."""
        world = self._scene.world
        kind = entity_class(entity)
        if kind == "node":
            yield self._above(entity.split("/", 1)[1])
        elif kind == "zone":
            yield ["cluster/-"]
        elif kind == "workload":
            holders = self._scene.book.atoms(entity).get(HELD_ELSEWHERE, ())
            elsewhere = [node_entity(node) for node in holders]
            for subject in self.pods(entity, best):
                home = world.node_of(subject)
                if not home:
                    yield self._nodes_in_trouble(entity)
                else:
                    yield [node_entity(home), *self._above(home), *elsewhere]
        elif kind == "service":
            for subject in self.pods(entity, best):
                home = world.node_of(subject)
                node = [node_entity(home), *self._above(home)] if home else []
                yield [world.workload_of(*subject.split("/", 1)), *node]

    def _nodes_in_trouble(self, entity: str) -> list[str]:
        """A pod without a node, because nodes that could take it are tainted: all of those."""
        if not self._scene.book.has(entity, NO_READY_NODE):
            return []
        return [e for e in self._state.open if entity_class(e) in ("node", "zone", "cluster")]

    def _above(self, node: str) -> list[str]:
        zone = self._scene.world.state.zones.get(node, "")
        return [f"zone/{zone}", "cluster/-"] if zone else ["cluster/-"]

    def pods(self, entity: str, best: Candidate) -> list[str]:
        """Pods (namespace/name) that show the cause."""
        if best.cause.per_pod:
            return sorted(who for who in best.who if "/" in who)
        atoms = self._scene.book.atoms(entity)
        return sorted({s for atom in best.shown for s in atoms.get(atom, ()) if "/" in s})

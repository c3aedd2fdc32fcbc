"""Incidents: an episode opens at the first strong evidence, changes as evidence comes, closes.

One open episode per entity and severity: notes (see catalogue.py) are kept apart from faults, and
neither hides the other. Rules:

  open     the best satisfied cause has been so for its `hold_s`; `opened_at` is when its evidence
           began, `detected_at` when that could be said
  explain  what an open episode of the node, its zone or the cluster explains (the cause's
           `explains`) opens none of its own: it is a symptom, listed as affected there; opened a
           moment too early, it is merged
  change   a cause gives way to a better one (confidence, then rank), or when something speaks
           against it. Recovery takes evidence away; that alone makes no cause wrong
  close    nothing is satisfied any more, for the cause's `close_s`

Each change is a new version, a fact. Changes of evidence and affected pods alone are gathered for
GATHER_MS, so that a thousand pods do not make a thousand versions.
"""

from hashlib import blake2b
from typing import Any

from pipeline.contract.facts import CLOSED, EPISODE, FAULT, MERGED, OPEN, Fact
from pipeline.readiness.catalogue import Cause
from pipeline.readiness.detector import Scene
from pipeline.readiness.diagnosis import Candidate, candidates
from pipeline.readiness.episode import Episode, EpisodesState, Shown
from pipeline.readiness.story import describe, recorded
from pipeline.readiness.symptoms import BEFORE_MS, Symptoms
from pipeline.readiness.world import entity_class

GATHER_MS = 5_000
AFTER_MS = 300_000  # a symptom may linger so long after the end of what explains it
MAX_EVIDENCE = 100
MAX_AFFECTED = 1_000


class Episodes:
    def __init__(
        self, scene: Scene, state: EpisodesState | None = None, severity: str = FAULT
    ) -> None:
        self._scene = scene
        self._severity = severity
        self.state = state or EpisodesState()
        self._symptoms = Symptoms(scene, self.state)

    def judge(self, entity: str) -> None:
        """Its atoms changed."""
        state, now = self.state, self._scene.now
        found = self._candidates(entity)
        best = self._ripe(entity, found)
        episode = state.open.get(entity)
        if episode is None:
            if best is not None:
                self._begin(entity, best, found)
            else:
                state.symptoms.pop(entity, None)
            return
        if best is None:
            if not any(self._speaks(candidate, episode) for candidate in found):
                episode.quiet_since = episode.quiet_since or now
        else:
            episode.quiet_since = 0
            self._reconsider(episode, best, found)
        self._gather(episode, found)

    def _candidates(self, entity: str) -> list[Candidate]:
        atoms = self._scene.book.atoms(entity)
        return candidates(atoms, self._scene.catalogue, entity_class(entity), self._severity)

    def tick(self) -> None:
        """Time passes: what waited is ripe, what was quiet closes, what was gathered is said."""
        state, now = self.state, self._scene.now
        for entity, when in list(state.waiting.items()):
            if when <= now:
                self.judge(entity)
        for entity, parent in list(state.symptoms.items()):
            if parent not in state.open:
                self.judge(entity)
        for episode in list(state.open.values()):
            cause = self._cause(episode)
            if self._everyone(episode):
                self._mark(episode)
            if episode.quiet_since and now - episode.quiet_since >= cause.close_s * 1000:
                self._end(episode, CLOSED, episode.quiet_since)
        for entity, episode in list(state.ended.items()):
            if now - episode.closed_at > AFTER_MS:
                del state.ended[entity]
        self.flush(now)

    def flush(self, now: int) -> None:
        """Say what was gathered long enough."""
        for entity in list(self.state.dirty):
            episode = self.state.open.get(entity)
            if episode is None:
                del self.state.dirty[entity]
            elif now - episode.dirty_since >= GATHER_MS:
                self._say(episode)

    def _ripe(self, entity: str, found: list[Candidate]) -> Candidate | None:
        """The best satisfied cause whose time to hold is over. While others wait: an entity of
        which nothing is said yet is looked at when the first of them is ripe, others at each
        tick."""
        now = self._scene.now
        ripe = min((c.ripe for c in found if c.satisfied and c.ripe > now), default=0)
        best = next((c for c in found if c.satisfied and c.ripe <= now), None)
        if not ripe:
            self.state.waiting.pop(entity, None)
        else:
            said = best is not None or entity in self.state.open
            self.state.waiting[entity] = now if said else ripe
        return best

    def _speaks(self, candidate: Candidate, episode: Episode) -> bool:
        """Does it keep the incident open? Another cause does when its time to hold is over."""
        ripe = self._scene.now >= candidate.ripe or candidate.cause.id == episode.cause
        return candidate.satisfied and ripe

    def _begin(self, entity: str, best: Candidate, found: list[Candidate]) -> None:
        parent = self._symptoms.explained_by(entity, best)
        if parent is not None:
            self.state.symptoms[entity] = parent.entity
            if parent.status == OPEN:
                self._affect(parent, self._subjects(entity, best))
            return
        self.state.symptoms.pop(entity, None)
        now, opened = self._scene.now, best.since or self._scene.now
        seed = f"{entity}:{self._scene.offset}:{opened}"
        if self._severity != FAULT:
            seed = f"{self._severity}:{seed}"
        digest = blake2b(seed.encode(), digest_size=6)
        episode = Episode(
            id=digest.hexdigest(),
            entity=entity,
            opened_at=opened,
            detected_at=now,
            cause=best.cause.id,
            confidence=best.confidence,
            rank=best.cause.rank,
        )
        self.state.open[entity] = episode
        self._keep_evidence(episode, found)
        self._absorb(episode)
        self._say(episode)

    def _reconsider(self, episode: Episode, best: Candidate, found: list[Candidate]) -> None:
        standing = next((c for c in found if c.cause.id == episode.cause), None)
        contradicted = standing is not None and bool(standing.against)
        if best.cause.id == episode.cause:
            stronger = _strength(best) > _strength_of(episode)
            if stronger:
                episode.confidence = best.confidence
        elif contradicted or _strength(best) > _strength_of(episode):
            stronger = True
            episode.cause, episode.confidence = best.cause.id, best.confidence
            episode.rank = best.cause.rank
        else:
            return
        if stronger:
            self._keep_evidence(episode, found)
            self._absorb(episode)
            self._say(episode)

    def _gather(self, episode: Episode, found: list[Candidate]) -> None:
        if self._keep_evidence(episode, found):
            self._mark(episode)

    def _mark(self, episode: Episode) -> None:
        """Something is to be said, soon."""
        if episode.entity not in self.state.dirty:
            episode.dirty_since = self._scene.now
            self.state.dirty[episode.entity] = None

    def _keep_evidence(self, episode: Episode, found: list[Candidate]) -> bool:
        """True if there is something new."""
        news = False
        for atom, subjects in self._scene.book.atoms(episode.entity).items():
            for subject, item in subjects.items():
                key = f"{atom} {subject}"
                known = episode.evidence.get(key)
                if known is None and len(episode.evidence) < MAX_EVIDENCE:
                    episode.evidence[key] = Shown(
                        atom, subject, item.first, item.last, item.count, item.quote, item.offset
                    )
                    news = True
                elif known is not None:
                    known.last, known.count = item.last, max(known.count, item.count)
                    known.quote = item.quote
        new = [who for who in self._shown_by(episode, found) if self._add_affected(episode, who)]
        if self._everyone(episode):
            news = True
        episode.candidates = [describe(candidate) for candidate in found[:6]]
        return news or bool(new)

    def _shown_by(self, episode: Episode, found: list[Candidate]) -> list[str]:
        """Pods (namespace/name) that show the episode's cause, or anything at all where causes
        are of the entity as a whole."""
        if self._cause(episode).per_pod:
            mine = next((c for c in found if c.cause.id == episode.cause), None)
            return [who for who in mine.who if "/" in who] if mine else []
        atoms = self._scene.book.atoms(episode.entity).values()
        return [subject for subjects in atoms for subject in subjects if "/" in subject]

    # Symptoms

    def _subjects(self, entity: str, best: Candidate) -> list[str]:
        if entity_class(entity) == "workload":
            return self._symptoms.pods(entity, best)
        return [entity]

    def _absorb(self, episode: Episode) -> None:
        """Merge the open episodes that this one explains."""
        explains = set(self._cause(episode).explains)
        if not explains:
            return
        for other in list(self.state.open.values()):
            names = {other.cause, self._cause(other).explained_as}
            if other is episode or not names.intersection(explains):
                continue
            if other.opened_at < episode.opened_at - BEFORE_MS:
                continue
            if all(episode.entity in places for places in self._places_of(other)):
                other.merged_into = episode.id
                self.state.symptoms[other.entity] = episode.entity
                self._affect(episode, [*other.affected, other.entity])
                self._end(other, MERGED, self._scene.now)

    def _places_of(self, episode: Episode) -> list[list[str]]:
        found = self._candidates(episode.entity)
        mine = next((c for c in found if c.cause.id == episode.cause), None)
        return (list(self._symptoms.places(episode.entity, mine)) if mine else []) or [[]]

    def _affect(self, episode: Episode, subjects: list[str]) -> None:
        new = [subject for subject in subjects if self._add_affected(episode, subject)]
        if new:
            self._mark(episode)

    def _everyone(self, episode: Episode) -> bool:
        """Without its runtime or its kubelet a node fails all of its pods. True if any is new."""
        if not self._cause(episode).everyone:
            return False
        pods = self._scene.world.pods_on(episode.entity.split("/", 1)[1])
        new = [self._add_affected(episode, f"{pod.namespace}/{pod.name}") for pod in pods]
        return any(new)

    @staticmethod
    def _add_affected(episode: Episode, subject: str) -> bool:
        if subject in episode.affected or len(episode.affected) >= MAX_AFFECTED:
            return False
        episode.affected[subject] = None
        return True

    # Facts

    def _end(self, episode: Episode, status: str, when: int) -> None:
        episode.status, episode.closed_at = status, when
        self.state.open.pop(episode.entity, None)
        self.state.ended[episode.entity] = episode
        self._say(episode)

    def _say(self, episode: Episode) -> None:
        self.state.dirty.pop(episode.entity, None)
        episode.version += 1
        self._scene.facts.append(
            Fact(
                EPISODE,
                self._scene.now,
                episode.entity,
                f"{episode.id}:{episode.version}",
                self.body(episode),
            )
        )

    def body(self, episode: Episode) -> dict[str, Any]:
        """An episode as it is recorded."""
        return recorded(episode, self._cause(episode))

    def _cause(self, episode: Episode) -> Cause:
        return self._scene.catalogue.causes[episode.cause]


def _strength(candidate: Candidate) -> tuple[int, int]:
    return _CONFIDENCE[candidate.confidence], candidate.cause.rank


def _strength_of(episode: Episode) -> tuple[int, int]:
    return _CONFIDENCE[episode.confidence], episode.rank


_CONFIDENCE = {"unknown": 0, "possible": 1, "probable": 2, "certain": 3}

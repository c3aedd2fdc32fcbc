"""Jobs that failed. A Job that nobody made is news for a day; of a CronJob its last run counts: it
is well again when a later one completes.

State: of each CronJob with a failed run, when that ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.base.times import unix_ms
from pipeline.contract.state import DELETED, EVENT, OBJECT, StateEvent
from pipeline.readiness.detect.conditions import quoted
from pipeline.readiness.detector import Scene
from pipeline.readiness.world import controller_entity, object_entity

FAILED = "object/job.failed"
DAY_MS = 86_400_000
# Reasons of the condition Failed (k/k pkg/controller/job).
_REASONS = {
    "BackoffLimitExceeded": "object/job.backoff-limit",
    "DeadlineExceeded": "object/job.deadline",
    "PodFailurePolicy": "object/job.pod-failure-policy",
    "FailedIndexes": "object/job.failed-indexes",
    "MaxFailedIndexesExceeded": "object/job.failed-indexes",
}


@dataclass(slots=True)
class JobsState:
    ended: dict[str, int] = field(default_factory=dict)  # workload -> its last run's end, Unix ms
    failed: dict[str, str] = field(default_factory=dict)  # workload -> the job that it holds
    watched: bool = False  # Job objects are seen


class Jobs:
    NAME = "jobs"
    ATOMS: Mapping[str, str] = {
        FAILED: "the job has failed for good",
        "object/job.backoff-limit": "its pods failed as often as it allows",
        "object/job.deadline": "it took longer than it may",
        "object/job.pod-failure-policy": "its failure policy ended it",
        "object/job.failed-indexes": "more of its indexes failed than it allows",
    }
    READS = (
        (OBJECT, "jobs"),
        (OBJECT, "cronjobs"),
        (EVENT, "BackoffLimitExceeded"),
        (EVENT, "DeadlineExceeded"),
    )

    def __init__(self) -> None:
        self.state = JobsState()

    def see(self, event: StateEvent, scene: Scene) -> None:
        if event.kind == EVENT:
            self._told(event, scene)
            return
        obj, gone = event.body["object"], event.body["type"] == DELETED
        meta = obj["metadata"]
        if event.body["resource"] == "cronjobs":
            if gone:
                entity = object_entity("cronjob", meta["namespace"], meta["name"])
                self._let_go(entity, scene)
                self.state.ended.pop(entity, None)
            return
        self.state.watched = True
        job = object_entity("job", meta["namespace"], meta["name"])
        entity = controller_entity(job, scene.world)
        if gone:
            if entity == job:
                self._let_go(job, scene)
                self.state.ended.pop(job, None)
            return
        self._job(entity, meta["name"], obj.get("status") or {}, entity == job, scene)

    def _job(
        self, entity: str, name: str, status: Mapping[str, Any], alone: bool, scene: Scene
    ) -> None:
        verdict = next(
            (
                condition
                for condition in status.get("conditions") or ()
                if condition["type"] in ("Complete", "Failed") and condition["status"] == "True"
            ),
            None,
        )
        if verdict is None:
            return
        when = unix_ms(verdict.get("lastTransitionTime") or "") or scene.now
        if when < self.state.ended.get(entity, 0) or self.state.failed.get(entity) == name:
            return
        self.state.ended[entity] = when
        self._let_go(entity, scene)
        if verdict["type"] == "Failed":
            self.state.failed[entity] = name
            quote = f"{name}: {quoted(verdict)}"
            atoms = [FAILED, _REASONS.get(verdict.get("reason", ""), "")]
            for atom in filter(None, atoms):
                if alone:
                    scene.point(entity, atom, quote, subject=name, t=when, ttl_ms=DAY_MS)
                else:
                    scene.hold(entity, atom, quote, subject=name, since=when)

    def _told(self, event: StateEvent, scene: Scene) -> None:
        """Where Jobs may not be watched, their Events say it."""
        about, reason = event.body["object"], event.body["reason"]
        when = event.body.get("last_ms") or event.t
        if self.state.watched or about.get("kind") != "Job" or when < scene.started:
            return
        entity = object_entity("job", about.get("namespace", ""), about.get("name", ""))
        quote = f"{reason}: {event.body.get('message', '')}"
        for atom in (FAILED, _REASONS[reason]):
            scene.point(entity, atom, quote, t=when, ttl_ms=DAY_MS)

    def _let_go(self, entity: str, scene: Scene) -> None:
        name = self.state.failed.pop(entity, "")
        for atom in self.ATOMS if name else ():
            scene.clear(entity, atom, subject=name)

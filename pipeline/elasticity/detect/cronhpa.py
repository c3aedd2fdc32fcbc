"""CronHPA: jobs that failed, that did nothing, or that did not run.

A job says how it went in status.conditions (state Succeed, Failed, Submitted) and in an Event of
that name. `Succeed` with "Skip scale replicas" is a success that scaled nothing. A run that did not
take place leaves no word: lastProbeTime stays behind the schedule.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.base.times import unix_ms
from pipeline.contract.state import DELETED, OBJECT, TICK, StateEvent
from pipeline.elasticity.schedule import longest_pause_ms
from pipeline.readiness.detector import Scene
from pipeline.readiness.world import object_entity

GRACE_MS = 120_000  # the controller tries for 10 s; its status is written later still
SKIPPED_TTL_MS = 600_000
_RESOURCE = "cronhorizontalpodautoscalers"
_FAILED = "object/cronhpa.failed"
_MISSED = "object/cronhpa.missed"
_SKIPPED_HPA = "object/cronhpa.skipped-hpa-higher"
_SKIPPED_DATE = "object/cronhpa.skipped-excluded"
_SKIPS = {
    "Skip scale replicas because HPA": _SKIPPED_HPA,
    "skip scaling activity,because of excludeDate": _SKIPPED_DATE,
}


@dataclass(slots=True)
class CronHpasState:
    jobs: dict[str, dict[str, int]] = field(default_factory=dict)  # entity -> job -> missed at
    next_due: int = 0  # the smallest of these, Unix ms; 0: none


class CronHpas:
    NAME = "cronhpas"
    ATOMS: Mapping[str, str] = {
        _FAILED: "the last run of the job failed",
        _MISSED: "a run that the schedule asks for did not take place",
        _SKIPPED_HPA: "the job scaled nothing: the HPA already has that many pods",
        _SKIPPED_DATE: "the job scaled nothing: the date is excluded",
    }
    READS = ((OBJECT, _RESOURCE), (TICK, ""))

    def __init__(self) -> None:
        self.state = CronHpasState()

    def see(self, event: StateEvent, scene: Scene) -> None:
        if event.kind == TICK:
            if 0 < self.state.next_due <= scene.now and scene.sees(_RESOURCE):
                self._due(scene)
            return
        obj = event.body["object"]
        meta = obj["metadata"]
        entity = object_entity("CronHorizontalPodAutoscaler", meta["namespace"], meta["name"])
        old = self.state.jobs.pop(entity, {})
        jobs: dict[str, int] = {}
        if event.body["type"] != DELETED:
            once = {j.get("name") for j in obj.get("spec", {}).get("jobs") or () if _once(j)}
            for job in (obj.get("status") or {}).get("conditions") or ():
                again = job.get("name") not in once and not _once(job)
                jobs[job.get("name", "")] = self._job(entity, job, again, scene)
            self.state.jobs[entity] = jobs
        for name in old.keys() - jobs.keys():
            for atom in (_FAILED, _MISSED):
                scene.clear(entity, atom, subject=name)
        self._plan()

    def _job(self, entity: str, job: Mapping[str, Any], again: bool, scene: Scene) -> int:
        """When its next run would be missed, Unix ms; 0 if that cannot be said. `again`: it is
        meant to run more than once."""
        name, message = job.get("name", ""), job.get("message", "")
        ran = unix_ms(job.get("lastProbeTime") or "")
        failed = job.get("state") == "Failed"
        if failed:
            scene.hold(entity, _FAILED, f"{name}: {message}", subject=name, since=ran or None)
        else:
            scene.clear(entity, _FAILED, subject=name)
        for words, atom in _SKIPS.items():
            if words in message and ran:
                quote, ttl = f"{name}: {message}", SKIPPED_TTL_MS
                scene.point(entity, atom, quote, subject=name, t=ran, ttl_ms=ttl)
        pause = longest_pause_ms(job.get("schedule") or "")
        due = ran + pause + GRACE_MS if ran and pause and again else 0
        late = 0 < due <= scene.now
        quote = f"{name}: {job.get('schedule', '')} last ran at {job.get('lastProbeTime')}"
        scene.set(entity, _MISSED, late, quote, subject=name)
        return 0 if late else due

    def _due(self, scene: Scene) -> None:
        for entity, jobs in self.state.jobs.items():
            for name, due in jobs.items():
                if 0 < due <= scene.now:
                    late = (scene.now - due + GRACE_MS) // 1000
                    quote = f"{name} has not run for {late} s longer than its schedule allows"
                    scene.hold(entity, _MISSED, quote, subject=name)
                    jobs[name] = 0
        self._plan()

    def _plan(self) -> None:
        dues = (due for jobs in self.state.jobs.values() for due in jobs.values() if due)
        self.state.next_due = min(dues, default=0)


def _once(job: Mapping[str, Any]) -> bool:
    """Old controllers leave it out of the condition when the job has run."""
    return bool(job.get("runOnce"))

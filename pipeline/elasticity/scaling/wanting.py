"""What workloads want, and what autoscalers say that they did.

A Deployment, StatefulSet, Job or ReplicaSet of its own wants spec.replicas (parallelism); a
DaemonSet as many as there are nodes for it. A ReplicaSet of a Deployment says how these are split
over templates.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.base.times import unix_ms
from pipeline.contract.state import Body
from pipeline.elasticity.scaling import decisions as by
from pipeline.elasticity.scaling.causes import Causes
from pipeline.elasticity.scaling.decisions import Claim, executed, rescaled, writer
from pipeline.elasticity.scaling.moment import observed
from pipeline.elasticity.scaling.slots import Controller, PodSet
from pipeline.readiness.world import learn_owner, object_entity, owner_entity

KINDS = {
    "deployments": "deployment",
    "statefulsets": "statefulset",
    "daemonsets": "daemonset",
    "replicasets": "replicaset",
    "jobs": "job",
}
SCALERS = {
    "horizontalpodautoscalers": by.HPA,
    "cronhorizontalpodautoscalers": by.CRONHPA,
}

Object = Mapping[str, Any]


@dataclass(slots=True)
class Scaler:
    """An HPA or CronHPA: what it scales, and the last runs that are known of it."""

    target: str
    runs: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class WantingState:
    owners: dict[str, str] = field(default_factory=dict)  # workload -> its owner
    scalers: dict[str, Scaler] = field(default_factory=dict)  # entity -> what it scales


class Wanting:
    def __init__(self, state: WantingState, causes: Causes) -> None:
        self.state = state
        self.causes = causes
        self.at = causes.at

    def deleted(self, resource: str, obj: Object) -> None:
        meta = obj["metadata"]
        if resource in SCALERS:
            self.state.scalers.pop(_entity(SCALERS[resource], meta), None)
            return
        if resource in ("replicasets", "jobs"):
            learn_owner(self.state.owners, resource, True, obj)
        entity = _entity(KINDS[resource], meta)
        known = self.causes.state.controllers.get(entity)
        pods = self.causes.state.sets.get(entity)
        if known is not None and known.uid == meta["uid"]:
            self.causes.gone(known)
        elif pods is not None:  # a ReplicaSet of a Deployment
            pods.want(0, self.at.version, self.at.t)
            self.causes.drop_if_empty(pods)

    def workload(self, resource: str, obj: Object, *, new: bool) -> None:
        meta, entity = obj["metadata"], _entity(KINDS[resource], obj["metadata"])
        if resource in ("replicasets", "jobs"):
            learn_owner(self.state.owners, resource, False, obj)
        number = _number(resource, obj)
        if resource == "replicasets" and owner_entity(meta):
            self._replicaset(entity, number)
            return
        known = self.causes.state.controllers.get(entity)
        if known is not None and known.uid not in ("", meta["uid"]):
            self.causes.gone(known)  # it was made anew with the same name
        known = self._controller(entity, self.state.owners.get(entity, entity))
        generation = meta.get("generation", 0)
        if not known.uid:
            known.uid, known.generation, known.fresh = meta["uid"], generation, new
            if known.ended:  # another one, of the same name
                known.ended, known.current = False, ""
            known.workload = self.state.owners.get(entity, entity)
            if not new:
                known.baseline = number
                known.wish(number, self.at.version)
                return
            known.desired = 0
        if number != known.desired:
            self._scaled(known, resource, obj, number)
        elif generation != known.generation:
            self.causes.changed(known)
        known.generation = generation
        if resource != "daemonsets":
            known.fresh = False

    def _replicaset(self, entity: str, number: int) -> None:
        """Of a Deployment, or of something like one."""
        pods = self.causes.state.sets.get(entity)
        if pods is None and number:
            pods = self.new_set(entity, self.state.owners[entity], self.state.owners[entity])
            self.causes.drop_if_empty(pods)
        if pods is not None:
            pods.want(number, self.at.version, self.at.t)
            self.causes.resolve_set(pods)

    def _scaled(self, known: Controller, resource: str, obj: Object, number: int) -> None:
        causes, meta = self.causes, obj["metadata"]
        what = "status.desiredNumberScheduled" if resource == "daemonsets" else "spec.replicas"
        stamp, due = 0, None
        if known.fresh:
            stamp = unix_ms(meta.get("creationTimestamp", ""))
            what = "metadata.creationTimestamp"
            author = (by.JOB if resource == "jobs" else by.CREATE, "")
            if known.workload != known.entity:
                author = (author[0], known.workload)
        elif resource == "daemonsets":
            author = (by.NODES, "")
        else:
            scalers = self.state.scalers.items()
            author = writer(
                obj.get("writers") or (), [e for e, s in scalers if s.target == known.entity]
            )
        if resource == "jobs":
            due = max(0, (obj["spec"].get("completions") or number) if known.fresh else 0) or None
        known.fresh = False
        decided = observed(stamp, self.at.t, self.at.offset, what)
        causes.wanted(known, number, decided=decided, author=author, due=due)

    def scaler(self, kind: str, obj: Object) -> None:
        meta, spec = obj["metadata"], obj.get("spec") or {}
        entity, target = _entity(kind, meta), spec.get("scaleTargetRef") or {}
        scaled = object_entity(target.get("kind", ""), meta["namespace"], target.get("name", ""))
        scaler = self.state.scalers.setdefault(entity, Scaler(scaled))
        scaler.target = scaled
        status = obj.get("status") or {}
        if kind == by.CRONHPA:
            for size, job, probed in executed(obj, scaler.runs):
                scaler.runs[job] = probed
                self._claim(scaled, size, kind, entity, f"job {job}", unix_ms(probed), "status")
            return
        last = status.get("lastScaleTime") or ""
        if last and scaler.runs.get("") != last:
            scaler.runs[""] = last
            size = status.get("desiredReplicas", 0)
            self._claim(scaled, size, kind, entity, "", unix_ms(last), "status.lastScaleTime")

    def rescaled(self, body: Body) -> None:
        """An HPA's Event SuccessfulRescale."""
        about = body["object"]
        entity = object_entity("hpa", about.get("namespace", ""), about.get("name", ""))
        scaler, said = self.state.scalers.get(entity), rescaled(body.get("message", ""))
        if scaler is not None and said is not None:
            size, why = said
            stamp = body.get("last_ms") or 0
            self._claim(scaler.target, size, by.HPA, entity, why, stamp, "Event SuccessfulRescale")

    def _claim(
        self, target: str, size: int, kind: str, who: str, why: str, stamp: int, what: str
    ) -> None:
        moment = observed(stamp, self.at.t, self.at.offset, f"{kind}'s {what}")
        self.causes.claim(Claim(target, size, kind, who, why, moment))

    def new_set(self, key: str, controller: str, workload: str) -> PodSet:
        pods = self.causes.state.sets[key] = PodSet(key, controller)
        self._controller(controller, workload).sets[key] = None
        return pods

    def _controller(self, entity: str, workload: str) -> Controller:
        controllers = self.causes.state.controllers
        if entity not in controllers:
            controllers[entity] = Controller(entity, workload)
        return controllers[entity]


def _number(resource: str, obj: Object) -> int:
    """How many pods it wants at once. A Job that is suspended wants none."""
    spec = obj.get("spec") or {}
    if resource == "daemonsets":
        return int((obj.get("status") or {}).get("desiredNumberScheduled") or 0)
    if resource == "jobs":
        parallel = spec.get("parallelism")
        return 0 if spec.get("suspend") else 1 if parallel is None else int(parallel)
    replicas = spec.get("replicas")
    return 1 if replicas is None else int(replicas)


def _entity(kind: str, meta: Object) -> str:
    return object_entity(kind, meta.get("namespace", ""), meta["name"])

"""A cluster that makes pods as Kubernetes' controllers do, told as a watcher tells it: one stream
per resource, each in its own order, none in step with the others. It knows why it made each pod.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipeline.base.fold import Folds
from pipeline.base.seen import Seen
from pipeline.contract.facts import Fact
from pipeline.contract.state import (
    ADDED,
    DELETED,
    EVENT,
    MODIFIED,
    OBJECT,
    OK,
    SYNCED,
    TICK,
    StateEvent,
)
from pipeline.elasticity.scaling.fold import Scaling

T0 = 1_795_412_000_000
NS = "shop"


@dataclass(slots=True)
class Pod:
    name: str
    uid: str
    template: str
    created: int
    steps: dict[str, int] = field(default_factory=dict)
    ended: bool = False
    failed: str = ""


@dataclass(slots=True)
class Deployment:
    name: str
    uid: str
    replicas: int
    template: str
    generation: int = 1
    writer: str = "kubectl"
    sets: dict[str, int] = field(default_factory=dict)  # template -> replicas
    pods: list[Pod] = field(default_factory=list)

    @property
    def live(self) -> list[Pod]:
        return [pod for pod in self.pods if not pod.ended]


def folds(fold: Scaling | None = None) -> Folds:
    """With what ends repeats before it."""
    return Folds({"scaling": fold or Scaling()}, seen=Seen())


class Toy:
    """Each verb changes the cluster at once; `deliver` brings it to the fold."""

    def __init__(self, fold: Scaling | None = None) -> None:
        self.fold = fold or Scaling()
        self.folds = folds(self.fold)
        self.now = T0
        self.version = 1000
        self.offset = -1
        self.queues: dict[str, deque[StateEvent]] = {}
        self.deployments: dict[str, Deployment] = {}
        self.causes: dict[str, str] = {}  # uid -> why it was made
        self.events: list[StateEvent] = []
        self.facts: list[Fact] = []
        self.synced("pods")

    # What people and controllers do

    def create(self, name: str, replicas: int) -> Deployment:
        made = Deployment(name, self._uid(name), replicas, f"t{self.version}")
        made.sets[made.template] = replicas
        self.deployments[name] = made
        self._deployment(made, ADDED)
        self._replicaset(made, made.template, ADDED)
        for _ in range(replicas):
            self._pod(made, made.template, f"create 0->{replicas}")
        return made

    def scale(self, name: str, replicas: int, *, writer: str = "kubectl") -> None:
        told = self.deployments[name]
        old, told.replicas = told.replicas, replicas
        told.generation += 1
        told.writer = writer
        told.sets[told.template] = replicas
        self._deployment(told, MODIFIED)
        self._replicaset(told, told.template, MODIFIED)
        for pod in told.live[replicas:]:
            self._terminate(pod, told)
        for _ in range(replicas - old):
            self._pod(told, told.template, f"scale {old}->{replicas}")

    def roll_out(self, name: str) -> None:
        """One pod more, one less, until all are new."""
        told = self.deployments[name]
        old, told.template = told.template, f"t{self.version}"
        told.generation += 1
        self._deployment(told, MODIFIED)
        told.sets[told.template] = 0
        self._replicaset(told, told.template, ADDED)
        leaving = told.live
        for number in range(told.replicas):
            told.sets[told.template] += 1
            self._replicaset(told, told.template, MODIFIED)
            self._pod(told, told.template, "rollout")
            told.sets[old] = told.replicas - number - 1
            self._replicaset(told, old, MODIFIED)
            self._terminate(leaving[number], told)

    def lose(self, name: str, how: str) -> None:
        """The oldest pod is deleted, or fails, and is made anew."""
        told = self.deployments[name]
        pod = told.live[0]
        if how == "failed":
            pod.failed, pod.ended = "Evicted", True
            self._pod_version(pod, told, MODIFIED)
        else:
            self._terminate(pod, told)
        self._pod(told, pod.template, f"replaces {pod.name}")

    def delete(self, name: str) -> None:
        told = self.deployments.pop(name)
        self._deployment(told, DELETED)
        for template in told.sets:
            self._replicaset(told, template, DELETED)
        for pod in told.live:
            self._terminate(pod, told)

    def bare(self, name: str) -> Pod:
        pod = Pod(name, self._uid(name), "", self.now)
        self.causes[pod.uid] = "bare"
        self._pod_version(pod, None, ADDED)
        return pod

    def step(self, pod: Pod, owner: Deployment, *steps: str) -> None:
        """The pod passes these conditions now."""
        for step in steps:
            pod.steps.setdefault(step, self.now)
        self._pod_version(pod, owner, MODIFIED)

    # What is told

    def deliver(self, stream: str, count: int = 1 << 30) -> list[Fact]:
        """The first `count` events of a stream to the fold, now."""
        queue = self.queues.get(stream, deque())
        return [f for _ in range(min(count, len(queue))) for f in self.feed(queue.popleft())]

    def deliver_all(self, *order: str) -> list[Fact]:
        streams = [*order, *(s for s in self.queues if s not in order)]
        return [fact for stream in streams for fact in self.deliver(stream)]

    def tick(self, seconds: float) -> list[Fact]:
        self.now += round(seconds * 1000)
        return self.feed(StateEvent(TICK, self.now, "test", f"tick:{self.now}", {}))

    def settle(self) -> None:
        """All is told, and time enough passes."""
        self.deliver_all()
        for _ in range(5):
            self.tick(5)

    def feed(self, event: StateEvent) -> list[Fact]:
        event = StateEvent(event.kind, self.now, event.by, event.id, event.body)
        self.offset += 1
        self.events.append(event)
        facts = self.folds.apply(event, self.offset)
        self.facts += facts
        return facts

    def synced(self, resource: str) -> None:
        body = {"resource": resource, "version": "1", "count": 0, "outcome": OK, "uids": []}
        self._put("synced", StateEvent(SYNCED, 0, "watch", f"synced:{resource}", body))
        self.deliver("synced")

    def event(
        self, reason: str, kind: str, name: str, uid: str, message: str = "", **more: Any
    ) -> None:
        self.version += 1
        body = {"uid": f"e{self.version}", "version": str(self.version), "reason": reason,
                "object": {"kind": kind, "namespace": NS, "name": name, "uid": uid},
                "message": message, "first_ms": self.now, "last_ms": self.now, **more}  # fmt: skip
        self._put("events", StateEvent(EVENT, 0, "watch", f"e{self.version}", body))

    def object(self, resource: str, kind: str, meta: dict[str, Any], **rest: Any) -> None:
        self.version += 1
        meta = {"namespace": NS, "resourceVersion": str(self.version), **meta}
        name = f"{meta['uid']}:{'deleted' if kind == DELETED else self.version}"
        body = {"resource": resource, "type": kind, "object": {"metadata": meta, **rest}}
        self._put(resource, StateEvent(OBJECT, 0, "watch", name, body))

    def _put(self, stream: str, event: StateEvent) -> None:
        self.queues.setdefault(stream, deque()).append(event)

    def _uid(self, name: str) -> str:
        self.version += 1
        return f"{name}-{self.version}"

    def _deployment(self, told: Deployment, kind: str) -> None:
        meta = {"name": told.name, "uid": told.uid, "generation": told.generation,
                "creationTimestamp": stamp(self.now)}  # fmt: skip
        writers = {told.writer: ["spec.replicas"]} if told.writer else {}
        spec = {"replicas": told.replicas}
        self.object(
            "deployments", kind, meta, spec=spec, **({"writers": writers} if writers else {})
        )

    def _replicaset(self, told: Deployment, template: str, kind: str) -> None:
        meta = {"name": f"{told.name}-{template}", "uid": f"{told.uid}-{template}",
                "ownerReferences": [owner("Deployment", told.name)]}  # fmt: skip
        self.object("replicasets", kind, meta, spec={"replicas": told.sets[template]})

    def _pod(self, told: Deployment, template: str, why: str) -> None:
        uid = self._uid(f"{told.name}-{template}")
        pod = Pod(uid, uid, template, self.now)
        told.pods.append(pod)
        self.causes[uid] = why
        self._pod_version(pod, told, ADDED)

    def _terminate(self, pod: Pod, told: Deployment) -> None:
        pod.ended = True
        self._pod_version(pod, told, MODIFIED, deletionTimestamp=stamp(self.now))
        self._pod_version(pod, told, DELETED)

    def _pod_version(self, pod: Pod, told: Deployment | None, kind: str, **meta: Any) -> None:
        owners = [owner("ReplicaSet", f"{told.name}-{pod.template}")] if told else []
        conditions = [
            {"type": step, "status": "True", "lastTransitionTime": stamp(at)}
            for step, at in pod.steps.items()
        ]
        started = pod.steps.get("started")
        state = {"running": {"startedAt": stamp(started)}} if started else {"waiting": {}}
        status = {"conditions": conditions, "containerStatuses": [{"name": "app", "state": state}]}
        if pod.failed:
            status |= {"phase": "Failed", "reason": pod.failed}
        self.object(
            "pods", kind,
            {"name": pod.name, "uid": pod.uid, "labels": {"pod-template-hash": pod.template},
             "creationTimestamp": stamp(pod.created), "ownerReferences": owners, **meta},
            spec={"containers": [{"name": "app"}],
                  **({"nodeName": "node-a"} if "PodScheduled" in pod.steps else {})},
            status=status,
        )  # fmt: skip


def owner(kind: str, name: str) -> dict[str, Any]:
    return {"kind": kind, "name": name, "uid": f"{kind}-{name}", "controller": True}


def stamp(ms: int) -> str:
    """As metav1.Time: whole seconds."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

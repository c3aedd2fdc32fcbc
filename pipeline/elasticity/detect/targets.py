"""What autoscalers scale: whether the pods came, who else writes the number, and whether what the
autoscaler names exists.

HPA `status.currentReplicas` follows the target's spec, not its pods: a scale-up that a quota stops
looks successful (measured). So the target's own status is looked at. Who wrote spec.replicas is
known from managedFields, which the watcher keeps as `writers`.

State: of each Deployment and StatefulSet a few numbers, of each HPA and CronHPA its target.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.contract.state import DELETED, OBJECT, TICK, StateEvent
from pipeline.elasticity.detect.hpa import HOUR_MS, is_active
from pipeline.readiness.detector import Scene
from pipeline.readiness.world import object_entity

HPA_WRITER = "kube-controller-manager"
OFTEN = 2  # one write by hand is no fight

_UNREADY = "object/hpa.pods-not-ready"
_UNMADE = "object/hpa.pods-not-made"
_CONTAINER = "object/hpa.container-unknown"
_WRITER = "object/hpa.other-writer"
_CRON_WRITER = "object/hpa.cronhpa-writes"
_SHARED = "object/cronhpa.shares-target"
_KINDS = {"deployments": "Deployment", "statefulsets": "StatefulSet"}


@dataclass(slots=True)
class Workload:
    containers: tuple[str, ...]
    replicas: int  # wanted
    made: int
    ready: int
    foreign: list[tuple[int, str, str]] = field(default_factory=list)  # Unix ms, writer, quote


@dataclass(slots=True)
class Aim:
    """What an HPA is after."""

    target: str  # entity
    desired: int
    active: bool
    containers: tuple[str, ...]  # that its metrics name


@dataclass(slots=True)
class TargetsState:
    workloads: dict[str, Workload] = field(default_factory=dict)  # by entity
    hpas: dict[str, Aim] = field(default_factory=dict)  # by entity
    aimed_at: dict[str, dict[str, None]] = field(default_factory=dict)  # target -> HPAs
    crons: dict[str, str] = field(default_factory=dict)  # CronHPA -> its target
    fought: dict[str, None] = field(default_factory=dict)  # workloads with foreign writes


class Targets:
    NAME = "targets"
    ATOMS: Mapping[str, str] = {
        _UNREADY: "fewer pods of the target are Ready than the HPA wants",
        _UNMADE: "fewer pods of the target exist than the HPA wants",
        _CONTAINER: "a metric names a container that the target's pods do not have",
        _WRITER: f"somebody else than the HPA wrote spec.replicas {OFTEN} times in an hour",
        _CRON_WRITER: "a CronHPA writes spec.replicas",
        _SHARED: "the CronHPA and an HPA scale the same target",
    }
    READS = (
        *((OBJECT, resource) for resource in _KINDS),
        (OBJECT, "horizontalpodautoscalers"),
        (OBJECT, "cronhorizontalpodautoscalers"),
        (TICK, ""),
    )

    def __init__(self) -> None:
        self.state = TargetsState()

    def see(self, event: StateEvent, scene: Scene) -> None:
        if event.kind == TICK:
            for workload in list(self.state.fought):
                self._fight(workload, scene)
            return
        obj, gone = event.body["object"], event.body["type"] == DELETED
        resource = event.body["resource"]
        if resource in _KINDS:
            self._workload(_KINDS[resource], obj, gone, scene)
        elif resource == "horizontalpodautoscalers":
            self._hpa(obj, gone, scene)
        else:
            self._cron(obj, gone, scene)

    # Objects

    def _workload(self, kind: str, obj: Mapping[str, Any], gone: bool, scene: Scene) -> None:
        meta = obj["metadata"]
        entity = object_entity(kind, meta["namespace"], meta["name"])
        if gone:
            self.state.workloads.pop(entity, None)
            self.state.fought.pop(entity, None)
            return
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        old = self.state.workloads.get(entity)
        wanted = spec.get("replicas")
        new = Workload(
            tuple(_containers(spec)),
            1 if wanted is None else int(wanted),
            int(status.get("replicas") or 0),
            int(status.get("readyReplicas") or 0),
            old.foreign if old else [],
        )
        self.state.workloads[entity] = new
        aimed = list(self._aimed(entity))
        if old and aimed and old.replicas and new.replicas and old.replicas != new.replicas:
            self._written(entity, old.replicas, new, obj.get("writers") or {}, scene)
        for hpa, aim in aimed:
            self._compare(hpa, aim, scene)

    def _hpa(self, obj: Mapping[str, Any], gone: bool, scene: Scene) -> None:
        meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
        entity = object_entity("HorizontalPodAutoscaler", meta["namespace"], meta["name"])
        old = self.state.hpas.pop(entity, None)
        target = "" if gone else _target(meta, spec)
        if not gone:
            desired, active = int(status.get("desiredReplicas") or 0), is_active(status)
            aim = self.state.hpas[entity] = Aim(target, desired, active, tuple(_named(spec)))
            self._compare(entity, aim, scene)
        if target != (old.target if old else ""):
            self._aim(entity, old.target if old else "", target, scene)

    def _cron(self, obj: Mapping[str, Any], gone: bool, scene: Scene) -> None:
        meta = obj["metadata"]
        entity = object_entity("CronHorizontalPodAutoscaler", meta["namespace"], meta["name"])
        if gone:
            self.state.crons.pop(entity, None)
            scene.clear(entity, _SHARED)
        else:
            self.state.crons[entity] = _target(meta, obj.get("spec") or {})
            self._share(entity, scene)

    # What follows

    def _aim(self, hpa: str, old: str, new: str, scene: Scene) -> None:
        """Its target is another now."""
        if old:
            hpas = self.state.aimed_at[old]
            del hpas[hpa]
            if not hpas:
                del self.state.aimed_at[old]
        if new:
            self.state.aimed_at.setdefault(new, {})[hpa] = None
        for cron in self.state.crons:
            self._share(cron, scene)

    def _aimed(self, target: str) -> Iterator[tuple[str, Aim]]:
        return ((hpa, self.state.hpas[hpa]) for hpa in self.state.aimed_at.get(target, ()))

    def _compare(self, hpa: str, aim: Aim, scene: Scene) -> None:
        workload = self.state.workloads.get(aim.target)
        if workload is None:
            return
        late = aim.active and workload.ready < aim.desired
        numbers = f"wants {aim.desired}, has {workload.made}, of them Ready {workload.ready}"
        scene.set(hpa, _UNREADY, late, numbers)
        scene.set(hpa, _UNMADE, late and workload.made < aim.desired, numbers)
        unknown = [name for name in aim.containers if name not in workload.containers]
        quote = (
            f"container {', '.join(unknown)} is not one of {', '.join(workload.containers)}"
            f" of {aim.target}"
        )
        scene.set(hpa, _CONTAINER, bool(unknown), quote)

    def _written(
        self, entity: str, old: int, new: Workload, writers: Mapping[str, Any], scene: Scene
    ) -> None:
        """The number changed; by whom, as far as that is known."""
        others = [name for name in writers if name != HPA_WRITER]
        if HPA_WRITER in writers or not others:
            return
        if not any(aim.active for _, aim in self._aimed(entity)):
            return
        quote = f"spec.replicas {old} -> {new.replicas} of {entity} by {', '.join(others)}"
        new.foreign.append((scene.now, others[0], quote))
        self.state.fought[entity] = None
        self._fight(entity, scene)

    def _fight(self, entity: str, scene: Scene) -> None:
        workload = self.state.workloads[entity]
        workload.foreign = [w for w in workload.foreign if scene.now - w[0] < HOUR_MS]
        if not workload.foreign:
            self.state.fought.pop(entity)
        often = len(workload.foreign) >= OFTEN
        for hpa, _ in self._aimed(entity):
            if not often:
                scene.clear(hpa, _WRITER)
                scene.clear(hpa, _CRON_WRITER)
                continue
            when, writer, quote = workload.foreign[-1]
            if not scene.book.has(hpa, _WRITER) or when == scene.now:
                scene.hold(hpa, _WRITER, quote, since=workload.foreign[0][0])
                scene.set(hpa, _CRON_WRITER, "cronhpa" in writer.lower(), quote)

    def _share(self, cron: str, scene: Scene) -> None:
        target = self.state.crons[cron]
        shared = list(self.state.aimed_at.get(target, ()))
        quote = f"scales {target} itself, as {', '.join(shared)} does"
        scene.set(cron, _SHARED, bool(shared), quote)


def _target(meta: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    reference = spec.get("scaleTargetRef") or {}
    return object_entity(reference.get("kind", ""), meta["namespace"], reference.get("name", ""))


def _containers(spec: Mapping[str, Any]) -> Iterator[str]:
    pod = (spec.get("template") or {}).get("spec") or {}
    for container in (*(pod.get("initContainers") or ()), *(pod.get("containers") or ())):
        yield container["name"]


def _named(spec: Mapping[str, Any]) -> Iterator[str]:
    """Containers that the HPA's metrics name."""
    for metric in spec.get("metrics") or ():
        name = (metric.get("containerResource") or {}).get("container")
        if name:
            yield name

"""Services without an endpoint that is ready. By itself no fault: a workload may just start, or be
scaled to zero on purpose. It becomes one when somebody says that he got no answer; the cause that
asks for both is in the catalogue.

State: of each service the slices that it is made of, how many of their endpoints are ready, and
the workload behind the last ones; workloads that are scaled to zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.contract.state import DELETED, OBJECT, StateEvent
from pipeline.readiness.detector import Scene
from pipeline.readiness.world import object_entity

_READY = "object/service.endpoint-ready"
_NONE_READY = "object/service.none-ready"
_EMPTY = "object/service.empty"
_ZERO = "object/service.scaled-to-zero"
_SERVICE = "kubernetes.io/service-name"
_KINDS = {"deployments": "deployment", "statefulsets": "statefulset"}


@dataclass(slots=True)
class Service:
    slices: dict[str, tuple[int, list[str]]] = field(default_factory=dict)  # -> ready, unready pods
    workload: str = ""  # behind its last endpoint


@dataclass(slots=True)
class EndpointsState:
    services: dict[str, Service] = field(default_factory=dict)  # by entity
    zero: dict[str, None] = field(default_factory=dict)  # workloads that want no pods


class Endpoints:
    NAME = "endpoints"
    ATOMS: Mapping[str, str] = {
        _READY: "at least one endpoint of the service is ready",
        _NONE_READY: "the service has endpoints, and none of them is ready",
        _EMPTY: "no pod fits the service's selector",
        _ZERO: "the workload behind the service is scaled to zero",
    }
    READS = ((OBJECT, "endpointslices"), *((OBJECT, resource) for resource in _KINDS))

    def __init__(self) -> None:
        self.state = EndpointsState()

    def see(self, event: StateEvent, scene: Scene) -> None:
        obj, gone = event.body["object"], event.body["type"] == DELETED
        if event.body["resource"] == "endpointslices":
            self._slice(obj, gone, scene)
        else:
            self._workload(_KINDS[event.body["resource"]], obj, gone, scene)

    def _slice(self, obj: Mapping[str, Any], gone: bool, scene: Scene) -> None:
        meta = obj["metadata"]
        name = (meta.get("labels") or {}).get(_SERVICE) or self._owner(meta)
        if not name:
            return
        entity = object_entity("service", meta["namespace"], name)
        service = self.state.services.setdefault(entity, Service())
        if gone:
            service.slices.pop(meta["name"], None)
        else:
            service.slices[meta["name"]] = self._endpoints(obj, service, scene)
        if not service.slices:
            del self.state.services[entity]
            for atom in (_READY, _EMPTY, _ZERO):
                scene.clear(entity, atom)
            _none_ready(entity, [], scene)
            return
        self._say(entity, service, scene)

    def _owner(self, meta: Mapping[str, Any]) -> str:
        """An inferred deletion has no labels: the service that has a slice of this name."""
        for entity, service in self.state.services.items():
            if meta["name"] in service.slices and entity.split("/")[1] == meta["namespace"]:
                return entity.rsplit("/", 1)[1]
        return ""

    @staticmethod
    def _endpoints(obj: Mapping[str, Any], service: Service, scene: Scene) -> tuple[int, list[str]]:
        ready, unready = 0, []
        for endpoint in obj.get("endpoints") or ():
            target = endpoint.get("targetRef") or {}
            pod = f"{target.get('namespace', '')}/{target.get('name', '')}"
            if (endpoint.get("conditions") or {}).get("ready") in (True, None):
                ready += 1
            elif target.get("kind") == "Pod":
                unready.append(pod)
            if target.get("kind") == "Pod":
                service.workload = scene.world.workload_of(*pod.split("/", 1))
        return ready, unready

    def _say(self, entity: str, service: Service, scene: Scene) -> None:
        ready = sum(count for count, _ in service.slices.values())
        unready = [pod for _, pods in service.slices.values() for pod in pods]
        scene.set(entity, _READY, ready > 0, f"{ready} endpoints are ready")
        scene.set(entity, _EMPTY, not ready and not unready, "its EndpointSlices are empty")
        _none_ready(entity, [] if ready else unready, scene)
        self._zero(entity, service, scene)

    def _zero(self, entity: str, service: Service, scene: Scene) -> None:
        """Without endpoints from before, the workload of the same name is taken for it."""
        namespace, name = entity.split("/")[1:]
        same = (f"{kind}/{namespace}/{name}" for kind in _KINDS.values())
        behind = service.workload or next((w for w in same if w in self.state.zero), "")
        zero = behind in self.state.zero and scene.book.has(entity, _EMPTY)
        scene.set(entity, _ZERO, zero, f"{behind} is scaled to zero")

    def _workload(self, kind: str, obj: Mapping[str, Any], gone: bool, scene: Scene) -> None:
        meta = obj["metadata"]
        entity = object_entity(kind, meta["namespace"], meta["name"])
        zero = not gone and (obj.get("spec") or {}).get("replicas") == 0
        if zero == (entity in self.state.zero):
            return
        if zero:
            self.state.zero[entity] = None
        else:
            del self.state.zero[entity]
        for name, service in self.state.services.items():
            if name.split("/")[1] == meta["namespace"]:
                self._zero(name, service, scene)


def _none_ready(entity: str, pods: list[str], scene: Scene) -> None:
    """Held for these pods and no others any more."""
    there = set(pods)
    for pod in list(scene.book.atoms(entity).get(_NONE_READY, ())):
        if pod not in there:
            scene.clear(entity, _NONE_READY, subject=pod)
    for pod in pods:
        scene.hold(entity, _NONE_READY, "its endpoint is not ready", subject=pod)

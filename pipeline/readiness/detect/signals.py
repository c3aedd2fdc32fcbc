"""Log lines that the catalogue knows: evidence on the node that wrote them and on the pod that they
name. Which lines is data: catalogue/signals.yaml; they were found by the log processor.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.contract.state import SIGNAL, StateEvent
from pipeline.readiness.detector import Scene
from pipeline.readiness.signals import SignalCatalogue
from pipeline.readiness.world import entity_class, node_entity, object_entity


@dataclass(slots=True)
class SignalsState:
    pass


class Signals:
    NAME = "signals"
    READS = ((SIGNAL, ""),)

    def __init__(self, catalogue: SignalCatalogue) -> None:
        self.state = SignalsState()
        self._patterns = catalogue.by_id
        self.ATOMS: Mapping[str, str] = {
            f"signal/{name}": pattern.says for name, pattern in self._patterns.items()
        }

    def see(self, event: StateEvent, scene: Scene) -> None:
        body = event.body
        pattern = self._patterns.get(body["pattern"])
        if pattern is None:
            return  # found by a newer log processor; this catalogue does not speak of it
        pod = f"{body['namespace']}/{body['pod']}" if body.get("pod") else ""
        places: list[str] = []
        fields = body.get("fields") or {}
        if fields.get("service") and fields.get("service_namespace"):
            places.append(object_entity("service", fields["service_namespace"], fields["service"]))
        elif pattern.entity == "cluster":
            places.append("cluster/-")
        elif pattern.entity != "logger" or not pod:
            places.append(node_entity(body["node"]))
        if pod and pattern.entity in ("pod", "logger"):
            places.append(scene.world.workload_of(body["namespace"], body["pod"]))
        for place in places:
            scene.point(
                place,
                f"signal/{pattern.id}",
                body.get("line", ""),
                # who speaks of a Service is not one of its pods
                subject="" if entity_class(place) == "service" else pod,
                t=event.t,
                ttl_ms=int(pattern.ttl_s * 1000),
            )

"""Conditions in the status of API objects, held as evidence while they last.

What counts is data: catalogue/conditions.yaml. State: none; the book knows what is held.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.contract.state import DELETED, OBJECT, StateEvent
from pipeline.readiness.detector import Scene
from pipeline.readiness.world import controller_entity, node_entity, object_entity

_KINDS = {
    "nodes": "Node",
    "pods": "Pod",
    "namespaces": "Namespace",
    "deployments": "Deployment",
    "replicasets": "ReplicaSet",
    "statefulsets": "StatefulSet",
    "daemonsets": "DaemonSet",
    "jobs": "Job",
    "apiservices": "APIService",
    "persistentvolumeclaims": "PersistentVolumeClaim",
    "horizontalpodautoscalers": "HorizontalPodAutoscaler",
    "verticalpodautoscalers": "VerticalPodAutoscaler",
    "nodepools": "NodePool",
}


@dataclass(slots=True)
class ConditionsState:
    pass


class Conditions:
    NAME = "conditions"
    ATOMS: Mapping[str, str] = {}  # condition/… are declared by the catalogue itself
    READS = tuple((OBJECT, resource) for resource in _KINDS)

    def __init__(self) -> None:
        self.state = ConditionsState()

    def see(self, event: StateEvent, scene: Scene) -> None:
        body = event.body
        kind, obj = _KINDS[body["resource"]], body["object"]
        matchers = scene.catalogue.conditions.get(kind)
        if not matchers:
            return
        entity, subject = subject_of(kind, obj["metadata"], scene)
        found = conditions_of(obj.get("status"))
        gone = body["type"] == DELETED
        for matcher in matchers:
            condition = found.get(matcher.rule.type)
            true = not gone and condition is not None and _fits(matcher, condition)
            quote = quoted(condition) if true and condition else ""
            scene.set(entity, f"condition/{matcher.rule.id}", true, quote, subject=subject)


def conditions_of(status: Any) -> dict[str, Mapping[str, Any]]:
    """By type. What is none is left out: in custom resources anything may stand."""
    found = status.get("conditions") if isinstance(status, dict) else ()
    return {
        condition["type"]: condition
        for condition in (found if isinstance(found, list) else ())
        if isinstance(condition, dict) and isinstance(condition.get("type"), str)
    }


def subject_of(kind: str, meta: Mapping[str, Any], scene: Scene) -> tuple[str, str]:
    """Entity that the object's evidence belongs to, and the subject within it."""
    name, namespace = meta.get("name", ""), meta.get("namespace", "")
    if kind == "Pod":
        return scene.world.workload_of(namespace, name), f"{namespace}/{name}"
    if kind == "Node":
        return node_entity(name), ""
    own = object_entity(kind, namespace, name)
    entity = controller_entity(own, scene.world)
    return entity, "" if entity == own else name


def quoted(condition: Mapping[str, Any]) -> str:
    """A condition in one line, as its writer worded it."""
    words = f"{condition['type']}={condition.get('status')}"
    reason, message = condition.get("reason"), condition.get("message")
    return " ".join(str(part) for part in (words, reason, message) if part)


def _fits(matcher: Any, condition: Mapping[str, Any]) -> bool:
    if condition.get("status") != matcher.rule.status:
        return False
    reason, message = condition.get("reason") or "", condition.get("message") or ""
    return bool(matcher.matches(str(reason), str(message)))

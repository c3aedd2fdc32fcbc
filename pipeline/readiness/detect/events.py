"""Kubernetes Events that the catalogue knows become points of evidence on their object.

Which ones is data: catalogue/events.yaml. An Event's own time counts, not when it was read: a
watch begins with an hour of history, and what happened before the first record is no evidence,
since nobody knows whether it was mended. Kubelets write the node's name as its uid (domain facts,
item 10), so objects are found by kind and name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.contract.state import EVENT, StateEvent
from pipeline.readiness.detect.conditions import subject_of
from pipeline.readiness.detector import Scene
from pipeline.readiness.world import node_entity


@dataclass(slots=True)
class EventsState:
    pass


class Events:
    NAME = "events"
    ATOMS: Mapping[str, str] = {}  # event/… are declared by the catalogue itself
    READS = ((EVENT, ""),)

    def __init__(self) -> None:
        self.state = EventsState()

    def see(self, event: StateEvent, scene: Scene) -> None:
        body = event.body
        if (body.get("last_ms") or event.t) < scene.started:
            return
        for matcher in scene.catalogue.events.get(body["reason"], ()):
            rule, about = matcher.rule, body["object"]
            if rule.kind and rule.kind != about.get("kind"):
                continue
            if rule.component and rule.component != body.get("component"):
                continue
            if not matcher.matches("", body.get("message") or ""):
                continue
            places = _about(about, scene)
            if rule.node and body.get("host"):
                places.append((node_entity(body["host"]), places[0][1]))
            when = body.get("last_ms") or event.t
            for place, subject in places:
                for atom in rule.clears:
                    _end(scene, place, atom, subject, when)
                if rule.evidence:
                    scene.point(
                        place,
                        f"event/{rule.id}",
                        f"{body['reason']}: {body.get('message', '')}",
                        subject=subject,
                        t=when,
                        ttl_ms=int(rule.ttl_s * 1000),
                    )


def _end(scene: Scene, place: str, atom: str, subject: str, when: int) -> None:
    """What was seen before is over. Events may be written late, so their own times decide."""
    item = scene.book.atoms(place).get(atom, {}).get(subject)
    if item is not None and item.last <= when:
        scene.clear(place, atom, subject=subject)


def _about(about: Mapping[str, Any], scene: Scene) -> list[tuple[str, str]]:
    """(entity, subject) of whom an Event concerns."""
    kind, namespace, name = about.get("kind", ""), about.get("namespace", ""), about.get("name", "")
    if kind == "PersistentVolumeClaim":
        return scene.world.users_of(namespace, name)
    return [subject_of(kind, about, scene)]

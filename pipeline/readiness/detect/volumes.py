"""Volumes: claims that are not bound, volumes that a node cannot attach because another has them.

Evidence of a claim belongs to the pods that use it; without any, to the claim itself. A volume that
one node alone may have stays with that node until it is detached, which the attach-detach
controller does only when the node says so (or 6 minutes after it fell silent): the pod waits
elsewhere, and the fault is where the volume still is. So that node is named.

State: claims that are pending and where that is held; attachments by volume.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.contract.state import DELETED, EVENT, OBJECT, TICK, StateEvent
from pipeline.readiness.detector import Scene
from pipeline.readiness.symptoms import HELD_ELSEWHERE

PENDING = "object/claim.pending"
ATTACH_ERROR = "object/volume.attach-error"
_VOLUME = re.compile(r'for volume "([^"]+)"')
_TTL_MS = 900_000

Places = list[tuple[str, str]]  # (entity, subject)


@dataclass(slots=True)
class Attachment:
    """A VolumeAttachment."""

    volume: str
    node: str
    attached: bool
    error: str


@dataclass(slots=True)
class VolumesState:
    classes: dict[str, str] = field(default_factory=dict)  # pending claim -> storage class
    pending: dict[str, Places] = field(default_factory=dict)  # claim -> where that is held
    claims: dict[str, str] = field(default_factory=dict)  # volume -> the claim bound to it
    attachments: dict[str, Attachment] = field(default_factory=dict)  # by name
    failing: dict[str, Places] = field(default_factory=dict)  # attachment -> where that is held


class Volumes:
    NAME = "volumes"
    ATOMS: Mapping[str, str] = {
        PENDING: "the volume claim is not bound",
        ATTACH_ERROR: "the volume driver could not attach a volume of the pod",
        HELD_ELSEWHERE: "another node still has the volume that the pod waits for",
    }
    READS = (
        (OBJECT, "persistentvolumeclaims"),
        (OBJECT, "volumeattachments"),
        (EVENT, "FailedAttachVolume"),
        (TICK, ""),
    )

    def __init__(self) -> None:
        self.state = VolumesState()

    def see(self, event: StateEvent, scene: Scene) -> None:
        if event.kind == TICK:
            self._tick(scene)
        elif event.kind == EVENT:
            self._attach_failed(event.body, scene)
        elif event.body["resource"] == "volumeattachments":
            self._attachment(event.body, scene)
        else:
            self._claim(event.body["object"], event.body["type"] == DELETED, scene)

    # Claims

    def _claim(self, obj: Mapping[str, Any], gone: bool, scene: Scene) -> None:
        meta, spec = obj["metadata"], obj.get("spec") or {}
        key = f"{meta['namespace']}/{meta['name']}"
        volume = spec.get("volumeName")
        if volume and gone:
            self.state.claims.pop(volume, None)
        elif volume:
            self.state.claims[volume] = key
        if not gone and (obj.get("status") or {}).get("phase") == "Pending":
            self.state.classes[key] = spec.get("storageClassName") or "none"
        else:
            self.state.classes.pop(key, None)
        self._place(key, scene)

    def _place(self, key: str, scene: Scene) -> None:
        """Its users may come later than the claim: looked at again while it is pending."""
        storage_class = self.state.classes.get(key)
        places = scene.world.users_of(*key.split("/", 1)) if storage_class else []
        quote = f"claim {key} is Pending, storage class {storage_class}"
        _held(self.state.pending, key, places, PENDING, quote, scene)

    def _tick(self, scene: Scene) -> None:
        for key in list(self.state.classes):
            self._place(key, scene)

    # Attachments

    def _attachment(self, body: Mapping[str, Any], scene: Scene) -> None:
        obj = body["object"]
        name = obj["metadata"]["name"]
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        if body["type"] == DELETED:
            self.state.attachments.pop(name, None)
            _held(self.state.failing, name, [], ATTACH_ERROR, "", scene)
            return
        volume = (spec.get("source") or {}).get("persistentVolumeName") or ""
        error = (status.get("attachError") or {}).get("message") or ""
        found = Attachment(volume, spec.get("nodeName", ""), bool(status.get("attached")), error)
        self.state.attachments[name] = found
        places = self._users_on(found, scene) if error else []
        quote = f"volume {volume} on node {found.node}: {error}"
        _held(self.state.failing, name, places, ATTACH_ERROR, quote, scene)

    def _users_on(self, attachment: Attachment, scene: Scene) -> Places:
        """Pods of that node that use the volume."""
        claim = self.state.claims.get(attachment.volume)
        users = scene.world.users_of(*claim.split("/", 1)) if claim else []
        return [(entity, key) for entity, key in users if _node_of(key, scene) == attachment.node]

    def _attach_failed(self, body: Mapping[str, Any], scene: Scene) -> None:
        """A pod waits for a volume: which other node has it?"""
        about, found = body["object"], _VOLUME.search(body.get("message") or "")
        if found is None or about.get("kind") != "Pod":
            return
        key = f"{about.get('namespace', '')}/{about.get('name', '')}"
        entity, here = scene.world.workload_of(*key.split("/", 1)), _node_of(key, scene)
        if not here:
            return  # where it waits is not known, so neither is what is elsewhere
        for attachment in self.state.attachments.values():
            node = attachment.node
            if attachment.volume == found.group(1) and attachment.attached and node != here:
                quote = f"volume {attachment.volume} is attached to node {node}"
                scene.point(entity, HELD_ELSEWHERE, quote, subject=node, ttl_ms=_TTL_MS)


def _node_of(key: str, scene: Scene) -> str:
    pod = scene.world.pod(*key.split("/", 1)) if key else None
    return pod.node if pod else ""


def _held(
    memory: dict[str, Places], key: str, places: Places, atom: str, quote: str, scene: Scene
) -> None:
    """Held at these places and no others any more."""
    for entity, subject in memory.pop(key, []):
        if (entity, subject) not in places:
            scene.clear(entity, atom, subject=subject)
    for entity, subject in places:
        scene.hold(entity, atom, quote, subject=subject)
    if places:
        memory[key] = list(places)

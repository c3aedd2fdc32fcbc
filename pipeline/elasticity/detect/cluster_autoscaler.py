"""cluster-autoscaler: what its status ConfigMap and its Events say of node groups and of itself.

`cluster-autoscaler/-` is the autoscaler, `nodegroup/NAME` a group. It writes its status with each
loop (10 s), also when nothing changed: a status that stands still is an autoscaler that does,
unless it is the watcher that sees nothing (`synced` says so).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.contract.state import DELETED, EVENT, OBJECT, OK, SYNCED, TICK, StateEvent
from pipeline.elasticity import provision
from pipeline.elasticity.ca_status import Group, parse, updated_ms
from pipeline.readiness.detector import Scene
from pipeline.readiness.world import node_entity

AUTOSCALER = "cluster-autoscaler/-"
CONFIG_MAP = "cluster-autoscaler-status"
STALE_MS = 180_000
FAILED_TTL_MS = 1_200_000  # a group is left alone for 5 to 30 minutes
_STALE = "object/ca.status-stale"
_UNHEALTHY = "object/ca.unhealthy"
_BACKOFF = "object/ca.backoff"
_UNREGISTERED = "object/ca.long-unregistered"
_FAILED = "object/scaleup.failed"
_WHY = "object/scaleup.failed-"
_DRAIN = "object/ca.scaledown-failed"
_PDB = "object/ca.scaledown-pdb"
_FAILURES = {  # reason -> where the message names the group (core/static_autoscaler, orchestrator)
    "FailedToScaleUpGroup": re.compile(r"Scale-up failed for group (\S+?):? "),
    "ScaleUpFailed": re.compile(r"to group (\S+) due to"),
    "ScaleUpTimedOut": re.compile(r"added to group (\S+) failed to register"),
}
_CONCERNED = ("DeleteUnregistered", "DeleteUnregisteredFailed")


@dataclass(slots=True)
class ClusterAutoscalerState:
    updated: int = 0  # its status was last written, Unix ms; 0: not known, or not seen any more
    groups: dict[str, None] = field(default_factory=dict)  # entities that hold something
    whys: dict[str, str] = field(default_factory=dict)  # entity -> atom of its backoff


class ClusterAutoscaler:
    NAME = "cluster-autoscaler"
    ATOMS: Mapping[str, str] = {
        _STALE: "cluster-autoscaler has not written its status for 3 minutes",
        _UNHEALTHY: "too many nodes are not ready: cluster-autoscaler does nothing",
        _BACKOFF: "the node group is left alone because a scale-up of it failed",
        _UNREGISTERED: "machines of the group have not become nodes for 15 minutes",
        _FAILED: "a scale-up failed",
        **{f"{_WHY}{name}": says for name, says in provision.REASONS.items()},
        _DRAIN: "cluster-autoscaler could not drain a node that it wants to remove",
        _PDB: "a PodDisruptionBudget does not let a pod of the node go",
    }
    READS = (
        (OBJECT, "configmaps"),
        (SYNCED, "configmaps"),
        *((EVENT, reason) for reason in (*_FAILURES, *_CONCERNED)),
        (EVENT, "ClusterUnhealthy"),
        (EVENT, "ScaleDownFailed"),
        (TICK, ""),
    )

    def __init__(self) -> None:
        self.state = ClusterAutoscalerState()

    def see(self, event: StateEvent, scene: Scene) -> None:
        if event.kind == TICK:
            if self.state.updated and scene.now - self.state.updated >= STALE_MS:
                self._stale(scene)
        elif event.kind == EVENT:
            self._event(event, scene)
        elif event.kind == SYNCED:
            if event.body.get("outcome") != OK:
                self.state.updated = 0
                scene.clear(AUTOSCALER, _STALE)
        elif event.body["object"]["metadata"]["name"] == CONFIG_MAP:
            self._status(event.body["object"], event.body["type"] == DELETED, scene)

    def _stale(self, scene: Scene) -> None:
        if not scene.book.has(AUTOSCALER, _STALE):
            quiet = (scene.now - self.state.updated) // 1000
            quote = f"ConfigMap {CONFIG_MAP} was last written {quiet} s ago"
            scene.hold(AUTOSCALER, _STALE, quote, since=self.state.updated)

    # Its status

    def _status(self, obj: Mapping[str, Any], gone: bool, scene: Scene) -> None:
        text = (obj.get("data") or {}).get("status") or ""
        groups = [] if gone else parse(text)
        if gone or groups:
            written = updated_ms(obj["metadata"].get("annotations") or {})
            self.state.updated = 0 if gone else min(written or scene.now, scene.now)
            if scene.now - self.state.updated < STALE_MS or gone:
                scene.clear(AUTOSCALER, _STALE)
        if len(groups) > 1:  # what the cluster counts together is said of the groups
            groups[0] = replace(groups[0], scale_up="", long_unregistered=None)
        seen = dict(self._hold(group, scene) for group in groups)
        for entity in list(self.state.groups):
            if entity not in seen:
                self._forget(entity, scene)
        for entity, wrong in seen.items():
            if wrong:
                self.state.groups[entity] = None
            else:
                self.state.groups.pop(entity, None)

    def _hold(self, group: Group, scene: Scene) -> tuple[str, bool]:
        """The group's entity, and whether anything is wrong with it."""
        entity = f"nodegroup/{group.name}" if group.name else AUTOSCALER
        counts = f"ready {group.ready} of {group.registered}"
        unhealthy, backoff = group.healthy is False, group.scale_up == "Backoff"
        missing = (group.long_unregistered or 0) > 0
        scene.set(entity, _UNHEALTHY, unhealthy, f"Unhealthy, {counts}")
        words = " ".join(filter(None, ("Backoff", group.error_code, group.error_message)))
        scene.set(entity, _BACKOFF, backoff, words)
        scene.set(entity, _UNREGISTERED, missing, f"longUnregistered {group.long_unregistered}")
        why = provision.reason_of(group.error_code, group.error_message) if backoff else ""
        atom = f"{_WHY}{why}" if why else ""
        old = self.state.whys.pop(entity, "")
        if old and old != atom:
            scene.clear(entity, old)
        if atom:
            self.state.whys[entity] = atom
            scene.hold(entity, atom, words)
        return entity, unhealthy or backoff or missing

    def _forget(self, entity: str, scene: Scene) -> None:
        del self.state.groups[entity]
        for atom in (_UNHEALTHY, _BACKOFF, _UNREGISTERED, self.state.whys.pop(entity, "")):
            scene.clear(entity, atom)

    # Its Events

    def _event(self, event: StateEvent, scene: Scene) -> None:
        body, about = event.body, event.body["object"]
        when, reason = body.get("last_ms") or event.t, body["reason"]
        if when < scene.started:
            return
        quote = f"{reason}: {body.get('message', '')}"
        if reason == "ScaleDownFailed":
            if about.get("kind") == "Node":
                node = node_entity(about.get("name", ""))
                for atom in self._drain(quote):
                    scene.point(AUTOSCALER, atom, quote, subject=node, t=when, ttl_ms=FAILED_TTL_MS)
        elif reason == "ClusterUnhealthy":
            scene.point(AUTOSCALER, _UNHEALTHY, quote, t=when)
        elif reason in _CONCERNED:
            scene.point(AUTOSCALER, _UNREGISTERED, quote, t=when, ttl_ms=FAILED_TTL_MS)
        else:
            found = _FAILURES[reason].search(body.get("message") or "")
            entity = f"nodegroup/{found.group(1)}" if found else AUTOSCALER
            why = provision.reason_of(body.get("message") or "")
            for atom in filter(None, (_FAILED, f"{_WHY}{why}" if why else "")):
                scene.point(entity, atom, quote, t=when, ttl_ms=FAILED_TTL_MS)

    @staticmethod
    def _drain(quote: str) -> Iterator[str]:
        yield _DRAIN
        if "disruption budget" in quote:
            yield _PDB

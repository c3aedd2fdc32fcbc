"""Objects that are neither nodes nor pods, where their status alone does not say it all: namespaces
that do not go, the aggregated APIs that hold them, certificates.

Conditions of these objects are held by conditions.py; this adds what takes two objects or a clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipeline.base.times import unix_ms
from pipeline.contract.state import DELETED, OBJECT, TICK, StateEvent
from pipeline.readiness.detect.conditions import conditions_of, quoted
from pipeline.readiness.detector import Scene
from pipeline.readiness.world import object_entity

SOON_MS = 7 * 86_400_000  # a certificate that ends within a week
SILENT_MS = 60_000  # the namespace controller of old clusters (until about 1.15) says nothing
_TERMINATING = "object/namespace.terminating"
_HELD_BY = "object/namespace.apiservice-down"
_EXPIRED, _EXPIRING = "object/certificate.expired", "object/certificate.expiring"


@dataclass(slots=True)
class ObjectsState:
    down: dict[str, str] = field(default_factory=dict)  # APIService -> its condition
    discovery: dict[str, str] = field(default_factory=dict)  # namespace -> what failed
    silent: dict[str, int] = field(default_factory=dict)  # terminating without conditions, since
    certificates: dict[str, dict[str, int]] = field(default_factory=dict)  # entity -> key -> end


class Objects:
    NAME = "objects"
    ATOMS: Mapping[str, str] = {
        _TERMINATING: "the namespace is being deleted",
        _HELD_BY: "an aggregated API that the namespace's deletion has to list is not available",
        _EXPIRED: "a certificate has expired",
        _EXPIRING: "a certificate expires within 7 days",
    }
    READS = (
        (OBJECT, "namespaces"),
        (OBJECT, "apiservices"),
        (OBJECT, "secrets"),
        (TICK, ""),
    )

    def __init__(self) -> None:
        self.state = ObjectsState()

    def see(self, event: StateEvent, scene: Scene) -> None:
        if event.kind == TICK:
            self._tick(scene)
            return
        obj, gone = event.body["object"], event.body["type"] == DELETED
        resource = event.body["resource"]
        if resource == "namespaces":
            self._namespace(obj, gone, scene)
        elif resource == "apiservices":
            self._apiservice(obj, gone, scene)
        else:
            self._secret(obj, gone)

    # Namespaces and aggregated APIs

    def _namespace(self, obj: Mapping[str, Any], gone: bool, scene: Scene) -> None:
        name = obj["metadata"]["name"]
        entity = object_entity("namespace", "", name)
        when = obj["metadata"].get("deletionTimestamp")
        if gone or not when:
            self.state.discovery.pop(name, None)
            self.state.silent.pop(name, None)
            scene.book.forget(entity)
            if gone:
                scene.transition("namespace", entity, "Terminating", "gone")
            return
        if not scene.book.has(entity, _TERMINATING):
            scene.transition("namespace", entity, "Active", "Terminating")
        since = unix_ms(when) or scene.now
        scene.hold(entity, _TERMINATING, f"deleted at {when}", since=since)
        conditions = conditions_of(obj.get("status"))
        if conditions:
            self.state.silent.pop(name, None)
        else:
            self.state.silent.setdefault(name, since)
        failed = conditions.get("NamespaceDeletionDiscoveryFailure") or {}
        if failed.get("status") == "True":
            self.state.discovery[name] = str(failed.get("message") or "")
        else:
            self.state.discovery.pop(name, None)
        self._held_by(name, scene)

    def _apiservice(self, obj: Mapping[str, Any], gone: bool, scene: Scene) -> None:
        name = obj["metadata"]["name"]
        entity = object_entity("apiservice", "", name)
        available = conditions_of(obj.get("status")).get("Available")
        down = not gone and available is not None and available.get("status") != "True"
        if down != (name in self.state.down) and available is not None:
            words = ("Available", "Unavailable") if down else ("Unavailable", "Available")
            reason, message = available.get("reason", ""), available.get("message", "")
            scene.transition("apiservice", entity, *words, reason=reason, message=message)
        if down and available is not None:
            self.state.down[name] = quoted(available)
        else:
            self.state.down.pop(name, None)
        for namespace in (*self.state.discovery, *self.state.silent):
            self._held_by(namespace, scene)

    def _held_by(self, namespace: str, scene: Scene) -> None:
        """The APIServices that the failed discovery names: `v1beta1.metrics.k8s.io` is written
        `metrics.k8s.io/v1beta1` there. Old clusters stop at any of them, and say nothing."""
        message = self.state.discovery.get(namespace, "")
        since = self.state.silent.get(namespace)
        if since is not None and not scene.sees("namespaces"):
            return  # its silence says nothing
        any_of_them = since is not None and scene.now - since >= SILENT_MS
        entity = object_entity("namespace", "", namespace)
        guilty = {}
        for name, quote in self.state.down.items():
            version, _, group = name.partition(".")
            if any_of_them or f"{group}/{version}" in message:
                guilty[name] = quote
        for subject in list(scene.book.atoms(entity).get(_HELD_BY, ())):
            if subject not in guilty:
                scene.clear(entity, _HELD_BY, subject=subject)
        for name, quote in guilty.items():
            scene.hold(entity, _HELD_BY, f"APIService {name}: {quote}", subject=name)

    # Certificates

    def _secret(self, obj: Mapping[str, Any], gone: bool) -> None:
        meta = obj["metadata"]
        entity = object_entity("mesh", meta.get("namespace", ""), meta["name"])
        ends = {
            certificate.get("key", ""): unix_ms(certificate.get("not_after", ""))
            for certificate in obj.get("certificates") or ()
        }
        before = dict.fromkeys(self.state.certificates.get(entity, {}), 0)
        self.state.certificates[entity] = before | ({} if gone else ends)

    def _tick(self, scene: Scene) -> None:
        for namespace in self.state.silent:
            self._held_by(namespace, scene)
        for entity, ends in list(self.state.certificates.items()):
            for key, end in ends.items():
                when = datetime.fromtimestamp(end / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                expired = 0 < end <= scene.now
                soon = end > 0 and 0 < end - scene.now < SOON_MS
                scene.set(entity, _EXPIRED, expired, f"{key} ended at {when}", subject=key)
                scene.set(entity, _EXPIRING, soon, f"{key} ends at {when}", subject=key)
            if not any(ends.values()):
                del self.state.certificates[entity]

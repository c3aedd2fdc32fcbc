"""Pods that no node fits and that an autoscaler does not help, with its reasons (refusals.py).

Said once may have to do for ever (Karpenter), so what was said holds until the pod has a node, or
the autoscaler says otherwise. An Event from before the first record counts, too: the pod that it
is about still waits.

State: the pods without a node, what they ask for, and what was said of each; the NodePools.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.contract.state import DELETED, EVENT, OBJECT, StateEvent
from pipeline.elasticity.refusals import (
    REASONS,
    Wish,
    karpenter,
    not_triggered,
    provision_failed,
    truly,
    wish_of,
)
from pipeline.readiness.detector import Scene

REFUSED = "object/autoscaler.refused"
_PREFIX = "object/autoscaler.refused-"
_HELPS = ("TriggeredScaleUp", "Nominated", "ProvisionNode")


@dataclass(slots=True)
class Waiting:
    entity: str
    wish: Wish
    reasons: tuple[str, ...] = ()
    quote: str = ""
    said: int = 0  # Unix ms


@dataclass(slots=True)
class RefusedState:
    waiting: dict[str, Waiting] = field(default_factory=dict)  # namespace/name of pods
    pools: dict[str, dict[str, Any]] = field(default_factory=dict)  # NodePool -> spec


class Refused:
    NAME = "refused"
    ATOMS: Mapping[str, str] = {
        REFUSED: "an autoscaler says that it makes no node for the pod",
        **{f"{_PREFIX}{name}": says for name, says in REASONS.items()},
    }
    READS = (
        (OBJECT, "pods"),
        (OBJECT, "nodepools"),
        (EVENT, "NotTriggerScaleUp"),
        (EVENT, "ProvisionNodeFailed"),
        (EVENT, "FailedScheduling"),
        *((EVENT, reason) for reason in _HELPS),
    )

    def __init__(self) -> None:
        self.state = RefusedState()

    def see(self, event: StateEvent, scene: Scene) -> None:
        if event.kind == EVENT:
            self._said(event, scene)
        elif event.body["resource"] == "pods":
            self._pod(event.body["object"], event.body["type"] == DELETED, scene)
        elif event.body["type"] == DELETED:
            self.state.pools.pop(event.body["object"]["metadata"]["name"], None)
        else:
            obj = event.body["object"]
            self.state.pools[obj["metadata"]["name"]] = dict(obj.get("spec") or {})

    def _pod(self, pod: Mapping[str, Any], gone: bool, scene: Scene) -> None:
        meta, spec = pod["metadata"], pod.get("spec") or {}
        key = f"{meta['namespace']}/{meta['name']}"
        waiting = self.state.waiting.get(key)
        if gone or spec.get("nodeName") or meta.get("deletionTimestamp"):
            if waiting is not None and (not gone or scene.world.pod(*key.split("/", 1)) is None):
                self._silence(key, waiting, scene)
                del self.state.waiting[key]
            return
        entity = scene.world.workload_of(meta["namespace"], meta["name"])
        if waiting is None:
            self.state.waiting[key] = Waiting(entity, wish_of(pod))
        elif waiting.entity != entity:  # an owner that is seen later than its pods
            self._silence(key, waiting, scene)
            waiting.entity = entity
            self._hold(key, waiting, scene)

    def _said(self, event: StateEvent, scene: Scene) -> None:
        body, about = event.body, event.body["object"]
        key = f"{about.get('namespace', '')}/{about.get('name', '')}"
        waiting, when = self.state.waiting.get(key), body.get("last_ms") or event.t
        if waiting is None or about.get("kind") != "Pod" or when < waiting.said:
            return
        reason, message = body["reason"], body.get("message") or ""
        if reason in _HELPS:
            waiting.said = when
            self._silence(key, waiting, scene)
            waiting.reasons = ()
            return
        if reason == "NotTriggerScaleUp":
            reasons = not_triggered(message)
        elif reason == "ProvisionNodeFailed":
            reasons = provision_failed(message)
        else:
            reasons = karpenter(message)
            if "limits" in reasons:  # it may be that the limits are not what stands between
                reasons = truly(waiting.wish, self.state.pools.values()) or reasons
        if reasons:
            self._silence(key, waiting, scene)
            waiting.reasons, waiting.said = tuple(reasons), when
            waiting.quote = f"{reason}: {message}"
            self._hold(key, waiting, scene)

    def _hold(self, key: str, waiting: Waiting, scene: Scene) -> None:
        for name in ("", *waiting.reasons) if waiting.reasons else ():
            atom = f"{_PREFIX}{name}" if name else REFUSED
            scene.hold(waiting.entity, atom, waiting.quote, subject=key, since=waiting.said)

    def _silence(self, key: str, waiting: Waiting, scene: Scene) -> None:
        for name in ("", *waiting.reasons) if waiting.reasons else ():
            atom = f"{_PREFIX}{name}" if name else REFUSED
            scene.clear(waiting.entity, atom, subject=key)

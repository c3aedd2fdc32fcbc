"""Karpenter: machines that the cloud does not give, or that never become nodes.

A NodeClaim is one machine: Launched, then Registered (a node of its name is there), then
Initialized. Without capacity the claim is deleted within a second (measured), so its Event says it.
A claim whose node never registers keeps its pod Nominated and Pending; Karpenter gives it up after
15 minutes. What NodePools say of themselves is data (catalogue/conditions.yaml).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.base.times import unix_ms
from pipeline.contract.state import DELETED, EVENT, OBJECT, TICK, StateEvent
from pipeline.elasticity import provision
from pipeline.readiness.detect.conditions import conditions_of
from pipeline.readiness.detector import Scene
from pipeline.readiness.world import node_entity

LATE_MS = 480_000  # from Launched to Registered; minutes are usual
FAILED_TTL_MS = 900_000
KARPENTER = "karpenter/-"
DRAIN_TTL_MS = 900_000
_LATE = "object/karpenter.claim-unregistered"
_DRAIN = "object/karpenter.drain-failed"
_FAILED = "object/karpenter.launch-failed"
_WHY = "object/scaleup.failed-"  # declared by the detector of cluster-autoscaler
_POOL = "karpenter.sh/nodepool"
_FAILURES = ("InsufficientCapacityError", "LaunchFailed", "NodeClassNotReady")


@dataclass(slots=True)
class Claim:
    pool: str  # entity
    launched: int = 0  # Unix ms; 0 not yet, or no longer waited for


@dataclass(slots=True)
class KarpenterState:
    claims: dict[str, Claim] = field(default_factory=dict)  # by name
    waiting: dict[str, None] = field(default_factory=dict)  # launched, not registered


class Karpenter:
    NAME = "karpenter"
    ATOMS: Mapping[str, str] = {
        _LATE: "a machine was launched, and has not become a node for 8 minutes",
        _FAILED: "the cloud did not give a machine",
        _DRAIN: "a node that is to go is not drained",
    }
    READS = (
        (OBJECT, "nodeclaims"),
        (TICK, ""),
        *((EVENT, reason) for reason in _FAILURES),
        (EVENT, "FailedDraining"),
    )

    def __init__(self) -> None:
        self.state = KarpenterState()

    def see(self, event: StateEvent, scene: Scene) -> None:
        if event.kind == TICK:
            self._tick(scene)
        elif event.kind == EVENT:
            self._failed(event, scene)
        else:
            self._claim(event.body["object"], event.body["type"] == DELETED, scene)

    def _claim(self, obj: Mapping[str, Any], gone: bool, scene: Scene) -> None:
        name = obj["metadata"]["name"]
        known = self.state.claims.get(name)
        if gone:
            if known is not None:
                self._let_go(name, known, scene)
                del self.state.claims[name]
            return
        pool = (obj["metadata"].get("labels") or {}).get(_POOL, "")
        if known is None:
            known = self.state.claims[name] = Claim(f"nodepool/{pool}")
        conditions = conditions_of(obj.get("status"))
        launched = conditions.get("Launched") or {}
        if launched.get("status") == "False":
            quote = f"{name}: {launched.get('reason', '')} {launched.get('message', '')}"
            self._say_failed(known.pool, quote, scene.now, scene)
        leaves = bool(obj["metadata"].get("deletionTimestamp"))
        if leaves or (conditions.get("Registered") or {}).get("status") == "True":
            self._let_go(name, known, scene)
        elif launched.get("status") == "True" and not known.launched:
            known.launched = unix_ms(launched.get("lastTransitionTime") or "") or scene.now
            self.state.waiting[name] = None

    def _let_go(self, name: str, claim: Claim, scene: Scene) -> None:
        if name in self.state.waiting:
            del self.state.waiting[name]
            scene.clear(claim.pool, _LATE, subject=name)

    def _tick(self, scene: Scene) -> None:
        if not self.state.waiting or not scene.sees("nodeclaims"):
            return
        for name in self.state.waiting:
            claim = self.state.claims[name]
            if scene.now - claim.launched >= LATE_MS and not self._told(claim, name, scene):
                quote = f"NodeClaim {name} was launched {LATE_MS // 60_000} minutes ago"
                scene.hold(claim.pool, _LATE, quote, subject=name, since=claim.launched)

    @staticmethod
    def _told(claim: Claim, name: str, scene: Scene) -> bool:
        return name in scene.book.atoms(claim.pool).get(_LATE, ())

    def _failed(self, event: StateEvent, scene: Scene) -> None:
        body, about = event.body, event.body["object"]
        when = body.get("last_ms") or event.t
        if when < scene.started:
            return
        name = about.get("name", "")
        if about.get("kind") == "Node" and body["reason"] == "FailedDraining":
            node, quote = node_entity(name), f"{body['reason']}: {body.get('message', '')}"
            scene.point(KARPENTER, _DRAIN, quote, subject=node, t=when, ttl_ms=DRAIN_TTL_MS)
        if about.get("kind") not in ("NodeClaim", "NodePool"):
            return
        claim = self.state.claims.get(name)
        # Without its claim, which may be gone already: a claim is called POOL-xxxxx.
        pool = claim.pool if claim else f"nodepool/{name.rpartition('-')[0]}"
        if about["kind"] == "NodePool":
            pool = f"nodepool/{name}"
        quote = f"{name}: {body['reason']} {body.get('message', '')}"
        self._say_failed(pool, quote, when, scene)

    @staticmethod
    def _say_failed(pool: str, quote: str, when: int, scene: Scene) -> None:
        scene.point(pool, _FAILED, quote, t=when, ttl_ms=FAILED_TTL_MS)
        why = provision.reason_of(quote)
        if why:
            scene.point(pool, f"{_WHY}{why}", quote, t=when, ttl_ms=FAILED_TTL_MS)

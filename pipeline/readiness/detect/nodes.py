"""The node machine: what the control plane says of a node, and whether its kubelet still speaks.

  Ready ── False/KubeletNotReady ─► NotReady    the kubelet lives and says no
    └───── Unknown ───────────────► Unknown     the kubelet is silent: its lease is not renewed

Leases are compared with the time at which a renewal was SEEN, never with the clock of the node
that wrote `renewTime`: a node with a wrong clock is not a dead node. Many nodes that fall silent
together are one incident on what they share (zone, control plane, network), not one each.

While the watcher does not see leases no node falls silent; when it does, each has its time anew.

A node that an autoscaler removes, or that somebody cordoned and emptied, was taken out of service:
that it goes down then, alone or with others, was meant.

Facts: lease 40 s, renewed every 10 s; Unknown after 40 s (50 s from 1.32); a zone is disrupted from
55 % of at least 3 nodes (k/k pkg/controller/nodelifecycle).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.contract.state import DELETED, OBJECT, TICK, StateEvent
from pipeline.readiness.detect.conditions import conditions_of
from pipeline.readiness.detector import Scene
from pipeline.readiness.world import World, node_entity

LEASE_LATE_MS = 35_000  # renewed every 10 s, recorded every 20 s: more than one is missing
LEASE_STALE_MS = 45_000  # the lease (40 s) is over
TOGETHER_MS = 60_000  # nodes that fell silent within this belong together
ZONE_SHARE, ZONE_NODES = 0.55, 3
MANY_NODES = 5  # so many do not fail by themselves within a minute

# Taints of who is about to remove a node (cluster-autoscaler; Karpenter v1, v1beta1).
TAKERS = {
    "ToBeDeletedByClusterAutoscaler": "cluster-autoscaler",
    "karpenter.sh/disrupted": "karpenter",
    "karpenter.sh/disruption": "karpenter",
}
_TAKEN_OUT = "object/node.taken-out"
# What is seen of a node's reboot for a while: of one that had been taken out it says nothing.
_MEANT = ("host/rebooted", "event/node.rebooted", "metric/kubelet-restarted")
_LEASES = "kube-node-lease"  # their namespace
_TAINT_ATOMS = {
    "node.kubernetes.io/not-ready": "object/node.taint-not-ready",
    "node.kubernetes.io/unreachable": "object/node.taint-unreachable",
    "node.cloudprovider.kubernetes.io/uninitialized": "object/node.uninitialized",
}


@dataclass(slots=True)
class NodeState:
    ready: str = ""  # True | False | Unknown
    since: int = 0  # event time at which that was first seen
    created: int = 0
    joined: bool = False  # it was Ready at least once
    cordoned: bool = False
    removed: bool = False  # by an autoscaler, or it has a deletionTimestamp
    virtual: bool = False
    lease_seen: int = 0  # when its last renewal was seen; 0: no lease known
    lease_renewed: str = ""  # renewTime as written
    silent_since: int = 0  # last renewal before it fell silent; 0: speaks


@dataclass(slots=True)
class NodesState:
    nodes: dict[str, NodeState] = field(default_factory=dict)
    disrupted: dict[str, dict[str, None]] = field(default_factory=dict)  # entity -> nodes


class Nodes:
    NAME = "nodes"
    ATOMS: Mapping[str, str] = {
        "lease/late": "the node's lease was not renewed for 35 s",
        "lease/stale": "the node's lease was not renewed for 45 s: the kubelet is silent",
        "lease/fresh": "the node's lease is renewed: the kubelet is alive and reaches the API",
        "lease/zone-silent": "many nodes fell silent within seconds of each other",
        "object/node.taint-not-ready": "the node is tainted not-ready",
        "object/node.taint-unreachable": "the node is tainted unreachable",
        _TAKEN_OUT: "the node is being removed, or was cordoned and emptied: it may go down",
        "object/node.uninitialized": "the cloud controller has not initialised the node",
        "object/node.young": "the node joined within the last 5 minutes",
        "object/node.join-slow": "the node joined more than 2 minutes ago and was never Ready",
        "object/node.flapping-step": "Ready was lost",
        "object/node.flapping": "Ready changed more than twice within 15 minutes",
    }
    READS = ((OBJECT, "nodes"), (OBJECT, "leases"), (TICK, ""))

    def __init__(self) -> None:
        self.state = NodesState()

    def see(self, event: StateEvent, scene: Scene) -> None:
        if event.kind == TICK:
            self._tick(scene)
        elif event.body["resource"] == "leases":
            self._lease(event.body, event.t, scene)
        else:
            self._node(event.body, scene)

    # Node objects

    def _node(self, body: Mapping[str, Any], scene: Scene) -> None:
        obj = body["object"]
        name = obj["metadata"]["name"]
        if body["type"] == DELETED:
            if self.state.nodes.pop(name, None) is not None:
                self._left(name, scene)
            scene.book.forget(node_entity(name))
            return
        node = self.state.nodes.setdefault(name, NodeState(created=scene.now))
        node.virtual = (obj["metadata"].get("labels") or {}).get("type") == "virtual-kubelet"
        spec = obj.get("spec") or {}
        self._cordon(name, node, bool(spec.get("unschedulable")), scene)
        taints = {taint.get("key"): taint.get("effect") for taint in spec.get("taints") or ()}
        self._taints(name, taints, scene)
        node.removed = bool(
            obj["metadata"].get("deletionTimestamp")
        ) or not TAKERS.keys().isdisjoint(taints)
        self._taken_out(name, node, scene)
        ready = conditions_of(obj.get("status")).get("Ready")
        if ready is not None and _status(ready) != node.ready:
            self._moved(name, node, ready, scene)

    def _moved(self, name: str, node: NodeState, ready: Mapping[str, Any], scene: Scene) -> None:
        old, node.ready, node.since = node.ready, _status(ready), scene.now
        entity = node_entity(name)
        scene.transition(
            "node", entity, _word(old), _word(node.ready),
            reason=ready.get("reason") or "", message=ready.get("message") or "",
        )  # fmt: skip
        if old and node.ready != "True":
            scene.point(
                entity, "object/node.flapping-step", f"Ready={node.ready}",
                subject=str(scene.now), ttl_ms=900_000,
            )  # fmt: skip
        steps = scene.book.atoms(entity).get("object/node.flapping-step", {})
        scene.set(entity, "object/node.flapping", len(steps) > 2, f"{len(steps)} times in 15 min")

    def _cordon(self, name: str, node: NodeState, cordoned: bool, scene: Scene) -> None:
        if cordoned != node.cordoned:
            node.cordoned = cordoned
            words = ("schedulable", "cordoned") if cordoned else ("cordoned", "schedulable")
            scene.transition("node-scheduling", node_entity(name), *words)

    def _taints(self, name: str, taints: Mapping[str, Any], scene: Scene) -> None:
        for key, atom in _TAINT_ATOMS.items():
            scene.set(node_entity(name), atom, key in taints, f"taint {key}:{taints.get(key, '')}")

    def _taken_out(self, name: str, node: NodeState, scene: Scene) -> None:
        entity, empty = node_entity(name), node.cordoned and _is_empty(name, scene.world)
        quote = "it is being removed" if node.removed else "it is cordoned, and its pods are gone"
        if scene.book.has(entity, _TAKEN_OUT) and not (node.removed or empty):
            for atom in _MEANT:
                scene.clear(entity, atom)
        scene.set(entity, _TAKEN_OUT, node.removed or empty, quote)

    # Leases and silence

    def _lease(self, body: Mapping[str, Any], t: int, scene: Scene) -> None:
        obj = body["object"]
        name = obj["metadata"]["name"]
        node = self.state.nodes.get(name)
        if node is None or body["type"] == DELETED:
            return
        renewed = (obj.get("spec") or {}).get("renewTime") or ""
        if renewed == node.lease_renewed:
            return
        # A renewal is recorded up to 20 s after it was seen; by then the lease may be late again.
        node.lease_renewed, node.lease_seen = renewed, body.get("seen_ms", t)
        if node.silent_since:
            self._speaks(name, node, scene)
        scene.hold(node_entity(name), "lease/fresh", f"lease renewed {renewed}")

    def _speaks(self, name: str, node: NodeState, scene: Scene) -> None:
        node.silent_since = 0
        for atom in ("lease/late", "lease/stale"):
            scene.clear(node_entity(name), atom)
        self._left(name, scene)

    def _left(self, name: str, scene: Scene) -> None:
        """It is none of the silent nodes any more."""
        for entity, nodes in list(self.state.disrupted.items()):
            if nodes.pop(name, 0) is None:
                scene.clear(entity, "lease/zone-silent", subject=node_entity(name))
            if not nodes:
                del self.state.disrupted[entity]

    def _tick(self, scene: Scene) -> None:
        fell, seen, sight, now = False, scene.sees("nodes"), scene.sight, scene.now
        blind = sight.unseen_until("leases", now, _LEASES) == now
        fresh = (now if blind else sight.known_until(now)) - LEASE_LATE_MS
        for name, node in self.state.nodes.items():
            if 0 < node.lease_seen <= fresh and not node.virtual:
                fell |= self._late(name, node, scene)
            if node.cordoned:
                self._taken_out(name, node, scene)
            if seen and not node.joined:
                self._join(name, node, scene)
        if fell:
            self._together(scene)

    def _late(self, name: str, node: NodeState, scene: Scene) -> bool:
        """Its lease is. True when the node has just been found silent."""
        age = scene.sight.known_until(scene.now) - node.lease_seen
        entity = node_entity(name)
        scene.clear(entity, "lease/fresh")
        since = max(node.lease_seen, scene.sight.unseen_until("leases", scene.now, _LEASES))
        silence = scene.sight.known_until(scene.now) - since
        if silence < LEASE_LATE_MS:
            return False
        quote = f"lease renewed {node.lease_renewed}, seen {age / 1000:.0f} s ago"
        scene.hold(entity, "lease/late", quote, since=since)
        if silence >= LEASE_STALE_MS:
            scene.hold(entity, "lease/stale", quote, since=since)
        new = not node.silent_since
        node.silent_since = node.silent_since or since
        return new

    def _join(self, name: str, node: NodeState, scene: Scene) -> None:
        """A node that was never Ready since it was first seen."""
        entity, age = node_entity(name), scene.now - node.created
        never = node.ready != "True" and node.since <= node.created
        node.joined = not never
        scene.set(entity, "object/node.young", age < 300_000 and never, "joined just now")
        slow = never and age > 120_000
        scene.set(entity, "object/node.join-slow", slow, f"{age / 1000:.0f} s without Ready")

    def _together(self, scene: Scene) -> None:
        """Silent nodes that fell silent within TOGETHER_MS: of one zone, or of the cluster."""
        silent = {
            name: node.silent_since
            for name, node in self.state.nodes.items()
            if node.silent_since and not scene.book.has(node_entity(name), _TAKEN_OUT)
        }
        if not silent:
            return
        newest = max(silent.values())
        recent = [name for name, since in silent.items() if newest - since <= TOGETHER_MS]
        zones: dict[str, list[str]] = {}
        for name in recent:
            zones.setdefault(scene.world.state.zones.get(name, ""), []).append(name)
        sizes: dict[str, int] = {}
        for name in self.state.nodes:
            zone = scene.world.state.zones.get(name, "")
            sizes[zone] = sizes.get(zone, 0) + 1
        broken = any(_disrupted(len(names), sizes[zone]) for zone, names in zones.items())
        if not broken and len(recent) < MANY_NODES:
            return
        zone = next(iter(zones))
        if len(zones) == 1 and zone:
            self._disrupt(f"zone/{zone}", recent, sizes[zone], scene)
        else:
            self._disrupt("cluster/-", recent, len(self.state.nodes), scene)

    def _disrupt(self, entity: str, names: list[str], of: int, scene: Scene) -> None:
        held = self.state.disrupted.setdefault(entity, {})
        for name in names:
            if name not in held:
                held[name] = None
                node = self.state.nodes[name]
                quote = f"{len(names)} of {of} nodes silent since about {node.lease_renewed}"
                scene.hold(
                    entity,
                    "lease/zone-silent",
                    quote,
                    subject=node_entity(name),
                    since=node.silent_since,
                )


def _disrupted(silent: int, nodes: int) -> bool:
    return silent >= ZONE_NODES and silent >= ZONE_SHARE * nodes


def _is_empty(name: str, world: World) -> bool:
    """Only pods that stay on a node are left, and what was not recorded is not empty: those of
    DaemonSets, and static ones, which have its name."""
    left = (pod for pod in world.pods_on(name) if not pod.workload.startswith("daemonset/"))
    return bool(world.state.pods) and all(pod.name.endswith(f"-{name}") for pod in left)


def _status(ready: Mapping[str, Any]) -> str:
    """Kubernetes takes any word, and counts what is not True as not ready."""
    status = ready.get("status")
    return status if status in ("True", "False") else "Unknown"


def _word(ready: str) -> str:
    return {"True": "Ready", "False": "NotReady", "Unknown": "Unknown", "": "new"}[ready]

"""Nodes that came while somebody waited: when each was created, when it was Ready first, and the
pool that it is of. Of nodes that existed before, only the pool is known: a Ready condition that a
first list shows may be a later flap."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.base.times import unix_ms
from pipeline.elasticity.inventory import pool_of
from pipeline.elasticity.scaling.moment import API, NODE, Moment, observed, reported
from pipeline.elasticity.scaling.timeline import Timeline

Object = Mapping[str, Any]


@dataclass(slots=True)
class Node:
    pool: str = ""
    created: Moment | None = None  # None: it existed before
    ready: Moment | None = None


@dataclass(slots=True)
class NodesState:
    nodes: dict[str, Node] = field(default_factory=dict)
    claims: dict[str, Moment] = field(default_factory=dict)  # node -> when Karpenter claimed it


class Nodes:
    def __init__(self, state: NodesState) -> None:
        self.state = state

    def see(self, obj: Object, *, new: bool, received: int, offset: int) -> bool:
        """A version of a node. True when it became Ready for the first time."""
        meta = obj["metadata"]
        labels = meta.get("labels") or {}
        node = self.state.nodes.get(meta["name"])
        if node is None:
            node = self.state.nodes[meta["name"]] = Node()
            if new:
                stamp = unix_ms(meta.get("creationTimestamp", ""))
                node.created = observed(stamp, received, offset, "node's creationTimestamp")
        node.pool = pool_of(labels)
        if node.created is None or node.ready is not None:
            return False
        for condition in (obj.get("status") or {}).get("conditions") or ():
            if condition.get("type") == "Ready" and condition.get("status") == "True":
                stamp = unix_ms(condition.get("lastTransitionTime", ""))
                node.ready = reported(stamp, received, offset, "node's condition Ready", NODE)
                return True
        return False

    def gone(self, name: str) -> None:
        self.state.nodes.pop(name, None)
        self.state.claims.pop(name, None)

    def see_claim(self, obj: Object, received: int, offset: int) -> None:
        """A version of a NodeClaim; it says the name of its node once that has registered."""
        node = (obj.get("status") or {}).get("nodeName")
        if node and node not in self.state.claims:
            stamp = unix_ms(obj["metadata"].get("creationTimestamp", ""))
            what = "NodeClaim's creationTimestamp"
            self.state.claims[node] = observed(stamp, received, offset, what, API)

    def enter(self, timeline: Timeline) -> bool:
        """The node's times into those of a pod that runs there, if it had to wait for the node.
        True if something was new."""
        node = self.state.nodes.get(timeline.node)
        created = timeline.steps.get("created")
        if node is None or created is None:
            return False
        before = (len(timeline.steps), timeline.pool)
        timeline.pool = node.pool
        came = node.created
        if came is not None and (node.ready is None or node.ready.t > created.earliest):
            timeline.steps.setdefault("node_created", came)
            if node.ready is not None:
                timeline.steps.setdefault("node_ready", node.ready)
            claim = self.state.claims.get(timeline.node)
            if claim is not None and claim.t >= created.earliest:
                timeline.steps.setdefault("autoscaler", claim)
        return before != (len(timeline.steps), timeline.pool)

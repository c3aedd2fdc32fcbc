"""The figures of a node pool, from sums by node: a loop over nodes, once a minute."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.elasticity.inventory import NO_POOL, InventoryState

Figures = dict[str, Any]

FIGURES = (
    "nodes", "nodes_ready", "nodes_cordoned", "allocatable_cpu_m", "allocatable_memory",
    "usable_cpu_m", "usable_memory", "requested_cpu_m", "requested_memory", "pods",
    "pods_pending", "lost_cpu_m", "lost_memory", "short_lived",
)  # fmt: skip


def no_figures(pool: str) -> Figures:
    return {"pool": pool} | dict.fromkeys(FIGURES, 0)


def pool_figures(state: InventoryState, short: Mapping[str, Sequence[int]]) -> dict[str, Figures]:
    """By pool. `short` are the ends of nodes that lived shortly. What runs on a node that was
    never seen has no pool."""
    pools: dict[str, Figures] = {}

    def pool(name: str) -> Figures:
        found = pools.get(name)
        if found is None:
            found = pools[name] = no_figures(name)
        return found

    for node in state.nodes.values():
        figures = pool(node.pool)
        figures["nodes"] += 1
        figures["allocatable_cpu_m"] += node.cpu_m
        figures["allocatable_memory"] += node.memory
        figures["nodes_cordoned"] += bool(node.cordoned)
        figures["nodes_ready"] += node.ready
        if not node.ready:
            figures["lost_cpu_m"] += node.cpu_m
            figures["lost_memory"] += node.memory
        elif not node.cordoned:
            figures["usable_cpu_m"] += node.cpu_m
            figures["usable_memory"] += node.memory
    for name, load in state.loads.items():
        there = state.nodes.get(name)
        figures = pool(there.pool if there else NO_POOL)
        figures["requested_cpu_m"] += load.cpu_m
        figures["requested_memory"] += load.memory
        figures["pods"] += len(load.pods)
    for name, count in state.pending.items():
        pool(name)["pods_pending"] += count
    for name, ends in short.items():
        pool(name)["short_lived"] = len(ends)
    return pools

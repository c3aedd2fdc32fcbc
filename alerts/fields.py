"""What a rule can see of a fact, as plain fields: for `where`, labels and texts.

A fact is a version of something. `source` names the thing (an incident, a state machine of an
entity, a scaling decision, a node pool), and `order` its versions: a repeated or older version
changes nothing.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.contract.facts import CAPACITY, DRAIN, EPISODE, SCALING, TRANSITION, Fact

_SHOWN = 5  # affected things, and quotes, in a text

_ALL = ("entity", "entity_kind", "namespace", "name", "cluster")
_OF_KIND: Mapping[str, tuple[str, ...]] = {
    EPISODE: (
        "id", "version", "status", "cause", "verdict", "because", "confidence", "title",
        "opened_at", "detected_at", "closed_at", "merged_into", "severity", "affected_count",
        "affected_list", "evidence",
    ),
    TRANSITION: ("machine", "from", "to", "reason", "message", "source"),
    SCALING: (
        "id", "version", "workload", "by", "who", "why", "from", "to", "decided_at", "status",
        "longest", "total_ms", "count", "ready", "due",
    ),
    CAPACITY: (
        "pool", "nodes", "nodes_ready", "nodes_cordoned", "allocatable_cpu_m",
        "allocatable_memory", "usable_cpu_m", "usable_memory", "requested_cpu_m",
        "requested_memory", "pods", "pods_pending", "lost_cpu_m", "lost_memory",
    ),
    DRAIN: (
        "node", "version", "started_at", "ended_at", "status", "evicted", "blocked", "blocked_by",
    ),
}  # fmt: skip
READABLE = tuple(_OF_KIND)


def known_fields(kind: str) -> tuple[str, ...]:
    """Names that a rule on facts of that kind may use."""
    return (*_ALL, *_OF_KIND[kind])


def fields_of(fact: Fact, cluster: str) -> dict[str, Any]:
    parts = fact.entity.split("/")
    fields: dict[str, Any] = {
        "entity": fact.entity,
        "entity_kind": parts[0],
        "namespace": parts[1] if len(parts) > 2 else "",
        "name": parts[-1],
        "cluster": cluster,
    }
    body = fact.body
    fields |= {name: body[name] for name in _OF_KIND.get(fact.kind, ()) if name in body}
    if fact.kind == EPISODE:
        affected = [str(who) for who in body.get("affected", ())]
        fields["affected_count"] = len(affected)
        fields["affected_list"] = _some(affected)
        fields["evidence"] = "; ".join(quotes(body))
    if parts[0] == "namespace":
        fields["namespace"] = parts[-1]
    return fields


def quotes(body: Mapping[str, Any]) -> list[str]:
    """What proves the cause, in the words of its source, strongest first."""
    found = [e for e in body.get("evidence", ()) if e.get("role") in ("proof", "required")]
    found.sort(key=lambda e: (e["role"] != "proof", e.get("first", 0)))
    return list(dict.fromkeys(str(e["quote"]) for e in found if e.get("quote")))[:_SHOWN]


def covered(body: Mapping[str, Any]) -> list[str]:
    """Entities that an incident affects: pods are listed as namespace/name."""
    affected = [str(who) for who in body.get("affected", ())]
    return [
        who if who.startswith("node/") or who.count("/") > 1 else f"pod/{who}" for who in affected
    ]


def source_of(fact: Fact) -> str:
    body = fact.body
    if fact.kind == TRANSITION:
        return f"{TRANSITION}/{body.get('machine', '')}/{fact.entity}"
    if fact.kind in (EPISODE, SCALING):
        return f"{fact.kind}/{body.get('id', fact.entity)}"
    return f"{fact.kind}/{fact.entity}"


def order_of(fact: Fact) -> tuple[int, int]:
    """Versions of an incident count by themselves; the rest is ordered by its time, and by where
    it came from in the event log."""
    body = fact.body
    if fact.kind in (EPISODE, SCALING):
        return (_whole(body.get("version")), 0)
    return (fact.t, _whole(body.get("source")))


def _whole(value: Any) -> int:
    return value if type(value) is int else 0


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more

"""Scaling decisions as people and programs read them: from facts, and from rows of the store.

A fact names only the pods that changed since the version before, so a decision is put together from
all its versions; a pod is where the last fact that names it has it.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from pipeline.console.output import harmless
from pipeline.contract.facts import NO_SCALING, SCALING, Fact

Body = Mapping[str, Any]


def scaling_documents(facts: Iterable[Fact]) -> list[dict[str, Any]]:
    """Decisions in the order in which they were taken, each with the timelines of its pods."""
    heads: dict[str, Body] = {}
    for fact in facts:
        if fact.kind == SCALING and fact.body["by"] != NO_SCALING:
            heads[fact.body["id"]] = fact.body
    pods: dict[str, list[Body]] = {name: [] for name in heads}
    for name, pod, _ in _last(facts).values():
        if name in pods:
            pods[name].append(pod)
    found = [scaling_document(heads[name], pods[name]) for name in heads]
    return sorted(found, key=lambda body: (body["decided_at"], body["workload"]))


def scaling_document(head: Body, pods: Iterable[Body]) -> dict[str, Any]:
    """A decision as programs read it; times are Unix ms, null is unknown."""
    return {**head, "pods": [dict(pod) for pod in pods]}


def unscaled_documents(facts: Iterable[Fact]) -> list[dict[str, Any]]:
    """Pods that no decision caused, each with the reason."""
    return [
        {"workload": workload, **pod}
        for _, pod, workload in _last(facts).values()
        if "reason" in pod
    ]


def _last(facts: Iterable[Fact]) -> dict[str, tuple[str, Body, str]]:
    """uid -> (decision, timeline, workload), as the last fact that names the pod has it."""
    last: dict[str, tuple[str, Body, str]] = {}
    for fact in facts:
        if fact.kind == SCALING:
            for pod in fact.body["pods"]:
                last[pod["uid"]] = (fact.body["id"], pod, fact.entity)
    return last


def print_scalings(facts: Iterable[Fact], start: int, out: TextIO) -> None:
    """One line each, times counted from `start` (Unix ms)."""
    found = scaling_documents(facts)
    if found:
        out.write("\n")
    for body in found:
        when = f"{(body['decided_at'] - start) / 1000:+.1f} s"
        out.write(f"  {when} {harmless(summary(body))}\n")


def summary(body: Body) -> str:
    """A decision in a line: deployment/shop/web 1 -> 5 by hpa, ready 5/5 after 3.4 s (pull 1.2)."""
    text = f"{body['workload']} {body['from']} -> {body['to']} by {author(body)}"
    if body["count"]:
        text += f", ready {body['ready']}/{body['count']}"
    if body["total_ms"] is not None:
        text += f" after {seconds(body['total_ms'])}"
    if body["longest"]:
        text += f", longest: {body['longest']} {seconds(body['segments'][body['longest']])}"
    if body.get("waits_in"):
        text += f", waits in {body['waits_in']}"
    return text if body["status"] == "done" else f"{text}, {body['status']}"


def author(body: Body) -> str:
    return f"{body['by']} ({body['who']})" if body["who"] else str(body["by"])


def seconds(ms: int | None) -> str:
    return "?" if ms is None else f"{ms / 1000:.1f} s"

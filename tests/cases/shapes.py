"""Objects as the API server shows them, as far as cases need them."""

from typing import Any

from tests.cases.rig import NODE


def pod(
    name: str = "web-0",
    *,
    namespace: str = "shop",
    node: str = NODE,
    phase: str = "Pending",
    ready: str = "False",
    containers: list[dict[str, Any]] | None = None,
    conditions: list[dict[str, Any]] | None = None,
    owner: tuple[str, str] | None = None,
    claim: str = "",
    deleted: str = "",
    reason: str = "",
    message: str = "",
) -> dict[str, Any]:
    """A pod. Without a node it is not scheduled."""
    meta: dict[str, Any] = {"name": name, "namespace": namespace, "uid": f"uid-{name}"}
    if owner:
        kind, of = owner
        meta["ownerReferences"] = [{"kind": kind, "name": of, "uid": of, "controller": True}]
    if deleted:
        meta["deletionTimestamp"] = deleted
    spec: dict[str, Any] = {"nodeName": node, "containers": [{"name": "main", "image": "web:1"}]}
    if claim:
        spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
    if conditions is None:
        conditions = [
            {"type": "PodScheduled", "status": "True" if node else "False"},
            {"type": "Ready", "status": ready},
        ]
    status = {
        "phase": phase,
        "reason": reason,
        "message": message,
        "conditions": conditions,
        "containerStatuses": containers or [],
    }
    return {"metadata": meta, "spec": spec, "status": status}


def waiting(why: str, message: str = "", *, name: str = "main", **last: Any) -> dict[str, Any]:
    """A container that waits; `last` is how it ended before."""
    status: dict[str, Any] = {
        "name": name,
        "ready": False,
        "restartCount": 3 if last else 0,
        "state": {"waiting": {"reason": why, "message": message}},
    }
    if last:
        status["lastState"] = {"terminated": last}
    return status


def running(*, ready: bool, name: str = "main") -> dict[str, Any]:
    return {
        "name": name,
        "ready": ready,
        "restartCount": 0,
        "state": {"running": {"startedAt": "2026-11-23T05:37:42Z"}},
    }


def unscheduled(message: str) -> list[dict[str, Any]]:
    return [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
        }
    ]


def conditioned(name: str, *conditions: dict[str, str], namespace: str = "") -> dict[str, Any]:
    """Any object with conditions in its status."""
    meta = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"metadata": meta, "spec": {}, "status": {"conditions": list(conditions)}}

"""Kubernetes Events, of either API, as the one body that kubeledger.state has for them.

core/v1 and events.k8s.io/v1 are two views of the same stored objects: same uid, same
resourceVersion, other names of fields (k8s.io/api events/v1 types.go). Writers of the new API
(kube-scheduler) leave the old fields empty: times are in eventTime and series, the source in
reportingComponent (domain facts, item 11). `count` and times move within one uid: each version is
an event of its own. The uid of the object may be a node's name (kubelets write it so).
"""

from collections.abc import Mapping
from typing import Any

from collectors.cluster.trim import Object, keep, part
from pipeline.base.times import unix_ms


def event_body(source: Object) -> dict[str, Any]:
    """Body of an `event` (pipeline/contract/state.py). Times that are not given are absent."""
    meta, series = part(source, "metadata"), part(source, "series")
    about = part(source, "involvedObject") or part(source, "regarding")
    origin = part(source, "source") or part(source, "deprecatedSource")
    created = meta.get("creationTimestamp")
    first = source.get("firstTimestamp") or source.get("deprecatedFirstTimestamp")
    last = source.get("lastTimestamp") or source.get("deprecatedLastTimestamp")
    when = source.get("eventTime")
    component = source.get("reportingComponent") or source.get("reportingController")
    count = series.get("count") or source.get("count") or source.get("deprecatedCount") or 1
    body: dict[str, Any] = {
        "uid": meta.get("uid", ""),
        "version": meta.get("resourceVersion", ""),
        "type": source.get("type") or "",
        "reason": source.get("reason") or "",
        "message": source.get("message") or source.get("note") or "",
        "object": _about(about),
        "component": origin.get("component") or component or "",
        "host": origin.get("host") or "",
        "count": count,
    }
    for name, text in (
        ("first_ms", first or when or created),
        ("last_ms", series.get("lastObservedTime") or last or when or created),
    ):
        if ms := unix_ms(text or ""):
            body[name] = ms
    return body


def _about(reference: Mapping[str, Any]) -> dict[str, str]:
    about = keep(reference, "kind", "namespace", "name", "uid")
    if reference.get("fieldPath"):
        about["field"] = reference["fieldPath"]
    return about

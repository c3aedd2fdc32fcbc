"""Versions of log configurations, for kubeledger.configs. Pure functions.

A version is valid from when it was written, by the API server's clock: `metadata.managedFields`
has the time of the last writer, to the second (writers of the status apart). Only where that is
missing it is the creation, for a first generation, or the moment at which it was seen.
"""

from datetime import datetime
from typing import Any

from collectors.cluster.trim import Object, each, keep, part
from pipeline.contract.configs import ConfigVersion
from pipeline.contract.state import DELETED, OBJECT, StateEvent
from pipeline.contract.wishes import CONFIG_RESOURCES

_SINCE = "since_ms"  # of what is kept of such an object


def wish(source: Object) -> dict[str, Any]:
    """What is kept: spec and status, and since when the spec is valid."""
    times = [
        str(field.get("time", ""))
        for field in each(part(source, "metadata"), "managedFields")
        if field.get("subresource") != "status"
    ]
    since = max((found for text in times if (found := _ms(text)) is not None), default=None)
    if since is None and part(source, "metadata").get("generation", 1) == 1:
        since = _ms(str(part(source, "metadata").get("creationTimestamp", "")))
    kept = {"spec": source.get("spec", {}), **keep(source, "status")}
    return kept | ({_SINCE: since} if since is not None else {})


def config_version(event: StateEvent) -> ConfigVersion | None:
    """None for an event of something else."""
    if event.kind != OBJECT or event.body["resource"] not in CONFIG_RESOURCES:
        return None
    found = event.body["object"]
    meta = found["metadata"]
    if event.body["type"] == DELETED:
        return ConfigVersion(meta["uid"], 0, event.t, deleted=True)
    shown = {
        "kind": found["kind"],
        "metadata": keep(meta, "name", "namespace"),
        "spec": found.get("spec", {}),
    }
    since = since_ms(found, event.t)
    return ConfigVersion(meta["uid"], int(meta.get("generation", 1)), since, object=shown)


def since_ms(kept: Object, seen_ms: int) -> int:
    """Of an object as it is kept."""
    return int(kept.get(_SINCE, seen_ms))


def _ms(text: str) -> int | None:
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return None

"""Versions of the objects that say how logs are wished, on kubeledger.configs.

The topic is compacted, its key names the version (`UID:GENERATION`): a version that another leader
of the watcher writes again replaces itself, and none is ever lost, so what was valid at any time
can be told for as long as logs may be read again. `since_ms` is when the version was written by
the API server's clock, not when somebody saw it. A deleted object is a version as well.

Value: {"v": 1, "uid", "generation", "since": Unix ms, "deleted": bool, "object": {…}}; the object
has kind, metadata {name, namespace?} and spec; none if it is deleted.

Beside objects of the cluster there are decisions: `LogShare`, the share of a namespace's lines that
is stored from a moment on, so that its quota holds (pipeline/processor/quotas.py). Whoever reads
the logs again finds what was decided then, and not what would be decided now.

`LogErrors` says how many lines lately were not what an object says they are, and shows one of them,
for the object's status; its key names the object, so the last one stays.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pipeline.contract.documents import read_record
from pipeline.contract.fields import VERSION, RecordError


@dataclass(frozen=True, slots=True)
class ConfigVersion:
    uid: str
    generation: int
    since_ms: int
    deleted: bool = False
    object: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> bytes:
        return f"{self.uid}:{'deleted' if self.deleted else self.generation}".encode()


LOG_SHARE = "LogShare"


def log_share(namespace: str, since_ms: int, share: float) -> ConfigVersion:
    """`share` 1: everything is stored again."""
    thing = {"kind": LOG_SHARE, "metadata": {"name": namespace}, "spec": {"share": share}}
    return ConfigVersion(f"share/{namespace}", since_ms, since_ms, object=thing)


def share_in(version: ConfigVersion) -> tuple[str, float] | None:
    """Namespace and share; None for a version of something else. Raises RecordError."""
    if version.deleted or version.object.get("kind") != LOG_SHARE:
        return None
    try:
        share = float(version.object["spec"]["share"])
        if not 0 < share <= 1:
            raise RecordError(f"a share of {share} is not between 0 and 1")
        return str(version.object["metadata"]["name"]), share
    except (LookupError, TypeError, ValueError) as error:
        raise RecordError(f"a share is incomplete: {error!r}") from error


LOG_ERRORS = "LogErrors"


class LogErrors(NamedTuple):
    origin: str  # of the object, as people read it: "LogConfig shop/web"
    at_ms: int
    lines: int
    sample: str


def log_errors(origin: str, at_ms: int, count: int, sample: str) -> ConfigVersion:
    thing = {
        "kind": LOG_ERRORS,
        "metadata": {"name": origin},
        "spec": {"count": count, "sample": sample},
    }
    return ConfigVersion(f"errors/{origin}", 0, at_ms, object=thing)


def errors_in(version: ConfigVersion) -> LogErrors | None:
    """None for a version of something else. Raises RecordError."""
    if version.deleted or version.object.get("kind") != LOG_ERRORS:
        return None
    try:
        spec, name = version.object["spec"], str(version.object["metadata"]["name"])
        return LogErrors(name, version.since_ms, int(spec["count"]), str(spec["sample"]))
    except (LookupError, TypeError, ValueError) as error:
        raise RecordError(f"errors are incomplete: {error!r}") from error


def encode_config(version: ConfigVersion) -> bytes:
    document = {
        "v": VERSION,
        "uid": version.uid,
        "generation": version.generation,
        "since": version.since_ms,
        "deleted": version.deleted,
        "object": dict(version.object),
    }
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def decode_config(value: bytes) -> ConfigVersion:
    """Raises RecordError for anything that is not a version of a known format."""
    document = read_record(value, "config version")
    try:
        found = ConfigVersion(
            str(document["uid"]),
            int(document["generation"]),
            int(document["since"]),
            bool(document["deleted"]),
            document["object"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(f"config version is incomplete: {error!r}") from error
    if not isinstance(found.object, dict) or not (found.deleted or found.object.get("kind")):
        raise RecordError("config version has no object of a kind")
    return found

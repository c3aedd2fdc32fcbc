"""A version of an API object -> what the event log keeps of it. Pure functions.

What is kept has the shape and the words that Kubernetes gives it; what is not needed is left out.
Gone from every object: managedFields, the last-applied annotation, selfLink, CA bundles, and
annotations of more than MAX_ANNOTATION characters. What a program or a person may have put a
secret into is never kept: environment, commands, arguments, probe commands.

A list and a watch give the same object differently (items of a list have no kind); after this it
is the same.
"""

from collections.abc import Callable, Mapping
from typing import Any

Object = Mapping[str, Any]
Trim = Callable[[Object], dict[str, Any]]

MAX_ANNOTATION = 1024
MAX_MESSAGE = 2048  # of a terminated container: whatever the program wrote
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_METADATA = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "finalizers",
)


def keep(source: Object, *names: str) -> dict[str, Any]:
    """These keys, where there is something in them."""
    return {name: source[name] for name in names if source.get(name) not in (None, {}, [], "")}


def without(source: Object, *names: str) -> dict[str, Any]:
    return {name: value for name, value in source.items() if name not in names}


def part(source: Object, name: str) -> Object:
    """An object inside, empty if it is not there (or is null, as Go writes what is empty)."""
    value = source.get(name)
    return value if isinstance(value, dict) else {}


def each(source: Object, name: str) -> list[Object]:
    """The objects of a list inside."""
    value = source.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def metadata(source: Object) -> dict[str, Any]:
    kept = keep(source, *_METADATA)
    annotations = {
        name: text
        for name, text in part(source, "annotations").items()
        if name != _LAST_APPLIED and len(str(text)) <= MAX_ANNOTATION
    }
    if annotations:
        kept["annotations"] = annotations
    owners = [
        keep(owner, "kind", "name", "uid", "controller")
        for owner in each(source, "ownerReferences")
    ]
    if owners:
        kept["ownerReferences"] = owners
    return kept


def whole(source: Object) -> dict[str, Any]:
    """All but what no object keeps: custom resources, and small objects."""
    kept = without(source, "metadata", "apiVersion", "kind")
    return {name: _no_bundles(value) for name, value in kept.items()}


def node(source: Object) -> dict[str, Any]:
    """Without the list of images, which is most of it."""
    status = without(
        part(source, "status"), "images", "daemonEndpoints", "config", "runtimeHandlers", "features"
    )
    return {"spec": dict(part(source, "spec")), "status": status}


def lease(source: Object) -> dict[str, Any]:
    return keep(source, "spec")


def volume(source: Object) -> dict[str, Any]:
    """A PersistentVolume: of its source, whatever kind it is, what names the disk."""
    kept: dict[str, Any] = {}
    for name, value in part(source, "spec").items():
        if name == "claimRef":
            kept[name] = keep(part(source["spec"], name), "namespace", "name", "uid")
        elif name == "nodeAffinity" or not isinstance(value, dict) or name == "capacity":
            kept[name] = value
        else:
            kept[name] = keep(
                value, "driver", "volumeHandle", "path", "server", "volumeID", "fsType"
            )
    return {"spec": kept, **keep(source, "status")}


def attachment(source: Object) -> dict[str, Any]:
    """A VolumeAttachment; the metadata of the attachment may hold what the driver likes."""
    return {**keep(source, "spec"), "status": without(part(source, "status"), "attachmentMetadata")}


def endpoint_slice(source: Object) -> dict[str, Any]:
    endpoints = []
    for endpoint in each(source, "endpoints"):
        kept = keep(endpoint, "addresses", "conditions", "nodeName", "zone")
        target = keep(part(endpoint, "targetRef"), "kind", "namespace", "name", "uid")
        endpoints.append({**kept, "targetRef": target} if target else kept)
    return {**keep(source, "addressType", "ports"), "endpoints": endpoints}


def config_map(source: Object) -> dict[str, Any]:
    """Of what an autoscaler says of itself, or of the stock: all of it is in `data.status`."""
    return {"data": keep(part(source, "data"), "status")}


def webhooks(source: Object) -> dict[str, Any]:
    names = ("name", "failurePolicy", "timeoutSeconds", "rules", "matchPolicy", "sideEffects")
    hooks = []
    for hook in each(source, "webhooks"):
        client = keep(part(hook, "clientConfig"), "service", "url")
        selectors = keep(hook, "namespaceSelector", "objectSelector", "reinvocationPolicy")
        hooks.append({**keep(hook, *names), **selectors, "clientConfig": client})
    return {"webhooks": hooks}


def _no_bundles(value: Any) -> Any:
    """CA bundles are kilobytes of base64 in every version of an APIService or a CRD's object."""
    if isinstance(value, dict):
        return {name: _no_bundles(inner) for name, inner in value.items() if name != "caBundle"}
    if isinstance(value, list):
        return [_no_bundles(inner) for inner in value]
    return value

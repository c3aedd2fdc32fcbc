"""From the JSON of Kubernetes to the pod versions of the contract.

Lists are taken apart pod by pod: a node agent must not hold a whole list as Python objects, which
are many times larger than its text. What is kept of a pod is bounded, so that a record is small
whatever people write into labels and annotations.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from collectors.pods.owners import owners
from pipeline.contract.record import PodVersion
from pipeline.contract.wishes import is_wish, is_wish_variable
from pipeline.logconfig.paths import mounts

KEPT = ("kubectl.kubernetes.io/default-container", "kubectl.kubernetes.io/restartedAt")
CONFIG_HASH = "kubernetes.io/config.hash"  # a static pod's log directory carries this as its uid

_MAX_ITEMS = 64
_MAX_VALUE = 1024
_SPACE = " \t\r\n"


class DocumentError(ValueError):
    """The text is not what the API calls Pod, PodList or List."""


def pods_in(text: str) -> Iterator[dict[str, Any]]:
    """The pods of a Pod, PodList or List document, one at a time. Raises DocumentError, also
    after pods have been given when the text is damaged further on."""
    head: dict[str, Any] = {}
    listed = False
    try:
        for key, item, is_item in _members(text):
            if is_item:
                listed = True
                if isinstance(item, dict) and item.get("kind", "Pod") == "Pod":
                    yield item
            else:
                head[key] = item
    except (ValueError, IndexError, RecursionError) as error:
        raise DocumentError(f"not JSON: {error}") from error
    if head.get("kind") == "Pod":
        yield head
    elif not listed and "items" not in head:
        raise DocumentError(f"expected a Pod, PodList or List, found kind {head.get('kind')!r}")


def _members(text: str) -> Iterator[tuple[str, Any, bool]]:
    """Members of the outermost object; the elements of an array `items` come singly."""
    decode = json.JSONDecoder().raw_decode
    at = _skip(text, 0, "{")
    while text[at] != "}":
        key, at = decode(text, at)
        at = _skip(text, at, ":")
        if key == "items" and text[at] == "[":
            yield key, [], False  # seen, also when empty
            at = _skip(text, at, "[")
            while text[at] != "]":
                item, at = decode(text, at)
                yield key, item, True
                at = _next(text, at, "]")
            at = _next(text, at + 1, "}")
            continue
        value, at = decode(text, at)
        yield key, value, False
        at = _next(text, at, "}")
    if text[at + 1 :].strip():
        raise ValueError(f"something follows the document at character {at + 1}")


def _skip(text: str, at: int, expected: str) -> int:
    """Position after `expected` and the white space around it."""
    at = _blank(text, at)
    if text[at] != expected:
        raise ValueError(f"expected {expected!r} at character {at}")
    return _blank(text, at + 1)


def _next(text: str, at: int, closing: str) -> int:
    """Position of the next member, or of `closing`."""
    at = _blank(text, at)
    if text[at] == closing:
        return at
    at = _skip(text, at, ",")
    if text[at] == closing:
        raise ValueError(f"nothing follows the comma before character {at}")
    return at


def _blank(text: str, at: int) -> int:
    while text[at] in _SPACE:
        at += 1
    return at


def pod_versions(pod: Mapping[str, Any], node: str) -> list[PodVersion]:
    """What is worth keeping of a pod, with version 0; one per uid under which its logs can lie.
    Raises DocumentError for something that has no name, namespace or uid."""
    try:
        metadata = pod["metadata"]
        spec = pod.get("spec") or {}
        labels = _bounded(metadata.get("labels") or {})
        annotations = metadata.get("annotations") or {}
        containers = [
            container
            for group in ("initContainers", "containers", "ephemeralContainers")
            for container in spec.get(group) or ()
        ]
        images = {str(one["name"]): str(one.get("image", "")) for one in containers}
        found = PodVersion(
            uid=str(metadata["uid"]),
            name=str(metadata["name"]),
            namespace=str(metadata["namespace"]),
            node=str(spec.get("nodeName") or node),
            version=0,
            created=str(metadata.get("creationTimestamp") or ""),
            labels=labels,
            annotations=_bounded({k: v for k, v in annotations.items() if k in KEPT or is_wish(k)}),
            owners=owners(metadata, labels),
            images=_bounded(images),
            env=_wishes(containers),
            mounts={name: _bounded(v) for name, v in mounts(spec)[:_MAX_ITEMS]},
        )
    except (LookupError, TypeError, AttributeError) as error:
        raise DocumentError(f"not a pod: {error!r}") from error
    return [found, *_aliases(found, annotations.get(CONFIG_HASH))]


def _aliases(pod: PodVersion, config_hash: object) -> Iterable[PodVersion]:
    if not config_hash or config_hash == pod.uid:
        return ()
    return (replace(pod, uid=str(config_hash)),)


def _wishes(containers: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Variables that speak of logs and are written out, of the first containers that have some."""
    found = {
        str(container["name"]): _bounded(
            {
                str(variable["name"]): variable["value"]
                for variable in container.get("env") or ()
                if is_wish_variable(str(variable["name"])) and variable.get("value")
            }
        )
        for container in containers
    }
    return {name: found[name] for name in list(found)[:_MAX_ITEMS] if found[name]}


def _bounded(values: Mapping[str, Any]) -> dict[str, str]:
    """The first entries by name, each value cut: 64 of 1,024 characters."""
    return {str(key): str(values[key])[:_MAX_VALUE] for key in sorted(values)[:_MAX_ITEMS]}

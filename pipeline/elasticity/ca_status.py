"""What cluster-autoscaler writes into ConfigMap kube-system/cluster-autoscaler-status, in either of
its two forms: YAML since 1.30, aligned text until 1.29. Pure functions.

What is not written is None: unknown, never zero.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml

LAST_UPDATED = "cluster-autoscaler.kubernetes.io/last-updated"
# The C loader is ten times as fast; a status of a hundred groups is written each ten seconds.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Group:
    """A node group, or the whole cluster where `name` is empty."""

    name: str
    healthy: bool | None
    ready: int | None
    registered: int | None
    long_unregistered: int | None
    scale_up: str  # NoActivity, InProgress, Backoff, …
    error_code: str = ""
    error_message: str = ""
    target: int | None = None
    max_size: int | None = None


def parse(status: str) -> list[Group]:
    """The cluster first, then its groups; nothing if the text is neither form."""
    if status.startswith("Cluster-autoscaler status at"):
        return list(_text(status))
    try:
        document = yaml.load(status, _Loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError:
        return []
    if not isinstance(document, dict):
        return []
    groups = [_group(_part(document, "clusterWide"), "")]
    for group in document.get("nodeGroups") or ():
        if isinstance(group, dict) and group.get("name"):
            groups.append(_group(group, str(group["name"])))
    return groups


def updated_ms(annotations: Mapping[str, str]) -> int:
    """Unix ms of the annotation `2026-01-02 15:04:05.999999999 -0700 MST`; 0 if there is none."""
    found = re.match(
        r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.\d+)? ([+-]\d{4})", annotations.get(LAST_UPDATED, "")
    )
    if found is None:
        return 0
    when = datetime.strptime(" ".join(found.groups()), "%Y-%m-%d %H:%M:%S %z")
    return int(when.timestamp() * 1000)


def _group(source: Mapping[str, Any], name: str) -> Group:
    health, scale_up = _part(source, "health"), _part(source, "scaleUp")
    counts = _part(health, "nodeCounts")
    registered, backoff = _part(counts, "registered"), _part(scale_up, "backoffInfo")
    word = health.get("status")
    return Group(
        name,
        None if word is None else word == "Healthy",
        _number(registered.get("ready")),
        _number(registered.get("total")),
        _number(counts.get("longUnregistered")),
        str(scale_up.get("status") or ""),
        str(backoff.get("errorCode") or ""),
        str(backoff.get("errorMessage") or ""),
        _number(health.get("cloudProviderTarget")),
        _number(health.get("maxSize")),
    )


_NAME = re.compile(r"^\s*Name:\s+(\S+)")
_LINE = re.compile(r"^\s*(Health|ScaleUp):\s+(\w+)(?: \((.*)\))?")
_COUNT = re.compile(r"(\w+)=(\d+)")


def _text(status: str) -> Iterator[Group]:
    name, words, counts = "", dict[str, str](), dict[str, int]()
    for line in status.splitlines():
        if found := _NAME.match(line):
            yield _told(name, words, counts)
            name, words, counts = found.group(1), {}, {}
        elif found := _LINE.match(line):
            words[found.group(1)] = found.group(2)
            if found.group(1) == "Health":
                counts = {key: int(n) for key, n in _COUNT.findall(found.group(3) or "")}
    yield _told(name, words, counts)


def _told(name: str, words: Mapping[str, str], counts: Mapping[str, int]) -> Group:
    return Group(
        name,
        words["Health"] == "Healthy" if "Health" in words else None,
        counts.get("ready"),
        counts.get("registered"),
        counts.get("longUnregistered"),
        words.get("ScaleUp", ""),
        target=counts.get("cloudProviderTarget"),
        max_size=counts.get("maxSize"),
    )


def _part(source: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = source.get(name)
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) else None

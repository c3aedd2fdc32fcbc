"""The rules of RBAC that the watcher needs, from the table of what it watches."""

from collections.abc import Iterable
from typing import Any

from collectors.cluster.resources import RESOURCES, Resource


def everywhere(resources: Iterable[Resource] = RESOURCES) -> list[dict[str, Any]]:
    """Rules of a ClusterRole, one per API group: {apiGroups, resources}."""
    groups: dict[str, set[str]] = {}
    for resource in resources:
        if not resource.namespace:
            groups.setdefault(resource.group, set()).add(resource.plural or resource.name)
    return [{"apiGroups": [group], "resources": sorted(names)} for group, names in
            sorted(groups.items())]  # fmt: skip


def in_namespaces(resources: Iterable[Resource] = RESOURCES) -> list[dict[str, Any]]:
    """What is watched in one namespace only, perhaps one object: a Role each."""
    return [
        {
            "namespace": resource.namespace,
            "apiGroups": [resource.group],
            "resources": [resource.plural or resource.name],
            **({"resourceNames": [resource.object_name]} if resource.object_name else {}),
        }
        for resource in resources
        if resource.namespace
    ]

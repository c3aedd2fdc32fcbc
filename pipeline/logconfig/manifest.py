"""A pod, or a workload's template of one, as it is written in a manifest -> a pod version."""

from collections.abc import Mapping
from typing import Any

from pipeline.contract.record import PodVersion
from pipeline.contract.wishes import is_wish_variable
from pipeline.logconfig.paths import mounts

_GROUPS = ("initContainers", "containers", "ephemeralContainers")


def pod_in(document: Mapping[str, Any]) -> PodVersion | None:
    """None for an object that makes no pods."""
    meta, spec = _part(document, "metadata"), _part(document, "spec")
    template = _part(spec, "template") or _part(
        _part(_part(spec, "jobTemplate"), "spec"), "template"
    )
    owner = _part(template, "metadata") if template else meta
    body = _part(template, "spec") if template else spec
    if document.get("kind") != "Pod" and not template:
        return None
    containers = [one for group in _GROUPS for one in _list(body, group) if one.get("name")]
    return PodVersion(
        uid=str(meta.get("uid") or ""),
        name=str(meta.get("name") or str(meta.get("generateName") or "").rstrip("-") or "?"),
        namespace=str(meta.get("namespace") or "default"),
        node=str(body.get("nodeName") or ""),
        version=0,
        labels=_texts(_part(owner, "labels")),
        annotations=_texts(_part(owner, "annotations")),
        images={str(one["name"]): str(one.get("image") or "") for one in containers},
        env={str(one["name"]): _wishes(one) for one in containers if _wishes(one)},
        mounts=_mounts(body),
    )


def _wishes(container: Mapping[str, Any]) -> dict[str, str]:
    return {
        str(variable["name"]): str(variable["value"])
        for variable in _list(container, "env")
        if is_wish_variable(str(variable.get("name"))) and variable.get("value")
    }


def _mounts(body: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    try:
        return dict(mounts(body))
    except (LookupError, TypeError, AttributeError):
        return {}  # not what a pod's volumes look like


def _part(source: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = source.get(name)
    return value if isinstance(value, Mapping) else {}


def _list(source: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = source.get(name)
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in values.items()}

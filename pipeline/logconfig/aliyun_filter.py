"""The agent's filters of containers -> selectors.

Entries of an Include map are alternatives, entries of an Exclude map all count; an empty value
means that the name is enough, a value in ^…$ is a regular expression. Regular expressions on
namespace, pod and container must all match. Source: iLogtail docs, service_docker_stdout.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.logconfig.complaints import BadSettings, Path
from pipeline.logconfig.globs import globs_of

_NAMES = {
    "K8sNamespaceRegex": "namespaces", "K8sPodRegex": "pods", "K8sContainerRegex": "containers",
}  # fmt: skip
_CONTAINER_LABELS = {
    "io.kubernetes.container.name": "containers",
    "io.kubernetes.pod.namespace": "namespaces",
    "io.kubernetes.pod.name": "pods",
}
_UNKNOWN = ("IncludeEnv", "ExcludeEnv", "ExcludeLabel", "ExcludeContainerLabel")


def selectors(detail: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Selectors of which any may hold. Raises BadSettings."""
    refuse(detail, _UNKNOWN)
    common: dict[str, Any] = {}
    for name, field in _NAMES.items():
        if detail.get(name):
            common[field] = _globs(name, str(detail[name]))
    expressions = [
        _expression(key, value, wanted=False)
        for key, value in _map(detail, "ExcludeK8sLabel").items()
    ]
    alternatives: list[dict[str, Any]] = [
        {"matchExpressions": [_expression(key, value, wanted=True)]}
        for key, value in _map(detail, "IncludeK8sLabel").items()
    ]
    named = [
        {_CONTAINER_LABELS[key]: _label_globs(key, value)}
        if key in _CONTAINER_LABELS
        else _unknown_label(key)
        for name in ("IncludeLabel", "IncludeContainerLabel")
        for key, value in _map(detail, name).items()
    ]
    if alternatives and named:
        text = "labels of pods and labels of containers together have no counterpart"
        raise BadSettings([(("IncludeK8sLabel",), text)])
    return [_joined(common, one, expressions) for one in alternatives or named or [{}]]


def refuse(detail: Mapping[str, Any], names: Iterable[str], where: Path = ()) -> None:
    """Raises BadSettings if one of these filters is set."""
    for name in names:
        if detail.get(name):
            text = "filters by environment or container label have no counterpart"
            raise BadSettings([((*where, name), text)])


def _joined(
    common: Mapping[str, Any], one: Mapping[str, Any], more: list[dict[str, Any]]
) -> dict[str, Any]:
    clash = common.keys() & one.keys()
    if clash:
        text = f"{', '.join(clash)} by a regular expression and by a label have no counterpart"
        raise BadSettings([(("IncludeLabel",), text)])
    joined = {**common, **one}
    expressions = [*joined.pop("matchExpressions", ()), *more]
    return {**joined, **({"matchExpressions": expressions} if expressions else {})}


def _map(detail: Mapping[str, Any], name: str) -> dict[str, str]:
    value = detail.get(name) or {}
    if not isinstance(value, Mapping):
        raise BadSettings([((name,), f"expected names and values, found {value!r}"[:100])])
    return {str(key): "" if text is None else str(text) for key, text in value.items()}


def _globs(name: str, pattern: str) -> list[str]:
    globs = globs_of(pattern)
    if globs is None:
        raise BadSettings([((name,), f"{pattern!r} cannot be said with * and ?")])
    return globs


def _label_globs(key: str, value: str) -> list[str]:
    return _globs(key, value if value.startswith("^") else f"^{value}$" if value else ".*")


def _unknown_label(key: str) -> dict[str, Any]:
    raise BadSettings([(("IncludeLabel", key), "labels of containers have no counterpart")])


def _expression(key: str, value: str, *, wanted: bool) -> dict[str, Any]:
    if not value:
        return {"key": key, "operator": "Exists" if wanted else "DoesNotExist"}
    values = [value]
    if value.startswith("^") and value.endswith("$"):
        values = _globs(key, value)
        if any("*" in text for text in values):
            raise BadSettings([(("IncludeK8sLabel", key), f"{value!r} is not a list of values")])
    return {"key": key, "operator": "In" if wanted else "NotIn", "values": values}

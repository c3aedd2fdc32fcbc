"""Does a selector choose a container? As Kubernetes selects: all requirements must hold; NotIn and
DoesNotExist hold for a label that is absent (apimachinery labels.Requirement.Matches)."""

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol


class Requirement(Protocol):
    """spec.Expression, or what a collector reads of one."""

    @property
    def key(self) -> str: ...
    @property
    def operator(self) -> str: ...
    @property
    def values(self) -> Sequence[str]: ...


class Choice(Protocol):
    """spec.Selector, likewise."""

    @property
    def match_labels(self) -> Mapping[str, str]: ...
    @property
    def match_expressions(self) -> Sequence[Requirement]: ...
    @property
    def containers(self) -> Sequence[str]: ...
    @property
    def pods(self) -> Sequence[str]: ...
    @property
    def namespaces(self) -> Sequence[str]: ...


def selects(
    selector: Choice,
    *,
    namespace: str,
    pod: str,
    container: str,
    labels: Mapping[str, str],
) -> bool:
    """`container` "" asks about the pod alone."""
    return (
        _any(selector.namespaces, namespace)
        and _any(selector.pods, pod)
        and (not container or _any(selector.containers, container))
        and all(labels.get(key) == value for key, value in selector.match_labels.items())
        and all(_holds(expression, labels) for expression in selector.match_expressions)
    )


def _any(globs: Iterable[str], name: str) -> bool:
    globs = tuple(globs)
    return not globs or any(fnmatch.fnmatchcase(name, glob) for glob in globs)


def _holds(expression: Requirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(expression.key)
    match expression.operator:
        case "In":
            return value in expression.values
        case "NotIn":
            return value not in expression.values
        case "Exists":
            return value is not None
        case _:
            return value is None

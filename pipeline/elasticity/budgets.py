"""PodDisruptionBudgets: which of them keeps a pod from being evicted now."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BUDGETS = "poddisruptionbudgets"

Object = Mapping[str, Any]


@dataclass(slots=True)
class Budget:
    """`allowed`: status.disruptionsAllowed; None: not said yet."""

    name: str  # namespace/name
    selector: dict[str, Any] | None
    allowed: int | None


@dataclass(slots=True)
class BudgetsState:
    known: dict[str, Budget] = field(default_factory=dict)  # by uid
    watched: bool = False  # whether what is not there was not there


class Budgets:
    def __init__(self, state: BudgetsState) -> None:
        self.state = state

    def see(self, deleted: bool, obj: Object) -> None:
        meta = obj["metadata"]
        self.state.watched = True
        if deleted:
            self.state.known.pop(meta["uid"], None)
            return
        self.state.known[meta["uid"]] = Budget(
            f"{meta['namespace']}/{meta['name']}",
            (obj.get("spec") or {}).get("selector"),
            (obj.get("status") or {}).get("disruptionsAllowed", 0),
        )

    def blocking(self, pod: str, labels: str) -> list[str]:
        """Budgets that select the pod (namespace/name) and allow no disruption."""
        namespace, lines = pod.partition("/")[0], dict(_pairs(labels))
        return sorted(
            budget.name
            for budget in self.state.known.values()
            if budget.allowed == 0
            and budget.name.partition("/")[0] == namespace
            and selects(budget.selector, lines)
        )


def selects(selector: Object | None, labels: Mapping[str, str]) -> bool:
    """A LabelSelector of policy/v1: absent selects nothing, empty selects all."""
    if selector is None:
        return False
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_holds(rule, labels) for rule in selector.get("matchExpressions") or ())


def _holds(rule: Object, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(rule["key"]), rule.get("values") or ()
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }.get(rule["operator"], False)


def _pairs(labels: str) -> list[tuple[str, str]]:
    return [(key, value) for key, _, value in (line.partition("=") for line in labels.splitlines())]

"""Figures: what is printed, one JSON object a line.

`value` is the median of `runs`. Beside it stands what it is held against: `target` is a promise
of the project (`ok` says whether it is kept), `limit` is what the same machine does at best with
the same bytes in the same run, and `ratio` is value / limit. `load` is the machine's 1-minute
load average when the figure was taken: a figure taken under load says little.
"""

import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Target:
    """A promise: at least, or at most, this much."""

    bound: float
    at_least: bool = False

    def kept(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound


def at_least(bound: float) -> Target:
    return Target(bound, at_least=True)


def at_most(bound: float) -> Target:
    return Target(bound)


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def emit(
    name: str,
    runs: Sequence[float],
    unit: str,
    *,
    target: Target | None = None,
    limit: float | None = None,
    **more: Any,
) -> None:
    """Print one figure."""
    value = median(runs)
    figure: dict[str, Any] = {"name": name, "value": _short(value), "unit": unit}
    if target is not None:
        figure["target"] = f"{'>=' if target.at_least else '<='} {target.bound:g}"
        figure["ok"] = target.kept(value)
    if limit:
        figure["limit"] = _short(limit)
        figure["ratio"] = _short(value / limit)
    figure["runs"] = [_short(run) for run in runs]
    figure["load"] = round(os.getloadavg()[0], 2)
    print(json.dumps(figure | more), flush=True)


def skipped(name: str, why: str) -> None:
    """A benchmark that needs a part that is not here."""
    print(json.dumps({"name": name, "skipped": why.splitlines()[0]}), flush=True)


def _short(value: float) -> float:
    """Four digits are more than any of these figures is worth."""
    return float(f"{value:.4g}")

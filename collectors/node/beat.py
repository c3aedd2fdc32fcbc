"""The pace of one part: when it is asked next, and what is being waited for."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.node.ports import PATH, Request
from pipeline.contract import state

if TYPE_CHECKING:
    from collectors.node.config import NodeConfig

NEVER = float("inf")
_HOST_S, _GROWTH_S = 4.0, 4.0  # deadlines of what is read here


@dataclass(slots=True)
class Beat:
    """Times are monotonic seconds. At most one request is under way."""

    part: str
    every_s: float
    deadline_s: float
    asked: float = float("-inf")
    asked_ms: int = 0
    waiting: Request | None = None
    at_once: bool = False
    not_before: float = float("-inf")

    def due(self, hurry_s: float | None = None) -> float:
        """When it is asked next; never while an answer is waited for. `hurry_s` is a faster
        pace."""
        if self.waiting is not None:
            return NEVER
        if self.at_once:
            return self.not_before
        pace = self.every_s if hurry_s is None else min(hurry_s, self.every_s)
        return max(self.asked + pace, self.not_before)


def beats(config: "NodeConfig") -> list[Beat]:
    """All parts that are wanted."""
    paces = {
        state.METRICS: (config.metrics_s, config.deadline_s),
        state.HEALTHZ: (config.healthz_s, config.deadline_s),
        state.PROBES: (config.probes_s, config.deadline_s),
        state.RESOURCE: (config.resource_s, config.deadline_s),
        state.STATS: (config.stats_s, config.slow_deadline_s),
        state.CONFIGZ: (config.configz_s, config.slow_deadline_s),
        state.HOST: (config.host_s, _HOST_S),
        state.GROWTH: (config.growth_s, _GROWTH_S),
    }
    if config.canary.enabled:  # names are resolved first, then all are tried at a time
        paces[PATH] = (config.canary.every_s, 3 * config.canary.deadline_s)
    return [Beat(part, every, deadline) for part, (every, deadline) in paces.items() if every]

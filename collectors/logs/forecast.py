"""When will the kubelet's rotation overrun a container that is read too slowly?

The budget of a container is max size x max files: what the kubelet leaves on disk. What is
written and not yet acknowledged eats into it, at the rate at which it grows. Descriptors that
are held open add to the budget (a deleted file can still be read), so the forecast errs on the
early side.
"""

import math
from collections.abc import Set
from typing import TYPE_CHECKING

from pipeline.base.telemetry import Telemetry
from pipeline.contract import metrics
from pipeline.contract.record import Source

if TYPE_CHECKING:
    from collectors.config import RotationConfig

_KEEP = 0.6  # weight of the past in the moving average, per sweep
_SLOWEST = 1.0  # bytes per second; less growth than this is none


class _Debt:
    """What one container run still owes."""

    __slots__ = ("backlog", "growth", "warned")

    def __init__(self, backlog: int) -> None:
        self.backlog = backlog
        self.growth = 0.0  # bytes per second
        self.warned = False


class Forecast:
    """Fed once a sweep with the backlog of every container run."""

    def __init__(self, config: "RotationConfig", telemetry: Telemetry) -> None:
        self._budget = config.max_size_bytes * config.max_files
        self._warn_s = config.warn_s
        self._telemetry = telemetry
        self._debts: dict[Source, _Debt] = {}

    def observe(self, source: Source, backlog: int, *, seconds: float) -> None:
        """Bytes on disk that are not acknowledged, and the time since the last call."""
        debt = self._debts.get(source)
        if debt is None:
            if backlog:
                self._debts[source] = _Debt(backlog)
            return
        debt.growth = _KEEP * debt.growth + (1 - _KEEP) * (backlog - debt.backlog) / seconds
        debt.backlog = backlog
        self._warn(source, debt)

    def seconds_left(self, source: Source) -> float:
        """Until unread bytes of this run would be rotated away; inf if never."""
        debt = self._debts.get(source)
        if debt is None:
            return math.inf
        spare = self._budget - debt.backlog
        if spare <= 0:
            return 0.0
        return spare / debt.growth if debt.growth > _SLOWEST else math.inf

    def publish(self, alive: Set[Source]) -> None:
        """End of a sweep: the gauge; runs that are no more, or owe nothing, are forgotten."""
        soonest = min(map(self.seconds_left, self._debts), default=math.inf)
        self._telemetry.gauge(metrics.TIME_TO_LOSS, soonest)
        for source, debt in list(self._debts.items()):
            if source not in alive or not (debt.backlog or debt.growth > _SLOWEST):
                del self._debts[source]

    def _warn(self, source: Source, debt: _Debt) -> None:
        left = self.seconds_left(source)
        if left < self._warn_s and not debt.warned:
            self._telemetry.event(
                "loss-ahead", level="warn", path=source.path, seconds=round(left),
                growth_per_s=round(debt.growth), unacked=debt.backlog,
            )  # fmt: skip
        debt.warned = left < self._warn_s

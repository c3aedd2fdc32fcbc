"""Quotas of namespaces: once a minute, how much each wrote, and which share is stored from now on.

A namespace's pods are on all nodes, so on all partitions: no processor sees all that it writes. The
store does. Whoever owns partition 0 asks it about the last whole minute, and writes what follows to
the topic of configurations, valid from a moment ahead: every processor, now or when the logs are
read again, stores the same lines. Between two looks the share stays, so the first minute of a flood
is stored whole; `burstBytes` allows more of that. Times are the lines' own.

State: what is left of each burst. It is lost with the partition; decisions are not: they count,
here as well, once they come back from the topic.
"""

from collections.abc import Iterable, Mapping

from pipeline.base.clock import Clock
from pipeline.base.errors import Unavailable
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Producer
from pipeline.contract.configs import encode_config, log_share
from pipeline.contract.topics import CONFIGS
from pipeline.logconfig.quota import fair, quotas_of
from pipeline.logconfig.spec import Quota
from pipeline.stages.configs import ConfigTable
from pipeline.stages.shed import QUOTA
from pipeline.store.protocol import Store

WINDOW_MS = 60_000
LATE_MS = 10_000  # lines are in the store so long after they were written
AHEAD_MS = 5_000  # decisions are with every processor so long after they were made
KEPT_MS = 8 * 86_400_000  # logs may be read again for so long; older decisions are deleted
_LEAST = 0.001
_NEWS = 0.05  # a share that differs by less is none

_WRITTEN = """
SELECT namespace, sum(stored) AS stored, sum(gone) AS gone FROM (
    SELECT namespace, sum(bytes) AS stored, 0 AS gone FROM logs_1m
    WHERE minute = toDateTime({minute:UInt32}) GROUP BY namespace
    UNION ALL
    SELECT namespace, 0 AS stored, sum(bytes) AS gone FROM shed
    WHERE reason = {reason:String} AND toStartOfMinute(ts) = toDateTime({minute:UInt32})
    GROUP BY namespace
) GROUP BY namespace
"""


class Quotas:
    """Asked each round; looks once a minute."""

    def __init__(
        self,
        table: ConfigTable,
        store: Store,
        producer: Producer,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        self._table = table
        self._store = store
        self._producer = producer
        self._clock = clock
        self._telemetry = telemetry
        self._looked = 0  # the last minute that was looked at
        self._left: dict[str, float] = {}

    def step(self) -> None:
        """For the owner of partition 0."""
        now = self._clock.wall_ns() // 1_000_000
        minute = (now - LATE_MS) // WINDOW_MS - 1
        if minute <= self._looked:
            return
        objects = self._table.valid(self._table.moment(now))
        if any(spec.quota for one in objects for spec in one.specs) or self._reduced(now):
            try:
                written = self._written(minute * 60)
            except Unavailable as error:
                self._telemetry.event("quotas.unknown", "warn", error=str(error))
                return
            self._decide(quotas_of(objects, written), written, now)
        self._looked = minute

    def _reduced(self, now: int) -> list[str]:
        return [n for n in self._table.shares() if self._table.share(n, now + AHEAD_MS) < 1]

    def _written(self, minute: int) -> dict[str, tuple[float, float]]:
        """Namespace -> bytes stored, and shed for the quota."""
        found = self._store.query(_WRITTEN, {"minute": minute, "reason": QUOTA})
        return {str(name): (float(stored), float(gone)) for name, stored, gone in found.rows}

    def _decide(
        self,
        quotas: Mapping[str, Quota],
        written: Mapping[str, tuple[float, float]],
        now: int,
    ) -> None:
        seconds = WINDOW_MS / 1000
        demand = {n: sum(written.get(n, (0.0, 0.0))) / seconds for n in quotas}
        allowed = fair(demand, quotas)
        for namespace in sorted({*quotas, *self._reduced(now)}):
            share = 1.0
            quota = quotas.get(namespace)
            if quota is None:
                self._left.pop(namespace, None)
            elif not self._burst(namespace, quota, written.get(namespace, (0.0, 0.0))[0], allowed):
                share = max(_LEAST, min(1.0, allowed[namespace] / max(demand[namespace], 1e-9)))
            before = self._table.share(namespace, now + AHEAD_MS)
            if abs(share - before) > _NEWS * before or (share == 1) != (before == 1):
                self._tell(namespace, round(share, 6), now + AHEAD_MS)
        self._delete(self._table.forget_shares(now - KEPT_MS))

    def _burst(
        self, namespace: str, quota: Quota, stored: float, allowed: Mapping[str, float]
    ) -> bool:
        """Is something left of it? What was borrowed is not taken from it."""
        window = quota.bytes_per_second * WINDOW_MS / 1000
        full = float(quota.burst_bytes or window)
        borrowed = max(0.0, allowed[namespace] * WINDOW_MS / 1000 - window)
        left = self._left.get(namespace, full) + window - max(0.0, stored - borrowed)
        self._left[namespace] = min(full, max(left, -window))
        return self._left[namespace] > 0

    def _tell(self, namespace: str, share: float, since_ms: int) -> None:
        version = log_share(namespace, since_ms, share)
        self._producer.send(CONFIGS, key=version.key, value=encode_config(version), headers=())
        self._telemetry.event("quota", namespace=namespace, share=share, since_ms=since_ms)

    def _delete(self, gone: Iterable[tuple[str, int]]) -> None:
        for namespace, since_ms in gone:
            key = log_share(namespace, since_ms, 1.0).key
            self._producer.send(CONFIGS, key=key, value=None, headers=())

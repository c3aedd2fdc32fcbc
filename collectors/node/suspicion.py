"""What makes a node worth a closer look, before anything says that it is not ready.

Reasons (each stands until its own evidence is better):

  pleg-age         kubelet_pleg_last_seen_seconds is older than 20 s
  relist-stopped   relists are not finished any more: the histogram of a relist that hangs stands
                   still, k8s.io/kubernetes#86251
  metrics-timeout  /metrics timed out twice in a row: with one hung container it does, and with a
                   hung runtime as well
  healthz          /healthz is not ok
  logs-silent      all containers that were writing fell silent at once (growth.py)

/healthz is only worth a reason when it is known to work: a health port that was never open is a
setting, not a symptom, unless /metrics is not answered either. A late answer tells what was true
when it was asked for: the kubelet reads its gauges first and waits for the runtime then.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from collectors.node.ports import Instant
from pipeline.contract import state

if TYPE_CHECKING:
    from collectors.node.config import SuspicionConfig

PLEG_AGE, RELIST_STOPPED, METRICS_TIMEOUT = "pleg-age", "relist-stopped", "metrics-timeout"
HEALTHZ, LOGS_SILENT = "healthz", "logs-silent"
_EVENTED_RELIST_S = 300  # kubelet.go: with EventedPLEG the generic relist is this rare
_SURE = 2  # this many bad answers of /healthz in a row: more than a restart
_SILENT = frozenset((state.TIMEOUT, state.REFUSED, state.UNREACHABLE))


class Suspicion:
    """Told of answers; says what stands. Times are monotonic seconds."""

    def __init__(self, config: "SuspicionConfig") -> None:
        self._config = config
        self._since: dict[str, float] = {}
        self._last_reason = float("-inf")  # when one last stood
        self._first_reason = float("-inf")  # of this suspicion
        self._relists: tuple[object, float] = (None, float("-inf"))  # count, seen to be new when
        self._gauges_of = float("-inf")  # when the newest gauges were asked for
        self._evented = False
        self._timeouts = 0
        self._metrics_silent = False
        self._healthz_worked = False
        self._healthz_bad = 0

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(sorted(self._since))

    @property
    def timeouts(self) -> int:
        """Of /metrics, in a row."""
        return self._timeouts

    @property
    def sure(self) -> bool:
        """Enough to start the black box."""
        strong = self._since.keys() & {PLEG_AGE, RELIST_STOPPED, METRICS_TIMEOUT}
        return bool(strong) or (HEALTHZ in self._since and self._healthz_bad >= _SURE)

    def hurry(self, now: float) -> bool:
        """Is the faster pace called for?"""
        lately = bool(self._since) or now - self._last_reason < self._config.calm_s
        return lately and now - self._first_reason < self._config.fast_for_s

    def configured(self, values: Mapping[str, Any]) -> None:
        """What /configz says."""
        self._evented = values.get("evented_pleg") is True

    def metrics(self, outcome: str, now: float) -> None:
        """What became of an ordinary /metrics request."""
        self._metrics_silent = outcome in _SILENT
        self._timeouts = self._timeouts + 1 if outcome == state.TIMEOUT else 0
        self._stand(METRICS_TIMEOUT, self._timeouts >= self._config.timeouts, now)

    def growth(self, values: Mapping[str, Any], now: float) -> None:
        """What is known of the containers' logs."""
        self._stand(LOGS_SILENT, "silent" in values, now)

    def gauges(self, values: Mapping[str, Any], *, asked: Instant, now: float) -> None:
        """What an answer says of PLEG, as of when it was asked for."""
        if asked.mono < self._gauges_of:
            return  # a late answer, and a newer one is known
        self._gauges_of = asked.mono
        seen = values.get("pleg_last_seen")
        age = asked.wall_ms / 1000 - seen if seen is not None else 0
        self._stand(PLEG_AGE, age > self._config.pleg_age_s, now)
        count = values.get("relist_count"), values.get("process_start")
        if count != self._relists[0] or count[0] is None:
            self._relists = count, asked.mono
        longest = self._config.relist_stall_s + (_EVENTED_RELIST_S if self._evented else 0)
        self._stand(RELIST_STOPPED, asked.mono - self._relists[1] >= longest, now)

    def healthz(self, outcome: str, failed: bool, now: float) -> None:
        """An answer of /healthz, or none. `failed`: it names a check that failed."""
        if outcome == state.OK:
            self._healthz_worked, self._healthz_bad = True, 0
            self._stand(HEALTHZ, False, now)
            return
        known = self._healthz_worked or self._metrics_silent
        if outcome == state.TIMEOUT or failed or (outcome in _SILENT and known):
            self._healthz_bad += 1
            self._stand(HEALTHZ, True, now)

    def _stand(self, reason: str, stands: bool, now: float) -> None:
        if stands and not self._since and now - self._last_reason >= self._config.calm_s:
            self._first_reason = now
        if stands:
            self._since.setdefault(reason, now)
        if self._since:
            self._last_reason = now
        if not stands:
            self._since.pop(reason, None)

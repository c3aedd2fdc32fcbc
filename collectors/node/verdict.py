"""What an answer means: outcome, what there is to say about it, and values.

A 403 becomes the name of the missing rule, a 500 of /healthz keeps its failed checks, a 200 that
does not read as what was asked for is unreadable. An answer that came late says how old PLEG was
when it was asked for: the kubelet reads its gauges first and waits for the runtime then (measured:
120 s later the gauge still had the value of the beginning).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from collectors.kubelet.refusal import missing_rule
from collectors.node.answers import (
    Probes,
    configz_values,
    healthz_values,
    resource_values,
    stats_values,
)
from collectors.node.metrics_values import metrics_values
from collectors.node.ports import Answer
from pipeline.contract import state

Values = dict[str, Any]
_QUOTED = 300  # characters of what a kubelet says


@dataclass(frozen=True, slots=True)
class Verdict:
    outcome: str
    detail: str = ""
    status: int | None = None
    values: Values | None = None


class Judge:
    """Reads answers. Remembers what /metrics/probes said last, nothing else."""

    def __init__(self) -> None:
        self._readers: dict[str, Callable[[bytes], Values]] = {
            state.METRICS: metrics_values,
            state.PROBES: Probes(),
            state.RESOURCE: resource_values,
            state.HEALTHZ: healthz_values,
            state.CONFIGZ: configz_values,
            state.STATS: stats_values,
        }

    def __call__(self, answer: Answer) -> Verdict:
        status = answer.status
        if answer.outcome != state.OK:
            return Verdict(answer.outcome, answer.detail)
        if status is None:  # read here, not fetched
            return Verdict(state.OK, values=dict(answer.values or {}))
        if status == 200:
            return self._read(answer)
        said = " ".join(answer.body[:1000].decode("utf-8", "replace").split())[:_QUOTED]
        if status == 403:
            return Verdict(state.FORBIDDEN, missing_rule(answer.request.path, said), status)
        if status == 401:
            return Verdict(state.FORBIDDEN, answer.detail or "401: the token is refused", status)
        return Verdict(state.STATUS, said, status, self._failed_checks(answer))

    def _read(self, answer: Answer) -> Verdict:
        request = answer.request
        try:
            values = self._readers[request.part](answer.body)
        except ValueError as error:
            return Verdict(state.UNREADABLE, f"{request.path}: {error}"[:_QUOTED], 200)
        if request.part == state.METRICS and "pleg_last_seen" in values:
            values["pleg_age"] = round(request.asked.wall_ms / 1000 - values["pleg_last_seen"], 3)
        return Verdict(state.OK, status=200, values=values)

    def _failed_checks(self, answer: Answer) -> Values | None:
        if answer.request.part != state.HEALTHZ:
            return None
        try:
            return self._readers[state.HEALTHZ](answer.body)
        except ValueError:
            return None  # a proxy's error page, say: its status is all there is

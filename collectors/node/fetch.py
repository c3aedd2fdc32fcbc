"""Requests of the sampler that go to the kubelet: one GET, one answer, whatever happens."""

from collectors.kubelet.client import KubeletClient, KubeletFailure
from collectors.node.ports import Answer, Request
from pipeline.base.clock import Clock
from pipeline.contract import state


class Fetcher:
    """Blocks until the answer is there or its deadline is over; safe to use from many threads."""

    def __init__(self, kubelet: KubeletClient, *, healthz_url: str, clock: Clock) -> None:
        self._kubelet = kubelet
        self._clock = clock
        query = "" if "?" in healthz_url else "?verbose"
        self._healthz = healthz_url and healthz_url + query

    def __call__(self, request: Request) -> Answer:
        began = self._clock.monotonic()
        try:
            if request.part == state.HEALTHZ and self._healthz:
                reply = self._kubelet.get_plain(self._healthz, deadline_s=request.deadline_s)
            else:
                reply = self._kubelet.get(request.path, deadline_s=request.deadline_s)
        except KubeletFailure as failure:
            return Answer(request, failure.outcome, self._ms(began), detail=str(failure))
        detail = ""
        if reply.status in (401, 403):  # said here, where the token's file is known
            detail = str(self._kubelet.refused(request.path, reply))
        return Answer(request, state.OK, self._ms(began), reply.status, reply.body, detail=detail)

    def _ms(self, began: float) -> int:
        return round((self._clock.monotonic() - began) * 1000)

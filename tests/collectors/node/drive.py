"""Drives a sampler in virtual time, with a node that answers as it is told."""

from collections.abc import Callable
from dataclasses import dataclass, field

from collectors.node.config import NodeConfig
from collectors.node.ports import CRI, Answer, Instant, Request
from collectors.node.sampler import Sampler
from pipeline.contract import state
from pipeline.contract.state import StateEvent

T0 = 1_795_412_000.0

Answers = Callable[[Request, float], tuple[float, Answer] | None]  # when, what; None: never


@dataclass
class Drive:
    """`answers` says when and what; time passes from request to answer. Times in `log` are
    seconds after T0."""

    answers: Answers
    config: NodeConfig = field(default_factory=NodeConfig)
    log: list[tuple[float, Request]] = field(default_factory=list)
    events: list[StateEvent] = field(default_factory=list)
    reasons: list[tuple[float, tuple[str, ...]]] = field(default_factory=list)
    before: Callable[[Sampler, float], None] = lambda sampler, now: None
    start: float = T0

    def __post_init__(self) -> None:
        self.sampler = Sampler(self.config, node="node-a")
        self.now = self.start
        self._pending: list[tuple[float, Answer]] = []

    def run(self, seconds: float) -> "Drive":
        end = self.now + seconds
        while True:
            self.before(self.sampler, self.now)
            for request in self.sampler.due(Instant.at(self.now)):
                self.log.append((round(self.now - self.start, 3), request))
                answer = self.answers(request, self.now)
                if answer is not None:
                    self._pending.append(answer)
            self._pending.sort(key=lambda pending: pending[0])
            arrival = self._pending[0][0] if self._pending else float("inf")
            self.now = min(arrival, max(self.sampler.next_due, self.now), self.now + 1)
            if self.now > end:
                self.now = end
                return self
            while self._pending and self._pending[0][0] <= self.now:
                self.events += self.sampler.answered(self._pending.pop(0)[1], Instant.at(self.now))
            if self.sampler.reasons != (self.reasons[-1][1] if self.reasons else ()):
                self.reasons.append((round(self.now - self.start, 3), self.sampler.reasons))

    def asked(self, part: str, *, patient: bool = False) -> list[float]:
        return [t for t, r in self.log if r.part == part and r.patient is patient]

    def samples(self, part: str) -> list[StateEvent]:
        return [e for e in self.events if e.kind == state.SAMPLE and e.body["part"] == part]


def metrics_text(*, last_seen: float, relists: int, start: float = T0 - 1000) -> bytes:
    return (
        "# TYPE kubelet_pleg_last_seen_seconds gauge\n"
        f"kubelet_pleg_last_seen_seconds {last_seen}\n"
        "# TYPE kubelet_pleg_relist_duration_seconds histogram\n"
        f"kubelet_pleg_relist_duration_seconds_count {relists}\n"
        "# TYPE process_start_time_seconds gauge\n"
        f"process_start_time_seconds {start}\n"
    ).encode()


def fine(request: Request, now: float) -> tuple[float, Answer] | None:
    """A healthy node answers in 20 ms; it has no black box."""
    if request.part == CRI:
        return None
    if request.part in (state.HOST, state.GROWTH):
        return now + 0.001, Answer(request, state.OK, 1, values={})
    texts = {
        state.METRICS: metrics_text(last_seen=int(now), relists=int(now - T0)),
        state.PROBES: b"# TYPE prober_probe_total counter\n",
        state.RESOURCE: b"# TYPE node_cpu_usage_seconds_total counter\n"
        b"node_cpu_usage_seconds_total 1\n",
        state.HEALTHZ: b"[+]ping ok\n",
        state.CONFIGZ: b'{"kubeletconfig": {}}',
        state.STATS: b'{"node": {}, "pods": []}',
    }
    return now + 0.02, Answer(request, state.OK, 20, 200, texts[request.part])


def failing(
    parts: tuple[str, ...], outcome: str, *, since: float = T0, until: float = float("inf")
) -> Answers:
    """A node on which these parts do not answer for a while; the rest does."""

    def answers(request: Request, now: float) -> tuple[float, Answer] | None:
        if request.part in parts and since <= now < until:
            after = request.deadline_s if outcome == state.TIMEOUT else 0.001
            return now + after, Answer(request, outcome, round(after * 1000))
        return fine(request, now)

    return answers

"""The thread that samples this node: drives the sampler with real time, real answers, the bus.

One turn: ask for what is due, wait for an answer or until something is due, make events of the
answers, hand them to the bus. Nothing here blocks for longer than a second; what can hang does so
on its own thread (lanes.py) or in its own process (the black box).
"""

import threading
from typing import TYPE_CHECKING

from collectors.node.growth import Growth
from collectors.node.lanes import Lanes
from collectors.node.outbox import Outbox
from collectors.node.ports import CRI, Answer, BlackBox, Instant, Request
from collectors.node.sampler import Sampler
from pipeline.base.clock import Clock
from pipeline.base.telemetry import Telemetry
from pipeline.contract import metrics, state

if TYPE_CHECKING:
    from pipeline.contract.state import StateEvent

_LONGEST_WAIT_S = 1.0
_BEFORE_RETRY_S = 5.0  # after something unexpected
_SAY_AGAIN_S = 600.0  # an unchanged trouble is repeated this often
# Outcomes that a person must mend: they are settings, not states of the node.
_MISTAKES = (state.FORBIDDEN, state.CERTIFICATE, state.UNREADABLE)


class Collector:
    """A context manager: the thread runs inside it."""

    def __init__(
        self,
        sampler: Sampler,
        *,
        lanes: Lanes,
        growth: Growth,
        blackbox: BlackBox | None,
        outbox: Outbox,
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
        self._sampler = sampler
        self._lanes = lanes
        self._growth = growth
        self._blackbox = blackbox
        self._outbox = outbox
        self._telemetry = telemetry
        self._clock = clock
        self._box: Request | None = None  # the black box's, while it runs
        self._reasons: tuple[str, ...] = ()
        self._said: dict[str, tuple[str, float]] = {}  # part -> trouble, when
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="node", daemon=True)

    def __enter__(self) -> "Collector":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        self._lanes.wake()
        self._thread.join(2 * _LONGEST_WAIT_S)

    def step(self) -> None:
        """One turn; returns when something has happened, or after a second."""
        if self._growth.news():
            self._sampler.hasten(state.GROWTH)
        now = self._now()
        for request in self._sampler.due(now):
            self._ask(request)
        self._outbox.settle()
        pause = max(0.0, min(self._sampler.next_due - now.mono, _LONGEST_WAIT_S))
        for answer in [*self._lanes.wait(pause), *self._box_answer()]:
            for event in self._sampler.answered(answer, self._now()):
                self._take(event)
        self._outbox.settle()
        self._say_reasons()

    def _ask(self, request: Request) -> None:
        if request.part != CRI:
            self._lanes.ask(request)
        elif self._blackbox is not None:
            self._box = request
            self._telemetry.event("blackbox-started", level="warn", why=request.why)
            self._blackbox.start(request.why)

    def _box_answer(self) -> list[Answer]:
        if self._box is None or self._blackbox is None:
            return []
        body = self._blackbox.finished()
        if body is None:
            return []
        request, self._box = self._box, None
        ms = round((self._clock.monotonic() - request.asked.mono) * 1000)
        return [Answer(request, state.OK, ms, values=body)]

    def _take(self, event: "StateEvent") -> None:
        self._outbox.put(event)
        if event.kind != state.SAMPLE:
            return
        part, outcome = event.body["part"], event.body["outcome"]
        self._telemetry.count(metrics.SAMPLES, part=part, outcome=outcome)
        if outcome in _MISTAKES:
            self._complain(part, outcome, event.body.get("detail", ""))
        elif outcome == state.OK:
            self._said.pop(part, None)

    def _complain(self, part: str, outcome: str, why: str) -> None:
        now = self._clock.monotonic()
        said, when = self._said.get(part, ("", float("-inf")))
        if outcome != said or now - when >= _SAY_AGAIN_S:
            self._said[part] = outcome, now
            self._telemetry.event(
                "sample-failed", level="warn", part=part, outcome=outcome, why=why
            )

    def _say_reasons(self) -> None:
        before, self._reasons = self._reasons, self._sampler.reasons
        if before == self._reasons:
            return
        for reason in {*before, *self._reasons}:
            self._telemetry.gauge(metrics.SUSPICIOUS, float(reason in self._reasons), reason=reason)
        level = "warn" if self._reasons else "info"
        self._telemetry.event("node-suspicious", level=level, reasons=list(self._reasons))

    def _now(self) -> Instant:
        return Instant(self._clock.monotonic(), self._clock.wall_ns() // 1_000_000)

    def _run(self) -> None:
        while not self._stopping:
            try:
                self.step()
            except Exception as error:  # noqa: BLE001 - border of the thread: samples are worth
                why = f"{type(error).__name__}: {error}"  # less than logs, and must not stop
                self._telemetry.event("samples-failed", level="error", why=why)
                self._lanes.wait(_BEFORE_RETRY_S)
        self._outbox.settle()

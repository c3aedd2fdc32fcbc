"""When to ask this node for what, and what the answers become: state events.

A pure state machine (see ports.py): no clock, no thread, no socket. It promises

  - never two requests of one part at a time, but for the patient second /metrics;
  - one event per answer: a sample (or, for the black box and the canary, a probe), also when the
    answer is a time-out, a refusal or nonsense;
  - the same answers at the same times give the same events, ids included.

Pace: `every` of each part; while something is suspicious (suspicion.py) /metrics and /healthz every
second, and at its beginning everything at once, since which endpoints still answer is evidence.
"""

from typing import TYPE_CHECKING, Any

from collectors.node.beat import NEVER, Beat, beats
from collectors.node.ports import CRI, PATH, Answer, Instant, Request
from collectors.node.suspicion import Suspicion
from collectors.node.verdict import Judge, Verdict
from pipeline.contract import state

if TYPE_CHECKING:
    from collectors.node.config import NodeConfig

PATHS = {
    state.METRICS: "/metrics",
    state.PROBES: "/metrics/probes",
    state.RESOURCE: "/metrics/resource",
    state.HEALTHZ: "/healthz?verbose",
    state.CONFIGZ: "/configz",
    state.STATS: "/stats/summary",
}
_HURRIED = (state.METRICS, state.HEALTHZ)  # asked faster while suspicious
_TELLING = (state.PROBES, state.RESOURCE, state.STATS, state.HOST)  # asked at its beginning
_PATIENT_PAUSE_S = 10.0  # at least this from one patient request to the next
_BOX_S = 60.0  # a black box may take this long
_BOX_LOST_S = 120.0  # and is given up after this


class Sampler:
    """Of one node."""

    def __init__(self, config: "NodeConfig", *, node: str) -> None:
        self._config = config
        self._node = node
        self._judge = Judge()
        self._suspicion = Suspicion(config.suspicion)
        self._beats = {beat.part: beat for beat in beats(config)}
        self._patient = Beat("metrics-patient", _PATIENT_PAUSE_S, config.patient_deadline_s)
        self._box = Beat(CRI, config.blackbox.every_s, _BOX_S)
        self._hurried = False
        self._now = float("-inf")

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the node is suspicious; empty when it is not."""
        return self._suspicion.reasons

    @property
    def next_due(self) -> float:
        """Monotonic seconds at which `due` has something, if nothing is answered before."""
        ordinary = [beat.due(self._hurry(beat, self._now)) for beat in self._beats.values()]
        return min([*ordinary, self._patient_due(), self._box_due()])

    def hasten(self, part: str) -> None:
        """Something is known to have happened: ask for this part now."""
        if part in self._beats:
            self._beats[part].at_once = True

    def due(self, now: Instant) -> list[Request]:
        """What is to be asked now."""
        self._now = max(self._now, now.mono)
        if now.mono - self._box.asked >= _BOX_LOST_S:
            self._box.waiting = None  # nobody carries it out
        due = [b for b in self._beats.values() if b.due(self._hurry(b, now.mono)) <= now.mono]
        if self._patient_due() <= now.mono:
            due.append(self._patient)
        if self._box_due() <= now.mono:
            due.append(self._box)
        return [self._ask(beat, now) for beat in due]

    def answered(self, answer: Answer, now: Instant) -> list[state.StateEvent]:
        """The event that the answer is. An answer to nothing that is waited for is none."""
        self._now = max(self._now, now.mono)
        request = answer.request
        beat = self._beat(request)
        if beat is None or beat.waiting is None or beat.waiting.id != request.id:
            return []
        beat.waiting = None
        if request.part in (CRI, PATH):
            return self._probe(answer, now)
        verdict = self._judge(answer)
        if verdict.outcome == state.FORBIDDEN:
            beat.not_before = request.asked.mono + max(self._config.refused_s, beat.every_s)
        self._suspect(request, verdict, now.mono)
        return [self._sample(answer, verdict, now)]

    # -- pace --------------------------------------------------------------------------------

    def _beat(self, request: Request) -> Beat | None:
        if request.part == CRI:
            return self._box
        return self._patient if request.patient else self._beats.get(request.part)

    def _hurry(self, beat: Beat, now: float) -> float | None:
        hurry = beat.part in _HURRIED and self._suspicion.hurry(now)
        return self._config.suspicion.every_s if hurry else None

    def _patient_due(self) -> float:
        """Beside an ordinary /metrics that does not answer."""
        wanted = self._suspicion.timeouts >= self._config.suspicion.timeouts
        return self._patient.due() if wanted and self._config.patient_deadline_s else NEVER

    def _box_due(self) -> float:
        wanted = self._config.blackbox.enabled and self._suspicion.sure
        return self._box.due() if wanted else NEVER

    def _ask(self, beat: Beat, now: Instant) -> Request:
        beat.asked_ms = max(now.wall_ms, beat.asked_ms + 1)  # ids differ though clocks step back
        patient = beat is self._patient
        part = state.METRICS if patient else beat.part
        request = Request(
            id=f"{self._node}:{beat.part}:{beat.asked_ms}",
            part=part,
            path=PATHS.get(part, ""),
            asked=Instant(now.mono, beat.asked_ms),
            deadline_s=beat.deadline_s,
            patient=patient,
            why=", ".join(self._suspicion.reasons) if beat is self._box else "",
        )
        beat.waiting, beat.asked, beat.at_once = request, now.mono, False
        return request

    # -- meaning -----------------------------------------------------------------------------

    def _suspect(self, request: Request, verdict: Verdict, now: float) -> None:
        part, outcome, values = request.part, verdict.outcome, verdict.values
        if part == state.METRICS and not request.patient:
            self._suspicion.metrics(outcome, now)
        if part == state.METRICS and values is not None:
            self._suspicion.gauges(values, asked=request.asked, now=now)
        elif part == state.HEALTHZ:
            failed = bool(values and values["failed"])
            self._suspicion.healthz(outcome, failed, now)
        elif part == state.GROWTH and values is not None:
            self._suspicion.growth(values, now)
        elif part == state.CONFIGZ and values is not None:
            self._suspicion.configured(values)
        hurried, self._hurried = self._hurried, self._suspicion.hurry(now)
        if self._hurried and not hurried:
            for telling in _TELLING:
                self.hasten(telling)

    def _sample(self, answer: Answer, verdict: Verdict, now: Instant) -> state.StateEvent:
        request = answer.request
        optional = {
            "status": verdict.status,
            "detail": verdict.detail or None,
            "patient": request.patient or None,
            "values": verdict.values,
        }
        body = {
            "node": self._node,
            "part": request.part,
            "asked_ms": request.asked.wall_ms,
            "ms": answer.ms,
            "outcome": verdict.outcome,
            **{key: value for key, value in optional.items() if value is not None},
        }
        return state.StateEvent(state.SAMPLE, now.wall_ms, self._node, request.id, body)

    def _probe(self, answer: Answer, now: Instant) -> list[state.StateEvent]:
        """Without a body there is nothing to tell: what hinders a probe is its own business."""
        if answer.values is None:
            return []
        request = answer.request
        body: dict[str, Any] = {"node": self._node, "probe": request.part}
        if request.why:
            body["why"] = request.why
        body |= answer.values
        return [state.StateEvent(state.PROBE, now.wall_ms, self._node, request.id, body)]

"""A recording through the real collectors, in virtual time: state events and log lines, in order.

Nothing waits: a heap holds what happens next (an answer arrives, a watch line comes, a tick is
due), and time is the time of what is taken from it. The same recording gives the same sequence.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count

from collectors.node.config import NodeConfig
from collectors.node.ports import Answer, Instant, Request
from collectors.node.sampler import Sampler
from collectors.recording.api import Stream, streams
from collectors.recording.growth import LOOK_S, RecordedGrowth
from collectors.recording.kubelet import RecordedHost, RecordedKubelet
from collectors.recording.layout import Recording
from collectors.recording.lines import HostLine, host_lines
from pipeline.contract import state
from pipeline.contract.state import TICK, StateEvent

TICK_S = 5.0

Happening = StateEvent | HostLine


@dataclass(order=True, slots=True)
class _Due:
    t: float
    number: int
    act: Callable[[], list[StateEvent]]


class Play:
    """One recording, once."""

    def __init__(self, recording: Recording, *, config: NodeConfig | None = None) -> None:
        self._recording = recording
        self._kubelet = RecordedKubelet(recording)
        self._host = RecordedHost(recording)
        self._growth = RecordedGrowth(recording)
        self._sampler = Sampler(self._config(config), node=recording.node)
        self._heap: list[_Due] = []
        self._numbers = count()
        self._wake = float("inf")

    def happenings(self) -> Iterator[Happening]:
        """In the order of their times; what falls on one time, in a fixed order."""
        lines = iter(sorted(host_lines(self._recording), key=lambda line: line.t_ms))
        line = next(lines, None)
        self._plan()
        while self._heap:
            due = heapq.heappop(self._heap)
            while line is not None and line.t_ms <= due.t * 1000:
                yield line
                line = next(lines, None)
            yield from due.act()

    def _config(self, config: NodeConfig | None) -> NodeConfig:
        """What was not recorded is not asked for."""
        recorded = {state.HOST: bool(self._host), state.GROWTH: bool(self._growth)}
        absent = [
            part
            for part in state.SAMPLE_PARTS
            if not recorded.get(part, self._kubelet.answers(part))
        ]
        return (config or NodeConfig()).model_copy(update={f"{part}_s": 0.0 for part in absent})

    def _plan(self) -> None:
        recording = self._recording
        t = recording.start
        for stream in streams(recording):
            self._at(t, self._following(stream, partial(stream.begin, t)))
            for when, piece in stream.later:
                if when <= recording.end:
                    feed = partial(stream.feed, when, piece)
                    self._at(when, self._following(stream, feed))
        self._sample(t)
        for number in range(int((recording.end - t) / TICK_S) + 1):
            self._at(t + number * TICK_S, _ticking(t + number * TICK_S))
        if self._growth:
            for number in range(int((recording.end - t) / LOOK_S) + 1):
                self._at(t + number * LOOK_S, partial(self._look, t + number * LOOK_S))

    def _following(
        self, stream: Stream, act: Callable[[], list[StateEvent]]
    ) -> Callable[[], list[StateEvent]]:
        """`act`, and a look at the stream when it has something to write by itself."""

        def acted() -> list[StateEvent]:
            events = act()
            if stream.due <= self._recording.end and stream.due != stream.planned:
                stream.planned = stream.due
                tick = partial(stream.tick, stream.due)
                self._at(stream.due, self._following(stream, tick))
            return events

        return acted

    def _at(self, t: float, act: Callable[[], list[StateEvent]]) -> None:
        heapq.heappush(self._heap, _Due(t, next(self._numbers), act))

    def _sample(self, t: float) -> None:
        """Look at the sampler at that time, and again whenever it wants."""
        self._wake = t
        self._at(t, lambda: self._ask(t))

    def _ask(self, t: float) -> list[StateEvent]:
        if t != self._wake or t > self._recording.end:
            return []  # another look was planned meanwhile
        for request in self._sampler.due(Instant.at(t)):
            self._carry_out(request, t)
        self._again(t)
        return []

    def _again(self, t: float) -> None:
        due = self._sampler.next_due
        if due < float("inf"):
            self._sample(max(due, t + 0.001))

    def _look(self, t: float) -> list[StateEvent]:
        """As the tailer: all log files, and word to the sampler when all fell silent."""
        if self._growth.look(t):
            self._sampler.hasten(state.GROWTH)
            self._sample(t)
        return []

    def _carry_out(self, request: Request, t: float) -> None:
        if request.part in (state.HOST, state.GROWTH):
            if request.part == state.HOST:
                values = self._host.read(t)
            else:
                values = self._growth.read(request.asked)
            answer = Answer(request, state.OK, 1, values=values)
            self._at(t + 0.001, lambda: self._answered(answer, t + 0.001))
        elif request.path:
            when, given = self._kubelet.answer(request)
            self._at(when, lambda: self._answered(given, when))

    def _answered(self, answer: Answer, t: float) -> list[StateEvent]:
        events = self._sampler.answered(answer, Instant.at(t))
        self._again(t)
        return events


def _ticking(t: float) -> Callable[[], list[StateEvent]]:
    ms = round(t * 1000)
    return lambda: [StateEvent(TICK, ms, "process-state", f"tick:{ms}", {})]

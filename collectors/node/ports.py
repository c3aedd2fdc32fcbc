"""What the sampler and its surroundings say to each other.

`Sampler` (sampler.py) is a pure state machine in the time that it is given. Whoever drives it (the
agent with threads and sockets, or a replay with recorded answers in virtual time) does, over and
over:

    for request in sampler.due(now):     carry it out; give up after request.deadline_s
    sampler.answered(answer, now)        -> state events, ready for kubeledger.state
    sampler.next_due                     when `due` has something again (monotonic seconds)

Every request gets exactly one answer, also when nothing came (outcome timeout). Only the black box
(`part` is CRI) may stay without one: a driver that has none ignores it. How a request is carried
out depends on its `part`:

    metrics probes resource healthz configz stats    GET `path`; the answer has status and body
    host        HostFacts.read          the answer has values, no body
    growth      Growth.read             the answer has values, no body
    CRI         BlackBox.start(why), later its body of the probe as values
    PATH        the canary; values is its body of the probe
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

CRI, PATH = "cri", "path"  # parts whose answers are probes, not samples


class Instant(NamedTuple):
    """Now, by both clocks: deadlines and pauses use the first, records carry the second."""

    mono: float  # seconds, never goes back
    wall_ms: int  # Unix milliseconds

    @classmethod
    def at(cls, unix_s: float) -> "Instant":
        """Virtual time in which both clocks agree."""
        return cls(unix_s, round(unix_s * 1000))


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to find out. `id` names the observation: NODE:PART:asked_ms."""

    id: str
    part: str  # one of state.SAMPLE_PARTS, CRI or PATH
    path: str  # of the kubelet, with query; "" where nothing is fetched
    asked: Instant
    deadline_s: float  # for the whole answer
    patient: bool = False  # the second, slow /metrics, beside the ordinary one
    why: str = ""  # CRI: what made the sampler suspicious


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request. With a `status` the outcome is OK whatever the status is: the
    sampler judges it and reads the body. `detail` says more of a failure."""

    request: Request
    outcome: str  # one of state.OUTCOMES
    ms: int  # how long it took
    status: int | None = None
    body: bytes = b""
    values: Mapping[str, Any] | None = None
    detail: str = ""


class HostFacts(Protocol):
    """host.py. Called on a thread of its own, because statvfs can hang for ever; while one call
    hangs, no other is made."""

    def read(self, now: float) -> Mapping[str, Any]:
        """`values` of part host (pipeline/contract/samples.py). `now` is monotonic seconds."""


class BlackBox(Protocol):
    """The CRI probe and its evidence, in a short-lived process of its own. Both calls return at
    once, and come from one thread."""

    def start(self, why: str) -> None:
        """Begin, unless one is running."""

    def finished(self) -> Mapping[str, Any] | None:
        """Body of the probe event (probe: cri) once, when a run is over; None otherwise. The
        sampler adds `node` and `why` where they are missing."""

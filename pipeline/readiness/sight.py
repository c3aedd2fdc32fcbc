"""What the watcher sees of the API. A resource that it can neither list nor watch changes unseen:
that nothing was heard of it is no evidence then, and neither is it in the first moments after,
while what happened meanwhile comes in.

State: the last `synced` word of each scope, a resource and a namespace ("" for all). Only a failure
makes blind: of a resource that nobody spoke of, whatever is recorded counts.

A watcher that is gone says no failure. But one that watches leases has a pulse (`next_ms`): when
that is overdue nothing is seen of any resource, and until then silence is known up to the last beat
and not beyond.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.contract.state import OK

CATCH_UP_MS = 10_000
OVERDUE_MS = 10_000  # a beat may be as late as this


@dataclass(slots=True)
class Word:
    t: int  # Unix ms
    blind: bool
    since: int  # when that began; 0: it was never blind


@dataclass(slots=True)
class Pulse:
    t: int = 0  # of the last beat, Unix ms, by the watcher's clock
    heard: int = 0  # the same by the reader's: how long ago that was is for one clock to tell
    next_ms: int = 0  # 0: there is none
    since: int = 0  # when it came back; 0: it was never away


@dataclass(slots=True)
class SightState:
    words: dict[str, dict[str, Word]] = field(default_factory=dict)  # resource -> namespace
    pulse: Pulse = field(default_factory=Pulse)  # absent from older snapshots


class Sight:
    def __init__(self, state: SightState | None = None) -> None:
        self.state = state or SightState()

    def told(self, body: Mapping[str, Any], t: int, now: int) -> None:
        """A `synced` event. The word of a leader that has gone may come late: it counts no more.
        Of single objects (`name`) nothing is concluded."""
        if body.get("name"):
            return
        self._beat(body, t, now)
        words = self.state.words.setdefault(body["resource"], {})
        old, blind = words.get(body.get("namespace", "")), body.get("outcome") != OK
        if old is None:
            words[body.get("namespace", "")] = Word(t, blind, t if blind else 0)
        elif t >= old.t:
            old.since = old.since if blind == old.blind else t
            old.t, old.blind = t, blind

    def _beat(self, body: Mapping[str, Any], t: int, now: int) -> None:
        pulse = self.state.pulse
        if t < pulse.t:
            return
        if "next_ms" in body:
            pulse.since = t if self._gone(now) else pulse.since
            pulse.t, pulse.heard, pulse.next_ms = t, now, body["next_ms"]
        elif body["resource"] == "leases" and body.get("outcome") != OK:
            pulse.next_ms = 0  # it lives, and says itself what it does not see

    def _gone(self, now: int) -> bool:
        pulse = self.state.pulse
        return pulse.next_ms > 0 and now - pulse.heard > pulse.next_ms + OVERDUE_MS

    def known_until(self, now: int) -> int:
        """Up to when it is known that nothing was heard: the last beat; `now` without a pulse."""
        pulse = self.state.pulse
        return min(pulse.t, now) if pulse.next_ms else now

    def unseen_until(self, resource: str, now: int, namespace: str = "") -> int:
        """Until when nothing was seen of it, Unix ms: `now` while the watcher is blind, 0 if it
        never was. The latest word about the namespace or about all counts: which namespaces are
        watched may change."""
        if self._gone(now):
            return now
        back = self.state.pulse.since
        words = self.state.words.get(resource, {})
        about = [words[name] for name in dict.fromkeys((namespace, "")) if name in words]
        if not about:
            return back
        word = max(about, key=lambda word: word.t)
        return now if word.blind else max(word.since, back)

    def sees(self, resource: str, now: int, namespace: str = "") -> bool:
        """It does, and has had time to hear what it missed."""
        until = self.unseen_until(resource, now, namespace)
        return not until or now - until >= CATCH_UP_MS

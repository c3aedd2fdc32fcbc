"""The kubelet and the host of a recording: they answer the sampler's requests as they did then.

A request for a path at time T is answered as the last recorded request for it before T was: with
its status and body, or not at all. Recordings asked every 5 to 60 s; a sampler that asks more
often gets the same answer again. Times of answers are those recorded.

A patient /metrics is answered when the recorded one that was under way at T was. Its PLEG gauge was
read when that one was asked; where later answers show that relists went on meanwhile, it is moved
to the time of ours, since a kubelet that is asked later reads a later value.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from collectors.node.ports import Answer, Request
from collectors.recording.layout import Recording
from pipeline.contract import state
from pipeline.contract.samples import DAEMONS

_LAST_SEEN = re.compile(rb"^(kubelet_pleg_last_seen_seconds) (\S+)$", re.MULTILINE)
_FILES = {
    state.METRICS: "metrics",
    state.PROBES: "metrics-probes",
    state.RESOURCE: "metrics-resource",
    state.HEALTHZ: "healthz",
    state.CONFIGZ: "configz",
    state.STATS: "stats-summary",
}
_PATIENT = "metrics-patient"
_EARLY_S = 1.0  # the first recorded answer may be a little later than the first request
_RUNC_OLD_S = 10.0


@dataclass(frozen=True, slots=True)
class _Given:
    """One recorded answer; `status` None: there was none."""

    t: float
    ms: int
    status: int | None
    body: bytes
    outcome: str


class RecordedKubelet:
    def __init__(self, recording: Recording) -> None:
        self._given = {
            part: [_given(row) for row in recording.rows(f"kubelet-{name}")]
            for part, name in _FILES.items()
        }
        self._patient = [_given(row) for row in recording.rows(f"kubelet-{_PATIENT}")]
        self._times = {part: [g.t for g in given] for part, given in self._given.items()}

    def answers(self, part: str) -> bool:
        """Was this part recorded at all?"""
        return bool(self._given.get(part))

    def answer(self, request: Request) -> tuple[float, Answer]:
        """(when, what): Unix seconds at which the answer is there."""
        asked = request.asked.wall_ms / 1000
        given = self._under_way(asked) if request.patient else self._last(request.part, asked)
        if given is None:
            return asked, Answer(request, state.REFUSED, 0)
        if given.status is None:
            ms = int(request.deadline_s * 1000) if given.outcome == state.TIMEOUT else given.ms
            return asked + ms / 1000, Answer(request, given.outcome, ms)
        body, ms = given.body, given.ms
        if request.patient:
            ms = int((given.t - asked) * 1000) + given.ms
            body = self._moved(given, asked)
        if ms > request.deadline_s * 1000:
            late = int(request.deadline_s * 1000)
            return asked + request.deadline_s, Answer(request, state.TIMEOUT, late)
        return asked + ms / 1000, Answer(request, state.OK, ms, given.status, body)

    def _last(self, part: str, asked: float) -> _Given | None:
        given = self._given.get(part) or []
        at = bisect_right(self._times.get(part, []), asked + _EARLY_S) - 1
        if at >= 0:
            return given[at]
        return given[0] if given else None

    def _under_way(self, asked: float) -> _Given | None:
        """The patient request that waited at that time; without one the ordinary /metrics tell
        when there was an answer again."""
        for given in self._patient:
            if given.t <= asked < given.t + given.ms / 1000:
                return given
        later = [g for g in self._given[state.METRICS] if g.t >= asked and g.status is not None]
        return later[0] if later else _Given(asked, 0, None, b"", state.TIMEOUT)

    def _moved(self, given: _Given, asked: float) -> bytes:
        found = _LAST_SEEN.search(given.body)
        if found is None or asked <= given.t:
            return given.body
        moved = float(found.group(2)) + asked - given.t
        later = (g for g in (*self._patient, *self._given[state.METRICS]) if g.t > given.t)
        if not any(_seen(g.body) >= moved for g in later):
            return given.body
        line = b"kubelet_pleg_last_seen_seconds %.6f" % moved
        return given.body[: found.start()] + line + given.body[found.end() :]


def _seen(body: bytes) -> float:
    found = _LAST_SEEN.search(body)
    return float(found.group(2)) if found else 0.0


def _given(row: Mapping[str, Any]) -> _Given:
    if "error" in row:
        outcome = state.TIMEOUT if "time" in str(row["error"]).lower() else state.REFUSED
        return _Given(row["t"], int(row.get("ms") or 0), None, b"", outcome)
    body = str(row.get("body", "")).encode()
    return _Given(row["t"], int(row.get("ms") or 0), int(row["status"]), body, state.OK)


class RecordedHost:
    """Values of part `host` from the recorded process table."""

    def __init__(self, recording: Recording) -> None:
        self._rows = list(recording.rows("processes"))
        self._times = [row["t"] for row in self._rows]
        self._seen: dict[int, float] = {}  # pid -> first seen
        for row in self._rows:
            for process in row["procs"]:
                self._seen.setdefault(process["pid"], row["t"])

    def __bool__(self) -> bool:
        return bool(self._rows)

    def read(self, asked: float) -> dict[str, Any]:
        """The last record before then; the first one before it."""
        at = max(bisect_right(self._times, asked) - 1, 0)
        processes = self._rows[at]["procs"]
        return {
            "daemons": {
                p["name"]: {"pid": p["pid"], "state": p["state"], "started": self._seen[p["pid"]]}
                for p in processes
                if p["name"] in DAEMONS
            },
            "shims": [
                {"pid": p["pid"], "comm": p["name"], "state": p["state"]}
                for p in processes
                if "shim" in p["name"] and p["state"] in ("D", "T", "t")
            ],
            "runc": [
                {"pid": p["pid"], "age_s": asked - self._seen[p["pid"]], "command": p["name"]}
                for p in processes
                if p["name"] == "runc" and asked - self._seen[p["pid"]] > _RUNC_OLD_S
            ],
        }

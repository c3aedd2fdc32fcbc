"""The PLEG machine and what the kubelet's own endpoints tell: age of the last relist, whether
relists still finish, runtime calls that fail, and which endpoint is silent while which answers.

Facts that shape it (measured on a real kubelet, and k/k pkg/kubelet/pleg/generic.go):
- A relist that hangs is invisible in the histograms; only `pleg_last_seen` ages. It is the START of
  the last relist that could list pods.
- /metrics waits for the runtime: with ONE container's shim stopped it hangs although relists go
  on. So a time-out is no PLEG; a second, patient request tells: a fresh `last_seen` in the late
  answer is one container, a stale one is the relist.
- /healthz stays ok through every PLEG fault; it is silent only when the kubelet is.
- Each stuck status call costs runtimeRequestTimeout (2 min): a relist of N times that is N stuck
  pods (twice each up to 1.31).

State per node: the last good metrics, and how long each endpoint has been silent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pipeline.contract.state import (
    CONFIGZ,
    DELETED,
    HEALTHZ,
    METRICS,
    OBJECT,
    OK,
    REFUSED,
    RESOURCE,
    SAMPLE,
    STATS,
    TIMEOUT,
    StateEvent,
)
from pipeline.readiness.detector import Scene
from pipeline.readiness.evidence import Atoms
from pipeline.readiness.world import node_entity

LATE_S, STALE_S, THRESHOLD_S = 20, 60, 180  # the kubelet says NotReady at the last one
PATIENT_FRESH_S, PATIENT_STALE_S = 5, 10  # at the time of asking; a healthy one is 1-2 s old
STOPPED_S = 30  # no relist finished for so long (healthy: one a second)
SLOW_S = 5.0  # mean duration of relists that did finish
TIMED_OUT_S = 100.0  # a relist that long waited for a runtime call's time-out
CERT_SOON_S = 7 * 86_400
STATUS_OPS = ("podsandbox_status", "container_status")
LIST_OPS = ("list_podsandbox", "list_containers", "version", "status")
_MACHINE = "pleg"
_FOR_EVER = 1e12
_HUNG = frozenset({"metric/scrape-hangs", "metric/pleg.late", "metric/pleg.relist-stopped"})
_OF_A_HANG = (
    "signal/kubelet.pleg-",
    "signal/kubelet.list-",
    "signal/kubelet.runtime-",
    "signal/kubelet.sanity-",
    "signal/kubelet.sandbox-status-",
    "signal/kubelet.container-status-",
    "probe/cri.",
    "metric/patient-stale",
)
# While one of these stands, every sample is looked at closely.
_WORRIES = frozenset(
    f"metric/{name}"
    for name in (
        "pleg.late",
        "pleg.relist-stopped",
        "pleg.relist-slow",
        "scrape-hangs",
        "cert.expired",
        "cert.expiring",
        "cert.renew-errors",
    )
)


@cache
def _worries(atom: str) -> bool:
    return atom in _WORRIES or atom.startswith(_OF_A_HANG)


_CALM: set[str] = set()  # atoms that were found to be none: a node that is well has the same ones


def _worrying(atoms: Atoms) -> bool:
    """Is any of these a worry?"""
    if atoms.keys() <= _CALM:
        return False
    worrying = any(map(_worries, atoms))
    if not worrying:
        _CALM.update(atoms)
    return worrying


@dataclass(slots=True)
class KubeletState:
    t: int = 0  # event time of the last good metrics
    last_seen: float = 0.0
    relists: float = 0.0
    relist_s: float = 0.0
    moved: int = 0  # when a finished relist was last counted
    start: float = 0.0
    errors: dict[str, float] = field(default_factory=dict)  # runtime call -> how many failed
    discarded: float = 0.0
    rest_errors: float = 0.0
    evented: bool = False
    pleg: str = ""
    silent: dict[str, int] = field(default_factory=dict)  # part -> silent since, event time
    times: dict[str, int] = field(default_factory=dict)  # part -> silent answers in a row

    def goes_on(self, values: Mapping[str, Any], t: int) -> bool:
        """Nothing is worse than in the last sample: relists finish, no error was counted. Then
        the numbers are taken over."""
        get = values.get
        count, seconds, last_seen = (
            get("relist_count", 0.0), get("relist_sum", 0.0), get("pleg_last_seen", 0.0)
        )  # fmt: skip
        new = count - self.relists
        well = (
            new > 0
            and seconds - self.relist_s <= SLOW_S * new
            and t / 1000 - last_seen <= LATE_S
            and get("process_start", 0.0) == self.start
            and get("pleg_discarded", 0.0) == self.discarded
            and (get("rest") or {}).get("<error>", 0.0) == self.rest_errors
            and get("client_cert_ttl", _FOR_EVER) > CERT_SOON_S
        )
        if not well:
            return False
        ops = get("ops") or {}
        for name, errors in self.errors.items():
            if name not in ops or ops[name][1] != errors:
                return False
        self.t = self.moved = t
        self.last_seen, self.relists, self.relist_s = last_seen, count, seconds
        return True


@dataclass(slots=True)
class PlegState:
    nodes: dict[str, KubeletState] = field(default_factory=dict)


class Pleg:
    NAME = "pleg"
    ATOMS: Mapping[str, str] = {
        "metric/pleg.late": "the last relist is more than 20 s old",
        "metric/pleg.stale": "the last relist is more than 60 s old",
        "metric/pleg.over": "the last relist is older than the kubelet's threshold of 3 minutes",
        "metric/pleg.fresh": "relists go on: the last one is a few seconds old",
        "metric/pleg.relist-stopped": "no relist has finished for 30 s",
        "metric/pleg.relist-slow": "relists that finish take more than 5 s",
        "metric/pleg.relist-timed-out": "a relist took as long as a runtime call's time-out",
        "metric/pleg.discarded": "pod lifecycle events were discarded: their channel is full",
        "metric/cri.status-errors": "status calls for single pods or containers fail",
        "metric/cri.list-errors": "calls that list pods, or ask for the runtime's status, fail",
        "metric/scrape-hangs": "the kubelet's /metrics timed out twice in a row",
        "metric/stats-hangs": "the kubelet's /metrics/resource or /stats/summary timed out",
        "metric/patient-fresh": "a patient request for /metrics shows that relists go on",
        "metric/patient-stale": "a patient request for /metrics shows a stuck relist",
        "metric/healthz-ok": "the kubelet's /healthz answers ok",
        "metric/healthz-failed": "the kubelet's /healthz names a failed check",
        "metric/kubelet-silent": "the kubelet accepts connections and answers nothing",
        "metric/kubelet-refused": "nothing listens on the kubelet's port",
        "metric/kubelet-answers": "the kubelet answers on its own port",
        "metric/kubelet-restarted": "the kubelet was restarted",
        "metric/cert.expired": "the kubelet's client certificate has expired",
        "metric/cert.expiring": "the kubelet's client certificate expires within 7 days",
        "metric/cert.renew-errors": "the kubelet cannot renew its certificate",
        "metric/rest-errors": "the kubelet's requests to the API server fail",
    }
    READS = (
        *((SAMPLE, part) for part in (METRICS, HEALTHZ, RESOURCE, STATS, CONFIGZ)),
        (OBJECT, "nodes"),
    )

    def __init__(self) -> None:
        self.state = PlegState()

    def see(self, event: StateEvent, scene: Scene) -> None:
        body = event.body
        if event.kind == OBJECT:
            if body["type"] == DELETED:
                self.state.nodes.pop(body["object"]["metadata"]["name"], None)
            return
        node, part = body["node"], body["part"]
        kubelet = self.state.nodes.get(node)
        if kubelet is None:
            kubelet = self.state.nodes[node] = KubeletState()
        entity, values, well = node_entity(node), body.get("values") or {}, body["outcome"] == OK
        patient = body.get("patient")
        if (
            well
            and part not in kubelet.silent
            and not patient
            and _as_ever(kubelet, part, values, event.t, scene.book.atoms(entity))
        ):
            return
        if not patient:
            self._silence(kubelet, entity, body, scene)
        if not well:
            return
        if part == METRICS and patient:
            self._patient(entity, body, values, scene)
        elif part == METRICS:
            self._metrics(kubelet, entity, values, event.t, scene)
            if _HUNG.isdisjoint(scene.book.atoms(entity)):
                self._recovered(entity, scene)
        elif part == HEALTHZ:
            failed = values.get("failed") or ()
            scene.set(entity, "metric/healthz-ok", not failed, "/healthz ok")
            quote = f"/healthz: {', '.join(failed)} failed"
            scene.set(entity, "metric/healthz-failed", bool(failed), quote)
        elif part == CONFIGZ:
            kubelet.evented = bool(values.get("evented_pleg"))

    @staticmethod
    def _recovered(entity: str, scene: Scene) -> None:
        """Relists go on: what the kubelet and the black box said of calls that hang was true until
        now, and is no standing evidence any more. Its lines may come after the recovery."""
        for atom, subjects in list(scene.book.atoms(entity).items()):
            if atom.startswith(_OF_A_HANG):
                for subject in list(subjects):
                    scene.clear(entity, atom, subject=subject)

    # Which endpoint answers

    def _silence(
        self, kubelet: KubeletState, entity: str, body: Mapping[str, Any], scene: Scene
    ) -> None:
        part, outcome = body["part"], body["outcome"]
        if outcome == TIMEOUT:
            kubelet.silent.setdefault(part, body.get("asked_ms", scene.now))
            kubelet.times[part] = kubelet.times.get(part, 0) + 1
        else:
            kubelet.silent.pop(part, None)
            kubelet.times.pop(part, None)
        since = kubelet.silent.get(part, scene.now)
        quote = f"/{part} timed out {kubelet.times.get(part, 0)} times since {_clock(since)}"
        hangs = kubelet.times.get(part, 0) >= 2
        if part == METRICS:
            self._mark(entity, "metric/scrape-hangs", hangs, quote, since, scene)
        elif part in (RESOURCE, STATS):
            hung = [p for p in (RESOURCE, STATS) if p in kubelet.times]
            self._mark(entity, "metric/stats-hangs", bool(hung), quote, since, scene)
        elif part == HEALTHZ:
            self._mark(entity, "metric/kubelet-silent", hangs, quote, since, scene)
            refused = outcome == REFUSED
            scene.set(entity, "metric/kubelet-refused", refused, "/healthz: connection refused")
            scene.set(entity, "metric/kubelet-answers", outcome == OK, "/healthz answers")
            if outcome != OK:
                scene.clear(entity, "metric/healthz-ok")

    @staticmethod
    def _mark(entity: str, atom: str, true: bool, quote: str, since: int, scene: Scene) -> None:
        if true:
            scene.hold(entity, atom, quote, since=since)
        else:
            scene.clear(entity, atom)

    def _patient(
        self, entity: str, body: Mapping[str, Any], values: Mapping[str, Any], scene: Scene
    ) -> None:
        if "pleg_last_seen" not in values:
            return
        # The gauge is read when the request comes in, the rest of the answer waits for the runtime.
        age = body["asked_ms"] / 1000 - values["pleg_last_seen"]
        quote = (
            f"/metrics answered after {body['ms'] / 1000:.0f} s; when it was asked, the last "
            f"relist was {age:.0f} s old"
        )
        if age < PATIENT_FRESH_S:
            scene.point(entity, "metric/patient-fresh", quote)
        elif age > PATIENT_STALE_S:
            scene.point(entity, "metric/patient-stale", quote)

    # What /metrics says

    def _metrics(
        self, kubelet: KubeletState, entity: str, values: Mapping[str, Any], t: int, scene: Scene
    ) -> None:
        start = values.get("process_start", 0.0)
        if kubelet.start and start > kubelet.start + 1:
            scene.point(
                entity, "metric/kubelet-restarted", f"process started {_clock(start * 1e3)}"
            )
            scene.transition("kubelet", entity, "running", "restarted")
            pleg = kubelet.pleg
            self.state.nodes[entity.split("/", 1)[1]] = kubelet = KubeletState(
                pleg=pleg, evented=kubelet.evented
            )
        kubelet.start = start
        self._age(kubelet, entity, values, t, scene)
        self._relists(kubelet, entity, values, t, scene)
        self._calls(kubelet, entity, values, scene)
        self._rest(kubelet, entity, values, scene)
        kubelet.t = t

    def _age(
        self, kubelet: KubeletState, entity: str, values: Mapping[str, Any], t: int, scene: Scene
    ) -> None:
        if not values.get("pleg_last_seen") or kubelet.evented:
            return  # evented PLEG writes the time of the check itself: always fresh
        kubelet.last_seen = values["pleg_last_seen"]
        age = t / 1000 - kubelet.last_seen
        since, quote = int(kubelet.last_seen * 1000), f"kubelet_pleg_last_seen is {age:.0f} s old"
        for atom, bound in (("late", LATE_S), ("stale", STALE_S), ("over", THRESHOLD_S)):
            self._mark(entity, f"metric/pleg.{atom}", age > bound, quote, since, scene)
        scene.set(entity, "metric/pleg.fresh", age <= LATE_S, quote)
        name = "hung" if age > THRESHOLD_S else "stale" if age > STALE_S else "healthy"
        if name != kubelet.pleg:
            if kubelet.pleg:
                scene.transition(_MACHINE, entity, kubelet.pleg, name, message=quote)
            kubelet.pleg = name

    def _relists(
        self, kubelet: KubeletState, entity: str, values: Mapping[str, Any], t: int, scene: Scene
    ) -> None:
        if "relist_count" not in values:
            return
        count, seconds = values["relist_count"], values.get("relist_sum", 0.0)
        new, spent = count - kubelet.relists, seconds - kubelet.relist_s
        known = kubelet.t > 0
        if new > 0 or not known:
            kubelet.moved = t
        if known and not kubelet.evented:
            still = t - kubelet.moved
            quote = f"no relist finished for {still / 1000:.0f} s"
            stopped = still >= STOPPED_S * 1000
            self._mark(entity, "metric/pleg.relist-stopped", stopped, quote, kubelet.moved, scene)
        if known and new > 0:
            self._durations(entity, new, spent, scene)
        kubelet.relists, kubelet.relist_s = count, seconds
        discarded = values.get("pleg_discarded", 0.0)
        if known and discarded > kubelet.discarded:
            scene.point(
                entity, "metric/pleg.discarded", f"{discarded - kubelet.discarded:.0f} more"
            )
        kubelet.discarded = discarded

    @staticmethod
    def _durations(entity: str, new: float, spent: float, scene: Scene) -> None:
        mean = spent / new
        quote = f"{new:.0f} relists took {spent:.1f} s"
        scene.set(entity, "metric/pleg.relist-slow", SLOW_S < mean < TIMED_OUT_S, quote)
        if spent >= TIMED_OUT_S and spent - new * SLOW_S >= TIMED_OUT_S / 2:
            scene.point(entity, "metric/pleg.relist-timed-out", quote)

    def _calls(
        self, kubelet: KubeletState, entity: str, values: Mapping[str, Any], scene: Scene
    ) -> None:
        ops: Mapping[str, list[float]] = values.get("ops") or {}
        if kubelet.t:
            for atom, names in (("status-errors", STATUS_OPS), ("list-errors", LIST_OPS)):
                more = {n: ops[n][1] - kubelet.errors.get(n, 0) for n in names if n in ops}
                grown = {name: rise for name, rise in more.items() if rise > 0}
                if grown:
                    text = ", ".join(f"{name} {rise:.0f}" for name, rise in sorted(grown.items()))
                    scene.point(entity, f"metric/cri.{atom}", f"runtime errors: {text}")
        kubelet.errors = {name: ops[name][1] for name in (*STATUS_OPS, *LIST_OPS) if name in ops}

    def _rest(
        self, kubelet: KubeletState, entity: str, values: Mapping[str, Any], scene: Scene
    ) -> None:
        errors = sum(n for code, n in (values.get("rest") or {}).items() if code == "<error>")
        if kubelet.t and errors > kubelet.rest_errors:
            scene.point(entity, "metric/rest-errors", f"{errors - kubelet.rest_errors:.0f} failed")
        kubelet.rest_errors = errors
        ttl = values.get("client_cert_ttl")
        if ttl is not None and abs(ttl) < 1e11:  # +Inf: no client certificate is managed
            quote = f"client certificate: {ttl / 86400:.1f} days left"
            scene.set(entity, "metric/cert.expired", ttl <= 0, quote)
            scene.set(entity, "metric/cert.expiring", 0 < ttl < CERT_SOON_S, quote)
        renew = values.get("client_cert_renew_errors", 0) + values.get(
            "server_cert_renew_errors", 0
        )
        scene.set(entity, "metric/cert.renew-errors", renew > 0, f"{renew:.0f} renewal errors")


def _as_ever(
    kubelet: KubeletState, part: str, values: Mapping[str, Any], t: int, atoms: Atoms
) -> bool:
    """The ordinary case, which is nearly every sample of a large cluster: a part that is well and
    was well. What the book holds stays true. Numbers are kept."""
    if part == METRICS:
        return "metric/pleg.fresh" in atoms and not _worrying(atoms) and kubelet.goes_on(values, t)
    if part == HEALTHZ:
        return (
            "metric/healthz-ok" in atoms
            and "metric/kubelet-answers" in atoms
            and not values.get("failed")
        )
    return part != CONFIGZ and not kubelet.silent and "metric/stats-hangs" not in atoms


def _clock(ms: float) -> str:
    """Time of day, UTC, of Unix milliseconds: arithmetic, so that folds need no library's zone."""
    seconds = int(ms // 1000) % 86_400
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}Z"

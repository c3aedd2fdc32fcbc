"""What an HPA was asked to carry, from recorded versions of it and of its pods.

A status says an average over the pods that counted at that sync. Which those were it does not
say; it is what the rules say of the recorded pods (replicas.py): Ready, and since METRICS_LAG_S.
The total, average times pods, is the demand. A status is not written while nothing changes, so a
version holds until the next one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from pipeline.base.errors import UsageError
from pipeline.base.times import unix_s
from pipeline.elasticity.hpa import AVERAGE, SYNC_S, Settings, Target, reading_of, settings_of
from pipeline.elasticity.quotas import QUOTAS, Need, Quotas, need_of
from pipeline.readiness.world import World, object_entity

# From Ready until a whole window of the metrics API lies behind that moment: metrics-server asks
# each 15 s (--metric-resolution) about the last 15 s. 27 to 30 s were seen with 0.9.0.
METRICS_LAG_S = 28.0
# A pod's creation is a whole second, and a quota's status follows its pods by some tenths: looked
# at in between, a pod would be there and not counted.
SETTLE_S = 2.0
HPAS = "horizontalpodautoscalers"

Version = tuple[float, str, bool, Mapping[str, Any]]  # Unix seconds, resource, deleted, object


@dataclass(slots=True)
class PodLife:
    """Unix seconds; None: not yet."""

    created: float
    ready: float | None = None
    gone: float | None = None

    def serves(self, t: float) -> bool:
        return self.ready is not None and self.ready <= t and (self.gone is None or t < self.gone)

    def counts(self, t: float) -> bool:
        """Does the average include it?"""
        return self.serves(t) and self.ready is not None and self.ready + METRICS_LAG_S <= t


class Present:
    """Who is there, for times that only go forward: a day has many pods, a moment few."""

    def __init__(self, lives: Iterable[PodLife]) -> None:
        self._coming = sorted(lives, key=lambda life: life.created, reverse=True)
        self._here: list[PodLife] = []

    def within(self, start: float, end: float) -> list[PodLife]:
        """Those that exist at some time of this span."""
        while self._coming and self._coming[-1].created <= end:
            self._here.append(self._coming.pop())
        self._here = [life for life in self._here if life.gone is None or life.gone >= start]
        return self._here


@dataclass(frozen=True, slots=True)
class Sync:
    """One look of the controller: `load` is the total by target, None if it was not to be had.
    `clock` counts whole sync periods: a status is written some tenths of a second after the
    decision, now more, now less, and the controller never looks earlier than after its period."""

    t: float
    clock: float
    settings: Settings
    current: int
    load: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Rescale:
    t: float
    before: int
    after: int


@dataclass(slots=True)
class Recorded:
    """`gaps`: (from, to) in which nothing is known of the demand."""

    namespace: str
    name: str
    workload: str = ""
    syncs: list[Sync] = field(default_factory=list)
    rescales: list[Rescale] = field(default_factory=list)
    pods: list[PodLife] = field(default_factory=list)
    end: float = 0.0
    quotas: Quotas = field(default_factory=Quotas)
    need: Need | None = None  # of one pod, from the youngest; None: none was recorded

    def allowed(self, t: float) -> int | None:
        """Pods that the namespace's quotas let the workload have; None: as many as it likes."""
        settled = t + SETTLE_S
        room = self.quotas.room(settled, self.need) if self.need is not None else None
        if room is None:
            return None
        here = [p for p in self.pods if p.created <= settled]
        return sum(p.gone is None or p.gone > settled for p in here) + room

    @property
    def startup_s(self) -> float | None:
        """Median from creation to Ready of the recorded pods; None if none was seen to begin."""
        first = self.syncs[0].t if self.syncs else 0.0
        times = [p.ready - p.created for p in self.pods if p.ready and p.created >= first - SYNC_S]
        return median(times) if times else None

    def unknown_s(self) -> float:
        """Seconds for which a metric was not to be had."""
        pairs = zip(self.syncs, [*(s.t for s in self.syncs[1:]), self.end], strict=True)
        return sum(end - sync.t for sync, end in pairs if None in sync.load)


def recorded_demand(
    versions: Iterable[Version], namespace: str, name: str, *, since: float = 0.0
) -> Recorded:
    """From versions in order of time: the HPA, its pods, ReplicaSets; what is older than `since`
    says only how it was then. Raises UsageError if the HPA is not among them, or never had a
    status."""
    found = Recorded(namespace, name)
    world, mine, pods = World(), [], _Pods(namespace)
    for t, resource, deleted, obj in versions:
        if not deleted and "spec" not in obj:
            continue  # it was too large for the log, and its metadata alone is there
        world.see(resource, deleted, obj)
        found.end = max(found.end, t)
        meta = obj["metadata"]
        if resource == "pods" and meta.get("namespace") == namespace:
            pods.see(t, deleted, obj, world)
        elif resource == QUOTAS and meta.get("namespace") == namespace:
            found.quotas.see(t, deleted, obj)
        elif resource == HPAS and (meta.get("namespace"), meta["name"]) == (namespace, name):
            mine.append((t, deleted, obj))
    looks = [(t, obj) for t, deleted, obj in mine if not deleted and _looked(obj)]
    before = [(since, obj) for t, obj in looks if t < since][-1:]
    looks = before + [(t, obj) for t, obj in looks if t >= since]
    if not looks:
        known = "its status was never written" if mine else "it is not in what was recorded"
        raise UsageError(f"HPA {namespace}/{name}: {known}; look at an earlier --since")
    reference = looks[-1][1]["spec"]["scaleTargetRef"]
    found.workload = object_entity(reference["kind"], namespace, reference["name"])
    found.pods, found.need = pods.of(found.workload), pods.need(found.workload)
    _syncs(found, looks)
    return found


class _Pods:
    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._lives: dict[str, tuple[str, PodLife]] = {}
        self._youngest: dict[str, Mapping[str, Any]] = {}  # of each workload

    def see(self, t: float, deleted: bool, obj: Mapping[str, Any], world: World) -> None:
        meta, status = obj["metadata"], obj.get("status") or {}
        _, life = self._lives.get(meta["uid"], ("", None))
        if life is None:
            if deleted or not meta.get("creationTimestamp"):
                return
            workload = world.workload_of(self._namespace, meta["name"])
            life = PodLife(seconds(meta["creationTimestamp"]))
            self._lives[meta["uid"]] = (workload, life)
            self._youngest[workload] = obj
        ready = next((c for c in status.get("conditions") or () if c["type"] == "Ready"), None)
        if life.ready is None and ready is not None and ready["status"] == "True":
            life.ready = seconds(ready.get("lastTransitionTime")) or t
        ends = deleted or meta.get("deletionTimestamp") or status.get("phase") == "Failed"
        if ends and life.gone is None:
            life.gone = t

    def of(self, workload: str) -> list[PodLife]:
        return [life for owner, life in self._lives.values() if owner == workload]

    def need(self, workload: str) -> Need | None:
        return need_of(self._youngest[workload]) if workload in self._youngest else None


def _syncs(found: Recorded, looks: list[tuple[float, Mapping[str, Any]]]) -> None:
    """A sync at each status that was written, and each SYNC_S in between."""
    desired, present = None, Present(found.pods)
    for number, (t, obj) in enumerate(looks):
        status, settings = obj["status"], settings_of(obj["spec"])
        current, wanted = int(status.get("currentReplicas") or 0), status.get("desiredReplicas")
        if wanted and current and wanted != desired and wanted != current:
            found.rescales.append(Rescale(t, current, int(wanted)))
        desired = wanted
        if number and t - found.syncs[-1].t < SYNC_S / 3 and current == found.syncs[-1].current:
            found.syncs.pop()  # the same sync: its status in two writes
        until = looks[number + 1][0] if number + 1 < len(looks) else found.end
        when = t
        while when == t or when <= until - SYNC_S * 0.5:
            pods = present.within(when, when) if found.pods else None
            load = tuple(_load(target, status, current, pods, when) for target in settings.targets)
            found.syncs.append(Sync(when, _clock(found.syncs, when), settings, current, load))
            when += SYNC_S


def _clock(syncs: list[Sync], t: float) -> float:
    if not syncs:
        return t
    periods = max(1, round((t - syncs[-1].t) / SYNC_S))
    return syncs[-1].clock + periods * SYNC_S


def _looked(hpa: Mapping[str, Any]) -> bool:
    """Before its first sync an HPA has a status without conditions."""
    return bool((hpa.get("status") or {}).get("conditions"))


def _load(
    target: Target,
    status: Mapping[str, Any],
    current: int,
    pods: list[PodLife] | None,
    t: float,
) -> float | None:
    """`pods` None: none were recorded, and all that the status counts were measured."""
    reading = reading_of(target, status)
    if reading is None:
        return None
    if pods is None or (target.type == AVERAGE and not target.of_pods):
        return reading * current
    if target.of_pods:
        return reading * (sum(pod.counts(t) for pod in pods) or current)
    return reading * (serving(pods, t) or current)


def serving(pods: Iterable[PodLife], t: float) -> int:
    return sum(pod.serves(t) for pod in pods)


def seconds(text: Any) -> float:
    """Unix seconds of a metav1.Time; 0 if there is none."""
    return unix_s(text)

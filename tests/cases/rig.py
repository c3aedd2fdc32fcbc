"""The generator of synthetic recordings: a fold with the shipped catalogue, fed by hand.

Times are seconds after T0. Log lines go through the real finder of signals, so a case stands on
the words that components write, not on the names that we gave them.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from pipeline.base.fold import Folds
from pipeline.base.seen import Seen
from pipeline.contract.facts import EPISODE, TRANSITION, Fact
from pipeline.contract.record import Source
from pipeline.contract.state import (
    EVENT,
    GROWTH,
    HEALTHZ,
    HOST,
    METRICS,
    MODIFIED,
    OBJECT,
    OK,
    PROBE,
    SAMPLE,
    SYNCED,
    TICK,
    StateEvent,
)
from pipeline.readiness.catalogue import Catalogue
from pipeline.readiness.finder import SignalFinder
from pipeline.readiness.fold import Readiness
from pipeline.readiness.signals import SignalCatalogue, load_signals
from pipeline.verdicts import open_diagnosis, whole_catalogue

T0 = 1_795_412_000_000
NODE = "node-a"


@cache
def _signals() -> SignalCatalogue:
    return load_signals()


@cache
def _catalogue() -> Catalogue:
    return whole_catalogue()


def new_fold() -> Readiness:
    """Empty; the catalogues, which nothing changes, are read once for all tests."""
    return open_diagnosis(_catalogue(), _signals())


class Rig:
    """Each call folds one event and returns what follows from it."""

    def __init__(self, fold: Readiness | None = None) -> None:
        self.fold = fold or new_fold()
        self._folds = Folds({"readiness": self.fold}, seen=Seen())
        self.offset = -1
        self.events: list[StateEvent] = []
        self.facts: list[Fact] = []
        self._version = 100
        self._bytes = 0
        self._finder = SignalFinder(_signals())

    def feed(self, event: StateEvent) -> list[Fact]:
        self.offset += 1
        self.events.append(event)
        facts = self._folds.apply(event, self.offset)
        self.facts += facts
        return facts

    def tick(self, s: float) -> list[Fact]:
        t = ms(s)
        return self.feed(StateEvent(TICK, t, "test", f"tick:{t}", {}))

    def ticks(self, start: float, stop: float, step: float = 5) -> None:
        s = start
        while s <= stop:
            self.tick(s)
            s += step

    def alive(self, start: float, stop: float) -> None:
        """The kubelet answers and renews its lease, whatever else is wrong."""
        s = start
        while s <= stop:
            self.healthz(s)
            if s % 20 == 0:
                self.lease(s)
            self.tick(s)
            s += 5

    def sample(
        self, s: float, part: str, values: dict[str, Any] | None = None, **more: Any
    ) -> list[Fact]:
        t = ms(s)
        body = {"node": NODE, "part": part, "asked_ms": t, "ms": 10, "outcome": OK}
        body |= {"values": values or {}} | more
        return self.feed(StateEvent(SAMPLE, t, NODE, f"{part}:{t}", body))

    def metrics(self, s: float, *, age: float = 0.5, **values: Any) -> list[Fact]:
        base = {"process_start": 1.0, "relist_count": s, "relist_sum": s / 50,
                "pleg_last_seen": ms(s) / 1000 - age}  # fmt: skip
        return self.sample(s, METRICS, base | values)

    def patient(self, s: float, *, age: float, took_s: float) -> list[Fact]:
        """A patient request for /metrics, asked at `s`, when the last relist was so old."""
        values = {"pleg_last_seen": ms(s) / 1000 - age}
        return self.sample(s, METRICS, values, patient=True, ms=int(took_s * 1000))

    def healthz(self, s: float, outcome: str = OK) -> list[Fact]:
        return self.sample(s, HEALTHZ, {"failed": []}, outcome=outcome)

    def host(self, s: float, **values: Any) -> list[Fact]:
        return self.sample(s, HOST, values)

    def growth(self, s: float, **values: Any) -> list[Fact]:
        return self.sample(s, GROWTH, values)

    def log(self, s: float, program: str, text: str, *, node: str = NODE) -> list[str]:
        """A line of a program of the node; the names of the signals that it is."""
        return self._line(s, Source(node, "", "", "", program, 0, f"/var/log/{program}.log"), text)

    def container_log(self, s: float, pod: str, container: str, text: str) -> list[str]:
        """A line of a container; `pod` is namespace/name."""
        namespace, name = pod.split("/")
        source = Source(NODE, namespace, name, f"uid-{name}", container, 0, "0.log")
        return self._line(s, source, text)

    def _line(self, s: float, source: Source, text: str) -> list[str]:
        self._bytes += len(text) + 1
        found = self._finder.find(
            source, 1, bodies=[text.encode()], offsets=[self._bytes], ts=[ms(s) * 1_000_000]
        )
        for event in found:
            self.feed(event)
        return [event.body["pattern"] for event in found]

    def probe(self, s: float, **body: Any) -> list[Fact]:
        t = ms(s)
        return self.feed(StateEvent(PROBE, t, NODE, f"probe:{t}", {"node": NODE} | body))

    def event(self, s: float, reason: str, message: str, **about: str) -> list[Fact]:
        t = ms(s)
        body = {"uid": f"e{t}{reason}", "version": "1", "type": "Normal", "reason": reason,
                "message": message, "object": about, "component": "kubelet", "host": NODE,
                "first_ms": t, "last_ms": t, "count": 1}  # fmt: skip
        return self.feed(StateEvent(EVENT, t, "watch", f"e:{t}:{reason}", body))

    def object(
        self, s: float, resource: str, document: dict[str, Any], kind: str = MODIFIED
    ) -> list[Fact]:
        self._version += 1
        meta = document["metadata"]
        meta.setdefault("uid", f"{resource}-{meta.get('namespace', '')}-{meta['name']}")
        meta["resourceVersion"] = str(self._version)
        body = {"resource": resource, "type": kind, "object": document}
        return self.feed(StateEvent(OBJECT, ms(s), "watch", f"o{self._version}", body))

    def node(
        self, s: float, ready: str = "True", message: str = "posting", *, name: str = NODE,
        unschedulable: bool = False, taints: Sequence[str] = (), **conditions: str,
    ) -> list[Fact]:  # fmt: skip
        reason = {"True": "KubeletReady", "False": "KubeletNotReady",
                  "Unknown": "NodeStatusUnknown"}[ready]  # fmt: skip
        found = [{"type": "Ready", "status": ready, "reason": reason, "message": message}]
        found += [{"type": kind, "status": status} for kind, status in conditions.items()]
        spec: dict[str, Any] = {"unschedulable": True} if unschedulable else {}
        if taints:
            spec["taints"] = [{"key": key, "effect": "NoSchedule"} for key in taints]
        return self.object(
            s, "nodes", {"metadata": {"name": name}, "spec": spec, "status": {"conditions": found}}
        )

    def lease(self, s: float, name: str = NODE) -> list[Fact]:
        spec = {"renewTime": f"renewed-{s}"}
        meta = {"name": name, "namespace": "kube-node-lease"}
        return self.object(s, "leases", {"metadata": meta, "spec": spec})

    def synced(
        self, s: float, resource: str, outcome: str = OK, namespace: str = "", **more: Any
    ) -> list[Fact]:
        """The watcher's word on a resource: seen again, or why not."""
        body = {"resource": resource, "version": "1", "count": 0, "outcome": outcome, **more}
        body |= {"namespace": namespace} if namespace else {}
        return self.feed(StateEvent(SYNCED, ms(s), "watch", f"synced:{resource}:{s}", body))

    def pod(self, s: float, name: str, node: str = NODE, namespace: str = "shop") -> list[Fact]:
        meta = {"name": name, "namespace": namespace}
        return self.object(s, "pods", {"metadata": meta, "spec": {"nodeName": node}, "status": {}})

    # What came of it

    def healthy(self, start: float, stop: float) -> None:
        """A node that is well."""
        self.node(start)
        s = start
        while s <= stop:
            self.metrics(s)
            self.healthz(s)
            self.host(s, daemons={"kubelet": {"pid": 1, "state": "S"},
                                  "containerd": {"pid": 2, "state": "S"}})  # fmt: skip
            if (s - start) % 20 == 0:
                self.lease(s)
            self.tick(s)
            s += 5

    def open(self) -> dict[str, str]:
        """Verdicts of what is open, by entity: incidents, and notes where there is none."""
        notes = {e.entity: e.cause for e in self.fold.notes.state.open.values()}
        return notes | {e.entity: e.cause for e in self.fold.open()}

    def versions(self) -> list[dict[str, Any]]:
        return [dict(f.body) for f in self.facts if f.kind == EPISODE]

    def transitions(self, machine: str) -> list[tuple[str, str]]:
        moved = [f.body for f in self.facts if f.kind == TRANSITION]
        return [(b["from"], b["to"]) for b in moved if b["machine"] == machine]


def ms(s: float) -> int:
    return T0 + int(s * 1000)

"""What the black box found at the runtime's socket, and the path canary on the network."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.contract.state import OK, PROBE, StateEvent
from pipeline.readiness.detector import Scene
from pipeline.readiness.world import node_entity

CRI_TTL_MS = 600_000
PATH_TIMES = 2  # failures in a row before a direction counts as broken
_PATHS = ("apiserver", "dns", "metadata", "kubelet", "pod")


@dataclass(slots=True)
class ProbesState:
    failures: dict[str, int] = field(default_factory=dict)  # node target -> in a row


class Probes:
    NAME = "probes"
    ATOMS: Mapping[str, str] = {
        "probe/cri.runtime-wide": "the runtime's socket does not answer version or list calls",
        "probe/cri.one-container": "the runtime answers, but not about these pods",
        "probe/cri.answers": "the runtime answers all calls",
        "probe/cri.no-socket": "nothing listens on the runtime's socket",
        **{f"probe/path.{name}": f"connections from the node to {name} fail" for name in _PATHS},
        **{f"probe/path.{name}-ok": f"connections from the node to {name} work" for name in _PATHS},
    }
    READS = ((PROBE, "cri"), (PROBE, "path"))

    def __init__(self) -> None:
        self.state = ProbesState()

    def see(self, event: StateEvent, scene: Scene) -> None:
        entity, body = node_entity(event.body["node"]), event.body
        if body["probe"] == "cri":
            self._cri(entity, body, scene)
        else:
            self._path(entity, body, scene)

    @staticmethod
    def _cri(entity: str, body: Mapping[str, Any], scene: Scene) -> None:
        verdict, calls = body["verdict"], body.get("calls") or ()
        bad = [f"{c['call']} {c['outcome']} {c['ms']} ms" for c in calls if c["outcome"] != OK]
        quote = f"{verdict}: {'; '.join(bad[:6]) or f'{len(calls)} calls answered'}"
        atom = f"probe/cri.{verdict}"
        stuck = [f"{s['namespace']}/{s['pod']}" for s in body.get("stuck") or ()]
        for subject in (stuck if verdict == "one-container" else []) or [""]:
            scene.point(entity, atom, quote, subject=subject, ttl_ms=CRI_TTL_MS)

    def _path(self, entity: str, body: Mapping[str, Any], scene: Scene) -> None:
        for target in body.get("targets") or ():
            name = target["name"].split(":", 1)[0]
            if name not in _PATHS:
                continue
            key, ok = f"{entity} {target['name']}", target["outcome"] == OK
            times = 0 if ok else self.state.failures.get(key, 0) + 1
            if times:
                self.state.failures[key] = times
            else:
                self.state.failures.pop(key, None)
            quote = f"{target['name']} {target.get('address', '')} {target['outcome']}"
            broken, subject = times >= PATH_TIMES, target["name"]
            scene.set(entity, f"probe/path.{name}", broken, quote, subject=subject)
            scene.set(entity, f"probe/path.{name}-ok", ok, quote, subject=subject)

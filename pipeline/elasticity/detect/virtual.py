"""Pods on virtual nodes whose provider failed. What the provider says in Events is data; this is
what the pod's own status keeps (virtual-kubelet node/pod.go: phase Pending, reason ProviderFailed).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.contract.state import DELETED, OBJECT, StateEvent
from pipeline.readiness.detector import Scene

_FAILED = "object/vk.provider-failed"


@dataclass(slots=True)
class VirtualNodesState:
    failed: dict[str, str] = field(default_factory=dict)  # namespace/name -> entity


class VirtualNodes:
    NAME = "virtual-nodes"
    ATOMS: Mapping[str, str] = {_FAILED: "the virtual node's provider did not make the pod"}
    READS = ((OBJECT, "pods"),)

    def __init__(self) -> None:
        self.state = VirtualNodesState()

    def see(self, event: StateEvent, scene: Scene) -> None:
        pod = event.body["object"]
        status, key = pod.get("status") or {}, _key(pod)
        failed = status.get("reason") == "ProviderFailed" and event.body["type"] != DELETED
        known = self.state.failed.get(key)
        if not failed and known is None:
            return
        entity = scene.world.workload_of(*key.split("/", 1))
        if known is not None and (not failed or known != entity):
            scene.clear(known, _FAILED, subject=key)
            del self.state.failed[key]
        if failed:
            self.state.failed[key] = entity
            quote = f"ProviderFailed: {status.get('message', '')}"
            scene.hold(entity, _FAILED, quote, subject=key)


def _key(pod: Mapping[str, Mapping[str, str]]) -> str:
    meta = pod["metadata"]
    return f"{meta['namespace']}/{meta['name']}"

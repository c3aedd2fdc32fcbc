"""What is asked of a runtime, and what its answers mean.

Field numbers of k8s.io/cri-api pkg/apis/runtime/v1/api.proto (v0.34.4); v1alpha2 has the same:

    VersionResponse          runtime_name = 2, runtime_version = 3
    StatusResponse           status = 1 {conditions = 1 {type = 1, status = 2, reason = 3,
                             message = 4}}
    ListPodSandboxResponse   items = 1 {id = 1, metadata = 2 {name = 1, uid = 2, namespace = 3},
                             state = 3 (SANDBOX_READY = 0), created_at = 4 (ns)}
    ListContainersResponse   containers = 1 {id = 1, pod_sandbox_id = 2, metadata = 3 {name = 1},
                             state = 6 (CONTAINER_RUNNING = 1), created_at = 7 (ns)}
    PodSandboxStatusRequest  pod_sandbox_id = 1
    ContainerStatusRequest, ContainerStatsRequest             container_id = 1
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from collectors.node.blackbox import wire

VERSION, STATUS = "Version", "Status"
SANDBOXES, CONTAINERS = "ListPodSandbox", "ListContainers"
SANDBOX, CONTAINER, STATS = "PodSandboxStatus", "ContainerStatus", "ContainerStats"
RUNNING, EXITED = 1, 2  # of a container


class Result(NamedTuple):
    """What became of a call. `outcome` is one of pipeline/contract/state.py, `code` gRPC's name
    when it answered with an error."""

    outcome: str
    ms: int
    body: bytes = b""
    code: str = ""
    detail: str = ""


class Runtime(Protocol):
    """A runtime's socket; used by several threads."""

    def call(self, name: str, request: bytes, deadline_s: float) -> Result: ...


@dataclass(frozen=True, slots=True)
class Target:
    """What one call is about: a pod's sandbox, or a container of it."""

    call: str
    id: str
    namespace: str
    pod: str
    uid: str
    container: str  # empty: the sandbox
    ready: bool
    created: int  # Unix nanoseconds

    @property
    def request(self) -> bytes:
        return wire.string(1, self.id)


def version(body: bytes) -> str:
    """`containerd 1.7.20`. Raises Malformed, as all of these do."""
    found = wire.fields(body)
    return f"{wire.text(found, 2)} {wire.text(found, 3)}".strip()


def conditions(body: bytes) -> dict[str, dict[str, str | bool]]:
    """RuntimeReady, NetworkReady and whatever else the runtime says of itself."""
    found = wire.messages(wire.message(wire.fields(body), 1), 1)
    return {
        wire.text(one, 1): {
            "status": bool(wire.integer(one, 2)),
            "reason": wire.text(one, 3)[:200],
            "message": wire.text(one, 4)[:500],
        }
        for one in found
    }


def sandboxes(body: bytes) -> list[Target]:
    return [_sandbox(item) for item in wire.messages(wire.fields(body), 1)]


def containers(body: bytes, pods: dict[str, Target]) -> list[Target]:
    """`pods` by the id of the sandbox. A container that runs is ready, one that has exited as
    well: both are as they should be."""
    found = []
    for item in wire.messages(wire.fields(body), 1):
        pod, metadata = pods.get(wire.text(item, 2)), wire.message(item, 3)
        found.append(
            Target(
                call=CONTAINER,
                id=wire.text(item, 1),
                namespace=pod.namespace if pod else "",
                pod=pod.pod if pod else "",
                uid=pod.uid if pod else "",
                container=wire.text(metadata, 1),
                ready=wire.integer(item, 6) in (RUNNING, EXITED),
                created=wire.integer(item, 7),
            )
        )
    return found


def running(body: bytes) -> set[str]:
    """Ids of the containers that run: only those have a shim to ask."""
    items = wire.messages(wire.fields(body), 1)
    return {wire.text(item, 1) for item in items if wire.integer(item, 6) == RUNNING}


def _sandbox(item: wire.Fields) -> Target:
    metadata = wire.message(item, 2)
    return Target(
        call=SANDBOX,
        id=wire.text(item, 1),
        namespace=wire.text(metadata, 3),
        pod=wire.text(metadata, 1),
        uid=wire.text(metadata, 2),
        container="",
        ready=wire.integer(item, 3) == 0,
        created=wire.integer(item, 4),
    )

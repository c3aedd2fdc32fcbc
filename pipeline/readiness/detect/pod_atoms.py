"""What a pod's object says is wrong with it: pure functions of one version.

Works on trimmed objects and on raw ones. Reasons are those of k/k pkg/kubelet/{kuberuntime,images,
container,eviction,lifecycle,sysctl,nodeshutdown}; of unscheduled pods see fit_error.py.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.base.times import unix_ms
from pipeline.readiness.detect.conditions import conditions_of
from pipeline.readiness.detect.fit_error import FAMILIES, NO_NODES, all_cordoned, binding_family

CRASHLOOP = "object/pod.crashloop"
UNSCHEDULABLE = "object/pod.unschedulable"
NOT_READY = "object/pod.not-ready"
EVICTED = "object/pod.evicted"
REJECTED = "object/pod.rejected"

ATOMS: Mapping[str, str] = {
    CRASHLOOP: "a container has failed three times or more (CrashLoopBackOff)",
    "object/pod.exited": "a container ended with an error, not for the first or second time",
    "object/pod.oom-killed": "a container was killed at its memory limit",
    "object/pod.killed": "a container was killed by a signal (exit code above 128)",
    "object/pod.start-failed": "a container could not be started",
    "object/pod.image-pull": "an image cannot be pulled",
    "object/pod.image-name": "an image name is not valid",
    "object/pod.image-never": "an image is not on the node and must not be pulled",
    "object/pod.config-error": "a container's configuration cannot be built",
    "object/pod.hook-failed": "a container's postStart hook failed",
    "object/pod.creating": "the pod has a node, and its containers are being created",
    "object/pod.no-sandbox": "the pod has a node, and no sandbox with a network yet",
    UNSCHEDULABLE: "the scheduler finds no node for the pod",
    **{f"object/pod.fit-{name}": f"what refuses the pod last is {name}" for name in FAMILIES},
    f"object/pod.fit-{NO_NODES}": "the scheduler knows no node at all",
    "object/pod.unbound-claim": "the pod waits for a volume claim",
    "object/pod.no-ready-node": "nodes that could take the pod are not ready",
    "object/pod.cordoned": "the nodes that could take the pod are cordoned",
    NOT_READY: "the pod runs and is not ready",
    "object/pod.sidecar-not-ready": "only the mesh's sidecar is not ready",
    "object/pod.readiness-gate": "a readiness gate of the pod is not true",
    "object/pod.terminating": "the pod is being deleted",
    "object/pod.finalizers": "the pod is being deleted and waits for finalizers",
    REJECTED: "the kubelet did not admit the pod",
    EVICTED: "the kubelet evicted the pod",
}

_WAITING = {
    "CrashLoopBackOff": CRASHLOOP,
    "ErrImagePull": "object/pod.image-pull",
    "ImagePullBackOff": "object/pod.image-pull",
    "ImageInspectError": "object/pod.image-pull",
    "RegistryUnavailable": "object/pod.image-pull",
    "SignatureValidationFailed": "object/pod.image-pull",
    "InvalidImageName": "object/pod.image-name",
    "ErrImageNeverPull": "object/pod.image-never",
    "CreateContainerConfigError": "object/pod.config-error",
    "CreateContainerError": "object/pod.start-failed",
    "PreCreateHookError": "object/pod.start-failed",
    "PreStartHookError": "object/pod.start-failed",
    "RunContainerError": "object/pod.start-failed",
    "PostStartHookError": "object/pod.hook-failed",
    "ContainerCreating": "object/pod.creating",
}
_REJECTED = re.compile(
    r"OutOf\S+|UnexpectedAdmissionError|UnexpectedPredicateFailureType|UnknownReason|NodeAffinity|"
    r"NodeName|NodePorts|TaintToleration|TopologyAffinityError|NodeShutdown|SysctlForbidden|AppArmor|"
    r"InvalidNodeInfo|PodOS\w+|InitContainerRestartPolicyForbidden|"
    r"SupplementalGroupsPolicyNotSupported|PodFeatureUnsupported|NodeUnschedulable"
)
_MESH = ("istio-proxy", "linkerd-proxy", "envoy-sidecar")
# 1.34 no longer says which taint; before, the two of nodes that are not ready are told apart.
_TAINTED = re.compile(r"untolerated taint\(s\)|node\.kubernetes\.io/(not-ready|unreachable)")
_CLAIM = re.compile(r'unbound immediate PersistentVolumeClaims|persistentvolumeclaim "')
AGAIN = 2  # restarts: two failures happen to what waits for a dependency, and mend themselves
_KILLED = 128  # exit codes above: 128 + signal

Status = Mapping[str, Any]


def atoms_of(pod: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(atom, quote) of everything that holds for this version; nothing of a pod that has ended
    (see `ended_of`), and of one that is being deleted only that: what it does not do any more is
    no fault."""
    status = pod.get("status") or {}
    phase = status.get("phase", "")
    if phase in ("Failed", "Succeeded"):
        return
    meta = pod["metadata"]
    if meta.get("deletionTimestamp"):
        yield "object/pod.terminating", f"deleted by {meta['deletionTimestamp']}"
        if meta.get("finalizers"):
            yield "object/pod.finalizers", f"finalizers: {', '.join(meta['finalizers'])}"
        return
    conditions = conditions_of(status)
    yield from _scheduling(conditions.get("PodScheduled") or {})
    containers = status.get("containerStatuses") or ()
    for container in (*(status.get("initContainerStatuses") or ()), *containers):
        yield from _container(container)
    sandbox = conditions.get("PodReadyToStartContainers") or {}
    if phase == "Pending" and sandbox.get("status") == "False":
        yield "object/pod.no-sandbox", "PodReadyToStartContainers=False"
    yield from _readiness(conditions, containers, phase)


def ended_of(pod: Mapping[str, Any]) -> tuple[str, str]:
    """(atom, quote) if the kubelet ended or refused it; atom "" if it ended by itself."""
    status = pod.get("status") or {}
    reason = status.get("reason") or ""
    quote = f"{reason}: {status.get('message', '')}"
    if status.get("phase") != "Failed":
        return "", ""
    if reason == "Evicted":
        return EVICTED, quote
    return (REJECTED, quote) if _REJECTED.fullmatch(reason) else ("", "")


def ended_at(pod: Mapping[str, Any]) -> int:
    """Unix ms of the last thing that its object tells of; 0 if it tells nothing."""
    status = pod.get("status") or {}
    times = [c.get("lastTransitionTime") for c in status.get("conditions") or ()]
    for container in status.get("containerStatuses") or ():
        terminated = (container.get("state") or {}).get("terminated") or {}
        times.append(terminated.get("finishedAt"))
    times += [status.get("startTime"), pod["metadata"].get("creationTimestamp")]
    return max(unix_ms(text or "") for text in times)


def since_of(pod: Mapping[str, Any], state: str) -> int:
    """Since when the pod is in this state, for one that is seen for the first time: Unix ms, 0 if
    its object does not tell."""
    if state == "NotReady":
        for condition in (pod.get("status") or {}).get("conditions") or ():
            if condition["type"] == "Ready":
                return unix_ms(condition.get("lastTransitionTime") or "")
    return unix_ms(pod["metadata"].get("creationTimestamp") or "")


def _scheduling(scheduled: Status) -> Iterator[tuple[str, str]]:
    if scheduled.get("status") != "False" or scheduled.get("reason") != "Unschedulable":
        return
    message = scheduled.get("message", "")
    if all_cordoned(message):
        yield "object/pod.cordoned", message
        return
    if _CLAIM.search(message):
        yield "object/pod.unbound-claim", message
    if _TAINTED.search(message):
        yield "object/pod.no-ready-node", message
    family = binding_family(message)
    if family:
        yield f"object/pod.fit-{family}", message
    yield UNSCHEDULABLE, message


def _container(container: Status) -> Iterator[tuple[str, str]]:
    name, state = container.get("name", ""), container.get("state") or {}
    last = (container.get("lastState") or {}).get("terminated") or {}
    waiting = state.get("waiting") or {}
    atom = _WAITING.get(waiting.get("reason", ""), "")
    again = container.get("restartCount", 0) >= AGAIN
    if atom and (again or atom != CRASHLOOP):
        words = [f"{name}: {waiting['reason']}", waiting.get("message", ""), _ended(last)]
        yield atom, " ".join(word for word in words if word)
    ended = state.get("terminated") or {}
    for terminated in (ended, last):
        if terminated.get("reason") == "OOMKilled":
            yield "object/pod.oom-killed", f"{name}: {_ended(terminated)}"
        elif terminated.get("exitCode", 0) > _KILLED:
            yield "object/pod.killed", f"{name}: {_ended(terminated)}"
    if ended.get("exitCode") and again:
        yield "object/pod.exited", f"{name}: {_ended(ended)}"


def _ended(terminated: Status) -> str:
    if not terminated:
        return ""
    reason, code = terminated.get("reason", ""), terminated.get("exitCode", "")
    return f"(last: {reason}, exit code {code})"


def _readiness(
    conditions: Mapping[str, Status], containers: Any, phase: str
) -> Iterator[tuple[str, str]]:
    ready = conditions.get("Ready") or {}
    if phase != "Running" or ready.get("status") == "True":
        return
    if ready.get("reason") == "ReadinessGatesNotReady":
        yield "object/pod.readiness-gate", ready.get("message", "")
        return
    running = [c for c in containers if (c.get("state") or {}).get("running")]
    late = [c["name"] for c in running if not c.get("ready")]
    if late and len(running) == len(containers):
        yield NOT_READY, f"containers with unready status: {', '.join(late)}"
        if all(name in _MESH for name in late) and len(late) < len(containers):
            yield "object/pod.sidecar-not-ready", f"only {', '.join(late)} is not ready"


def state_of(pod: Mapping[str, Any]) -> str:
    """The pod machine's state: what a person would call it."""
    status = pod.get("status") or {}
    phase = status.get("phase")
    if phase == "Succeeded":
        return "Succeeded"
    if phase == "Failed":
        return "Failed"
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    conditions = conditions_of(status)
    if _is_true(conditions, "Ready"):
        return "Ready"
    if phase == "Running":
        return "NotReady"
    if not (pod.get("spec") or {}).get("nodeName"):
        scheduled = conditions.get("PodScheduled") or {}
        if scheduled.get("reason") == "SchedulingGated":
            return "Gated"
        return "Unschedulable" if scheduled.get("status") == "False" else "Pending"
    return "Creating" if _is_true(conditions, "Initialized") else "Initializing"


def _is_true(conditions: Mapping[str, Status], kind: str) -> bool:
    return bool((conditions.get(kind) or {}).get("status") == "True")

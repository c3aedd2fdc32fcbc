"""Pods, and what makes pods: trimmed to what a diagnosis looks at. Pure functions.

Of a probe remain its kind, port, path and times; of a volume its name and where it comes from; of
affinity that there is some. Environment, commands and arguments are never kept (trim.py).
"""

from typing import Any

from collectors.cluster.trim import MAX_MESSAGE, Object, each, keep, metadata, part, without

_SPEC = (
    "nodeName",
    "nodeSelector",
    "tolerations",
    "topologySpreadConstraints",
    "priority",
    "priorityClassName",
    "preemptionPolicy",
    "restartPolicy",
    "terminationGracePeriodSeconds",
    "activeDeadlineSeconds",
    "hostNetwork",
    "schedulerName",
    "serviceAccountName",
    "readinessGates",
    "schedulingGates",
    "imagePullSecrets",
    "runtimeClassName",
    "overhead",
    "resources",
)
_CONTAINER = ("name", "image", "imagePullPolicy", "resources", "restartPolicy", "ports")
_PROBES = ("readinessProbe", "livenessProbe", "startupProbe")
_PROBE_TIMES = (
    "initialDelaySeconds",
    "periodSeconds",
    "timeoutSeconds",
    "failureThreshold",
    "successThreshold",
)
_WORKLOAD_SPEC = (
    "replicas",
    "selector",
    "strategy",
    "updateStrategy",
    "minReadySeconds",
    "progressDeadlineSeconds",
    "paused",
    "revisionHistoryLimit",
    "serviceName",
    "podManagementPolicy",
    "parallelism",
    "completions",
    "completionMode",
    "backoffLimit",
    "activeDeadlineSeconds",
    "ttlSecondsAfterFinished",
    "suspend",
    "schedule",
    "timeZone",
    "concurrencyPolicy",
    "startingDeadlineSeconds",
    "successfulJobsHistoryLimit",
    "failedJobsHistoryLimit",
)


def pod(source: Object) -> dict[str, Any]:
    return {"spec": pod_spec(part(source, "spec")), "status": pod_status(part(source, "status"))}


def workload(source: Object) -> dict[str, Any]:
    """Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob."""
    trimmed = {"spec": _workload_spec(part(source, "spec")), **keep(source, "status")}
    found = writers(source)
    return {**trimmed, "writers": found} if found else trimmed


def writers(source: Object) -> dict[str, list[str]]:
    """Who manages spec.replicas, from managedFields: manager -> fields. Two writers of one
    Deployment (an HPA and `kubectl apply`) are a fault of their own."""
    found: dict[str, list[str]] = {}
    for entry in each(part(source, "metadata"), "managedFields"):
        if "f:replicas" in part(part(entry, "fieldsV1"), "f:spec"):
            found[str(entry.get("manager", ""))] = ["spec.replicas"]
    return found


def pod_spec(spec: Object) -> dict[str, Any]:
    kept = keep(spec, *_SPEC)
    for name in ("initContainers", "containers", "ephemeralContainers"):
        containers = [_container(container) for container in each(spec, name)]
        if containers:
            kept[name] = containers
    volumes = [_volume(volume) for volume in each(spec, "volumes")]
    if volumes:
        kept["volumes"] = volumes
    affinity = {name: True for name, rules in part(spec, "affinity").items() if rules}
    return {**kept, "affinity": affinity} if affinity else kept


def pod_status(status: Object) -> dict[str, Any]:
    kept = without(status, "podIPs", "hostIPs", "resourceClaimStatuses")
    for name in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        if name in kept:
            kept[name] = [_container_status(container) for container in each(status, name)]
    return kept


def _workload_spec(spec: Object) -> dict[str, Any]:
    kept = keep(spec, *_WORKLOAD_SPEC)
    if part(spec, "template"):
        kept["template"] = _template(part(spec, "template"))
    if part(spec, "jobTemplate"):
        kept["jobTemplate"] = {"spec": _workload_spec(part(part(spec, "jobTemplate"), "spec"))}
    claims = [metadata(part(claim, "metadata")) for claim in each(spec, "volumeClaimTemplates")]
    if claims:
        kept["volumeClaimTemplates"] = [{"metadata": claim} for claim in claims]
    return kept


def _template(template: Object) -> dict[str, Any]:
    meta = metadata(part(template, "metadata"))
    spec = {"spec": pod_spec(part(template, "spec"))}
    return {"metadata": meta, **spec} if meta else spec


def _container(container: Object) -> dict[str, Any]:
    kept = keep(container, *_CONTAINER)
    for name in _PROBES:
        if part(container, name):
            kept[name] = _probe(part(container, name))
    hooks = {name: True for name, hook in part(container, "lifecycle").items() if hook}
    return {**kept, "lifecycle": hooks} if hooks else kept


def _probe(probe: Object) -> dict[str, Any]:
    kept = keep(probe, *_PROBE_TIMES)
    for kind in ("httpGet", "tcpSocket", "grpc", "exec"):
        if kind in probe:
            kept[kind] = keep(part(probe, kind), "port", "path", "scheme", "service")
    return kept


def _volume(volume: Object) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, source in volume.items():
        if name == "name":
            kept[name] = source
        elif name == "projected":
            kinds = [kind for inner in each(part(volume, name), "sources") for kind in inner]
            kept[name] = {"sources": [{kind: {}} for kind in kinds]}
        elif name == "ephemeral":
            kept[name] = {}
        elif isinstance(source, dict):
            kept[name] = keep(
                source, "claimName", "name", "secretName", "path", "driver", "server", "medium",
                "sizeLimit", "optional",
            )  # fmt: skip
    return kept


def _container_status(status: Object) -> dict[str, Any]:
    kept = without(status, "volumeMounts", "user", "allocatedResources", "allocatedResourcesStatus")
    for name in ("state", "lastState"):
        ended = part(part(status, name), "terminated")
        message = str(ended.get("message", ""))
        if len(message) > MAX_MESSAGE:
            kept[name] = {"terminated": {**ended, "message": message[-MAX_MESSAGE:]}}
    return kept

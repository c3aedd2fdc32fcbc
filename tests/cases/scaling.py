"""Autoscalers and what they scale, as the API server shows them, as far as cases need them."""

import json
from typing import Any

CALCULATES = ("ScalingActive", "True", "ValidMetricFound", "the HPA was able to successfully "
              "calculate a replica count from cpu resource utilization (percentage of request)")  # fmt: skip
IN_RANGE = ("ScalingLimited", "False", "DesiredWithinRange",
            "the desired count is within the acceptable range")  # fmt: skip
TOO_MANY = ("ScalingLimited", "True", "TooManyReplicas",
            "the desired replica count is more than the maximum replica count")  # fmt: skip
CANNOT = "the HPA was unable to compute the replica count: failed to get cpu utilization: "


def fails(message: str, reason: str = "FailedGetResourceMetric") -> tuple[str, str, str, str]:
    return ("ScalingActive", "False", reason, message)


def hpa(
    *conditions: tuple[str, str, str, str],
    name: str = "web",
    desired: int = 2,
    low: int = 1,
    high: int = 6,
    target: str = "web",
    metrics: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Conditions are (type, status, reason, message)."""
    return {
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": target},
            "minReplicas": low,
            "maxReplicas": high,
            "metrics": metrics or [],
        },
        "status": {
            "desiredReplicas": desired,
            "currentReplicas": desired,
            "conditions": [
                dict(zip(("type", "status", "reason", "message"), each, strict=True))
                for each in conditions
            ],
        },
    }


def deployment(
    replicas: int = 2,
    *,
    made: int | None = None,
    ready: int | None = None,
    writer: str = "",
    name: str = "web",
) -> dict[str, Any]:
    made = replicas if made is None else made
    document: dict[str, Any] = {
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "main"}]}}},
        "status": {"replicas": made, "readyReplicas": made if ready is None else ready},
    }
    return document | ({"writers": {writer: ["spec.replicas"]}} if writer else {})


def cronhpa(*jobs: dict[str, Any], kind: str = "Deployment", target: str = "web") -> dict[str, Any]:
    return {
        "metadata": {"name": "daily", "namespace": "shop"},
        "spec": {"scaleTargetRef": {"kind": kind, "name": target}},
        "status": {"conditions": list(jobs)},
    }


def job(state: str, ran: str, message: str = "", **more: Any) -> dict[str, Any]:
    """`ran` is lastProbeTime."""
    base = {"name": "up", "schedule": "0 */5 * * * *", "targetSize": 5, "state": state}
    return base | {"lastProbeTime": ran, "message": message} | more


def vpa(*conditions: tuple[str, str, str], cpu: str = "", target: str = "web") -> dict[str, Any]:
    """Conditions are (type, status, message)."""
    recommended = {"containerRecommendations": [{"containerName": "main", "target": {"cpu": cpu}}]}
    return {
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"targetRef": {"kind": "Deployment", "name": target}},
        "status": {
            "conditions": [
                dict(zip(("type", "status", "message"), each, strict=True)) for each in conditions
            ],
            **({"recommendation": recommended} if cpu else {}),
        },
    }


def ca_status(text: str, updated: str = "") -> dict[str, Any]:
    """The ConfigMap of cluster-autoscaler."""
    note = {"cluster-autoscaler.kubernetes.io/last-updated": updated} if updated else {}
    meta = {"name": "cluster-autoscaler-status", "namespace": "kube-system", "annotations": note}
    return {"metadata": meta, "data": {"status": text}}


def inventory(pool: str, *kinds: tuple[str, str, str]) -> dict[str, Any]:
    """What ACK's instant scaling writes: (instance type, zone, state) of each kind."""
    supply = [{"InstanceType": t, "Zone": zone, "State": state} for t, zone, state in kinds]
    meta = {"name": f"{pool}-inventory-status", "namespace": "kube-system", "uid": f"u-{pool}"}
    status = json.dumps({"SupplySeqs": supply}, indent=4)
    return {"kind": "ConfigMap", "metadata": meta, "data": {"status": status}}


def ca_yaml(
    *,
    health: str = "Healthy",
    ready: int = 3,
    total: int = 3,
    long_unregistered: int = 0,
    unregistered: int = 0,
    scale_up: str = "NoActivity",
    backoff: str = "",
) -> str:
    """The status of CA 1.30 or newer; all but `health` is of its one group."""
    return f"""time: 2026-11-23 05:33:20.000000000 +0000 UTC
autoscalerStatus: Running
clusterWide:
  health:
    status: {health}
    nodeCounts:
      registered:
        total: {total}
        ready: {ready}
        notStarted: 0
        unready:
          total: {total - ready}
          resourceUnready: 0
      longUnregistered: 0
      unregistered: {unregistered}
    lastProbeTime: "2026-11-23T05:33:20Z"
  scaleUp:
    status: {scale_up}
  scaleDown:
    status: NoCandidates
nodeGroups:
- name: asg-1
  health:
    status: Healthy
    nodeCounts:
      registered:
        total: {total}
        ready: {ready}
      longUnregistered: {long_unregistered}
      unregistered: {unregistered}
    cloudProviderTarget: {total}
    minSize: 1
    maxSize: 5
  scaleUp:
    status: {scale_up}
    {backoff}
  scaleDown:
    status: NoCandidates
"""


def ca_text(*, health: str = "Healthy", scale_up: str = "NoActivity", long: int = 0) -> str:
    """The status of CA 1.29 or older."""
    counts = (
        f"unready=0 (resourceUnready=0) notStarted=0 longNotStarted=0 registered=3 "
        f"longUnregistered={long}"
    )
    probe = "LastProbeTime:      2026-11-23 05:33:20.1 +0000 UTC"
    return f"""Cluster-autoscaler status at 2026-11-23 05:33:20.123456789 +0000 UTC:
Cluster-wide:
  Health:      {health} (ready=3 {counts})
               {probe}
               LastTransitionTime: 2026-11-23 05:00:00 +0000 UTC
  ScaleUp:     NoActivity (ready=3 registered=3)
               {probe}
  ScaleDown:   NoCandidates (candidates=0)
               {probe}

NodeGroups:
  Name:        asg-1
  Health:      Healthy (ready=3 {counts} cloudProviderTarget=3 (minSize=1, maxSize=5))
               {probe}
  ScaleUp:     {scale_up} (ready=3 cloudProviderTarget=3)
               {probe}
  ScaleDown:   NoCandidates (candidates=0)
               {probe}
"""

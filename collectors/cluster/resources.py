"""Which resources of the API are watched, and what is kept of each: the one table.

A resource that is not served (a CRD that is not installed, an older server) or may not be read is
said once and looked for again slowly; nothing here is required. `versions` are tried in order.
Groups and versions: kubernetes.io API reference; VPA kubernetes/autoscaler, CronHPA
AliyunContainerService/kubernetes-cronhpa-controller, NodePool and NodeClaim kubernetes-sigs/
karpenter (v1beta1 until 0.37, v1 from 1.0).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from collectors.cluster import certificates, configs, trim, trim_pods
from collectors.cluster.trim import Object, Trim
from pipeline.contract.wishes import (
    ALIYUN_LOG_CONFIGS,
    ALIYUN_PIPELINE_CONFIGS,
    CLUSTER_LOG_CONFIGS,
    LOG_CONFIGS,
)

QUIET_S = 150.0  # a bookmark comes each minute; up to 122 s between two were seen
LEASES_QUIET_S = 25.0  # kubelets renew every 10 s, and readers call a node late after 35 s
LEASES = "leases"
EVENTS = ("events", "events.k8s.io")
INVENTORIES = "inventories"  # ConfigMaps of ACK's instant scaling, one for each node pool


@dataclass(frozen=True, slots=True)
class Resource:
    """One row. `name` is `resource` of the state events, `plural` stands in the path."""

    name: str
    kind: str
    group: str  # "" is the core group
    versions: tuple[str, ...]
    trim: Trim = trim.whole
    namespaced: bool = True
    plural: str = ""  # the name, if absent
    namespace: str = ""  # the only namespace it is looked for in
    object_name: str = ""  # the only object
    quiet_s: float = QUIET_S
    open_s: float = 30.0  # until the headers of a watch: the server may queue requests

    def path(self, version: str, namespace: str) -> str:
        base = f"/apis/{self.group}/{version}" if self.group else f"/api/{version}"
        middle = f"/namespaces/{namespace}" if namespace else ""
        return f"{base}{middle}/{self.plural or self.name}"

    def trimmed(self, source: Object) -> dict[str, Any]:
        """The object as it is kept. It must have metadata."""
        meta = source["metadata"]
        secret = self.kind == "Secret"
        kept = certificates.secret_metadata(meta) if secret else trim.metadata(meta)
        return {"kind": self.kind, "metadata": kept, **self.trim(source)}


@dataclass(frozen=True, slots=True)
class Scope:
    """What one ResourceWatch watches: a resource, everywhere or in one namespace."""

    resource: Resource
    namespace: str = ""

    @property
    def name(self) -> str:
        """For logs and ids: leases/kube-node-lease, secrets/istio-system/cacerts."""
        parts = (self.resource.name, self.namespace, self.resource.object_name)
        return "/".join(part for part in parts if part)


def _cluster(name: str, kind: str, group: str, *versions: str, keep: Trim = trim.whole) -> Resource:
    return Resource(name, kind, group, versions, keep, namespaced=False)


_W = trim_pods.workload
RESOURCES: tuple[Resource, ...] = (
    # The order is that of the first lists: what the node and pod machines wait for comes first.
    _cluster("nodes", "Node", "", "v1", keep=trim.node),
    Resource(
        LEASES, "Lease", "coordination.k8s.io", ("v1",), trim.lease,
        namespace="kube-node-lease", quiet_s=LEASES_QUIET_S, open_s=5.0,
    ),
    _cluster("namespaces", "Namespace", "", "v1"),
    Resource("replicasets", "ReplicaSet", "apps", ("v1",), _W),
    Resource("jobs", "Job", "batch", ("v1",), _W),
    Resource("pods", "Pod", "", ("v1",), trim_pods.pod),
    Resource("events", "Event", "", ("v1",)),
    Resource("events.k8s.io", "Event", "events.k8s.io", ("v1", "v1beta1"), plural="events"),
    Resource("deployments", "Deployment", "apps", ("v1",), _W),
    Resource("statefulsets", "StatefulSet", "apps", ("v1",), _W),
    Resource("daemonsets", "DaemonSet", "apps", ("v1",), _W),
    Resource("cronjobs", "CronJob", "batch", ("v1", "v1beta1"), _W),
    Resource("persistentvolumeclaims", "PersistentVolumeClaim", "", ("v1",)),
    _cluster("persistentvolumes", "PersistentVolume", "", "v1", keep=trim.volume),
    _cluster(
        "volumeattachments", "VolumeAttachment", "storage.k8s.io", "v1", keep=trim.attachment
    ),
    Resource(
        "horizontalpodautoscalers", "HorizontalPodAutoscaler", "autoscaling", ("v2", "v2beta2")
    ),
    Resource("verticalpodautoscalers", "VerticalPodAutoscaler", "autoscaling.k8s.io", ("v1",)),
    Resource(
        "cronhorizontalpodautoscalers", "CronHorizontalPodAutoscaler",
        "autoscaling.alibabacloud.com", ("v1beta1",),
    ),
    _cluster("apiservices", "APIService", "apiregistration.k8s.io", "v1"),
    Resource(
        "endpointslices", "EndpointSlice", "discovery.k8s.io", ("v1", "v1beta1"),
        trim.endpoint_slice,
    ),
    Resource("poddisruptionbudgets", "PodDisruptionBudget", "policy", ("v1", "v1beta1")),
    Resource("resourcequotas", "ResourceQuota", "", ("v1",)),
    Resource("limitranges", "LimitRange", "", ("v1",)),
    Resource(
        "configmaps", "ConfigMap", "", ("v1",), trim.config_map,
        namespace="kube-system", object_name="cluster-autoscaler-status",
    ),
    _cluster("nodepools", "NodePool", "karpenter.sh", "v1", "v1beta1"),
    _cluster("nodeclaims", "NodeClaim", "karpenter.sh", "v1", "v1beta1"),
    _cluster(
        "validatingwebhookconfigurations", "ValidatingWebhookConfiguration",
        "admissionregistration.k8s.io", "v1", keep=trim.webhooks,
    ),
    _cluster(
        "mutatingwebhookconfigurations", "MutatingWebhookConfiguration",
        "admissionregistration.k8s.io", "v1", keep=trim.webhooks,
    ),
    Resource(LOG_CONFIGS, "LogConfig", "kubeledger.io", ("v1alpha1",), configs.wish),
    _cluster(
        CLUSTER_LOG_CONFIGS, "ClusterLogConfig", "kubeledger.io", "v1alpha1", keep=configs.wish
    ),
    Resource(
        ALIYUN_LOG_CONFIGS, "AliyunLogConfig", "log.alibabacloud.com", ("v1alpha1",), configs.wish
    ),
    _cluster(
        ALIYUN_PIPELINE_CONFIGS, "ClusterAliyunPipelineConfig", "telemetry.alibabacloud.com",
        "v1alpha1", keep=configs.wish,
    ),
)  # fmt: skip
SECRETS = Resource("secrets", "Secret", "", ("v1",), certificates.secret)
# A resource of its own: that one may not be read says nothing of cluster-autoscaler's status.
INVENTORY = Resource(
    INVENTORIES, "ConfigMap", "", ("v1",), trim.config_map,
    plural="configmaps", namespace="kube-system",
)  # fmt: skip
NAMES = tuple(resource.name for resource in RESOURCES)


def scopes(
    *,
    without: Iterable[str] = (),
    namespaces: Iterable[str] = (),
    secrets: Iterable[tuple[str, str]] = (),
    node_pools: Iterable[str] = (),
) -> Iterator[Scope]:
    """What to watch. `without` are names of the table, `namespaces` empty means all, `secrets` are
    (namespace, name), `node_pools` are ids of ACK: each is asked for by its name alone."""
    skipped, only = set(without), tuple(namespaces)
    for resource in RESOURCES:
        if resource.name in skipped:
            continue
        if resource.namespace:
            yield Scope(resource, resource.namespace)
        elif resource.namespaced and only:
            yield from (Scope(resource, namespace) for namespace in only)
        else:
            yield Scope(resource)
    for namespace, name in secrets:
        yield Scope(replace(SECRETS, object_name=name), namespace)
    for pool in node_pools:
        yield Scope(replace(INVENTORY, object_name=f"{pool}-inventory-status"), "kube-system")

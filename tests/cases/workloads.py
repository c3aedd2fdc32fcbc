"""Workloads, namespaces, mesh, ingress, security groups: catalogue 3.2, 3.4 to 3.6."""

from pipeline.contract.state import OK, TIMEOUT
from tests.cases.case import Cases
from tests.cases.rig import Rig
from tests.cases.shapes import conditioned, pod, running, waiting

case = Cases()

WEB = "deployment/shop/web"
SIDECAR = [running(ready=True), running(ready=False, name="istio-proxy")]


def _replicaset(rig: Rig) -> None:
    owner = {"kind": "Deployment", "name": "web", "uid": "d", "controller": True}
    rig.object(0, "replicasets", {"metadata": {"name": "web-1", "namespace": "shop",
                                               "ownerReferences": [owner]}})  # fmt: skip


@case({WEB: "workload.create-failed"})
def quota_is_used_up(rig: Rig) -> None:
    _replicaset(rig)
    rig.event(5, "FailedCreate", 'Error creating: pods "web-1-x" is forbidden: exceeded quota: small, '
              "requested: pods=1, used: pods=3, limited: pods=3",
              kind="ReplicaSet", namespace="shop", name="web-1")  # fmt: skip
    rig.object(6, "deployments", conditioned("web", {
        "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
        "message": "exceeded quota"}, namespace="shop"))  # fmt: skip
    rig.ticks(10, 30)


@case({WEB: "workload.create-failed"})
def rollout_makes_no_progress(rig: Rig) -> None:
    rig.tick(0)
    rig.object(6, "deployments", conditioned("web", {
        "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
        "message": 'ReplicaSet "web-1" has timed out progressing.'}, namespace="shop"))  # fmt: skip
    rig.ticks(10, 30)


@case({}, lookalike_of="workload.create-failed")
def rollout_goes_on(rig: Rig) -> None:
    rig.tick(0)
    rig.object(6, "deployments", conditioned("web", {
        "type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated",
        "message": 'ReplicaSet "web-1" is progressing.'}, namespace="shop"))  # fmt: skip
    rig.ticks(10, 120)


@case({"cronjob/shop/nightly": "job.failed"}, lookalike_of="pod.crashloop")
def job_has_failed_for_good(rig: Rig) -> None:
    rig.tick(0)
    document = conditioned("nightly-29", {"type": "Failed", "status": "True",
                           "reason": "BackoffLimitExceeded",
                           "message": "Job has reached the specified backoff limit"},
                           namespace="shop")  # fmt: skip
    document["metadata"]["ownerReferences"] = [
        {"kind": "CronJob", "name": "nightly", "uid": "c", "controller": True}
    ]
    rig.object(1, "jobs", document)
    rig.ticks(5, 30)


@case({}, lookalike_of="job.failed")
def job_is_complete(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "jobs", conditioned("once", {"type": "Complete", "status": "True"},
                                      namespace="shop"))  # fmt: skip
    rig.ticks(5, 60)


DISCOVERY = {
    "type": "NamespaceDeletionDiscoveryFailure", "status": "True", "reason": "DiscoveryFailed",
    "message": "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of "
    "server APIs: metrics.k8s.io/v1beta1: the server is currently unable to handle the request",
}  # fmt: skip
FINALIZERS = {
    "type": "NamespaceFinalizersRemaining", "status": "True", "reason": "SomeFinalizersRemain",
    "message": "Some finalizers are remaining: example.com/hold in 1 resource instances",
}  # fmt: skip
CONTENT = {
    "type": "NamespaceContentRemaining", "status": "True", "reason": "SomeResourcesRemain",
    "message": "Some resources are remaining: configmaps. has 1 resource instances",
}  # fmt: skip


def _terminating(rig: Rig, *conditions: dict[str, str]) -> None:
    rig.tick(0)
    document = conditioned("old", *conditions)
    document["metadata"]["deletionTimestamp"] = "2026-11-23T05:33:21Z"
    rig.object(2, "namespaces", document)
    rig.ticks(5, 120)


@case({"namespace/old": "ns.terminating.apiservice"}, lookalike_of="ns.terminating.finalizer")
def namespace_waits_for_an_aggregated_api(rig: Rig) -> None:
    rig.object(0, "apiservices", conditioned("v1beta1.metrics.k8s.io", {
        "type": "Available", "status": "False", "reason": "MissingEndpoints",
        "message": 'endpointslices for service/metrics-server in "kube-system" have no addresses '
        'with port name "https"'}))  # fmt: skip
    _terminating(rig, DISCOVERY)


@case({"namespace/old": "ns.terminating.finalizer"}, lookalike_of="ns.terminating.apiservice")
def namespace_waits_for_a_finalizer(rig: Rig) -> None:
    _terminating(rig, FINALIZERS, CONTENT)


@case({"namespace/old": "ns.terminating.content"}, lookalike_of="ns.terminating.finalizer")
def objects_of_the_namespace_are_not_deleted(rig: Rig) -> None:
    _terminating(rig, CONTENT)


@case({}, lookalike_of="ns.terminating.content")
def namespace_goes_in_time(rig: Rig) -> None:
    rig.tick(0)
    document = conditioned("old", CONTENT)
    document["metadata"]["deletionTimestamp"] = "2026-11-23T05:33:21Z"
    rig.object(2, "namespaces", document)
    rig.ticks(5, 15)
    rig.object(17, "namespaces", document, "DELETED")
    rig.ticks(20, 120)


@case({}, lookalike_of="ns.terminating.apiservice")
def an_aggregated_api_is_down_and_holds_nothing(rig: Rig) -> None:
    rig.tick(0)
    rig.object(1, "apiservices", conditioned("v1beta1.metrics.k8s.io", {
        "type": "Available", "status": "False", "reason": "MissingEndpoints", "message": "none"}))  # fmt: skip
    rig.ticks(5, 120)


@case({"pod/shop/web-0": "mesh.half-ready"}, lookalike_of="pod.probe")
def sidecar_has_no_configuration(rig: Rig) -> None:
    rig.tick(0)
    for s in range(1, 62, 20):
        rig.object(s, "pods", pod(phase="Running", containers=SIDECAR))
        rig.container_log(s + 1, "shop/web-0", "istio-proxy", "2026-11-23T05:33:21.1Z\twarn\tEnvoy "
            "proxy is NOT ready: config not received from XDS server (is Istiod running?): cds "
            "updates: 0 successful, 0 rejected; lds updates: 0 successful, 0 rejected")  # fmt: skip
        rig.ticks(s + 4, s + 19)


@case({"pod/shop/web-0": "pod.probe"}, lookalike_of="mesh.half-ready")
def application_beside_the_sidecar_is_not_ready(rig: Rig) -> None:
    containers = [running(ready=False), running(ready=True, name="istio-proxy")]
    rig.tick(0)
    for s in range(1, 132, 20):
        rig.object(s, "pods", pod(phase="Running", containers=containers))
        rig.event(s + 1, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 500",
                  kind="Pod", namespace="shop", name="web-0")  # fmt: skip
        rig.ticks(s + 4, s + 19)


@case({"pod/istio-system/citadel-0": "mesh.ca-expired"}, lookalike_of="pod.crashloop")
def citadel_cannot_use_its_root(rig: Rig) -> None:
    rig.tick(0)
    crash = waiting("CrashLoopBackOff", "back-off", name="citadel", reason="Error", exitCode=1)
    rig.object(1, "pods", pod("citadel-0", namespace="istio-system", phase="Running",
                              containers=[crash]))  # fmt: skip
    rig.container_log(2, "istio-system/citadel-0", "citadel", "2026-11-23T05:33:21.1Z\terror\tFailed to "
        "create a self-signed Citadel (error: failed to create CA KeyCertBundle (cannot verify the "
        "cert with the provided root chain and cert pool))")  # fmt: skip
    rig.ticks(5, 40)


def _root(rig: Rig, end: str) -> None:
    rig.object(0, "secrets", {
        "metadata": {"name": "istio-ca-secret", "namespace": "istio-system"},
        "certificates": [{"key": "ca-cert.pem", "not_after": end}],
    })  # fmt: skip
    rig.ticks(5, 40)


@case({"mesh/istio-system/istio-ca-secret": "mesh.ca-expired"})
def root_certificate_has_ended(rig: Rig) -> None:
    _root(rig, "2026-11-22T00:00:00Z")


@case({}, lookalike_of="mesh.ca-expired")
def root_certificate_is_valid_for_years(rig: Rig) -> None:
    _root(rig, "2030-11-22T00:00:00Z")


@case({"service/shop/web": "ingress.no-endpoints"})
def service_behind_an_ingress_is_empty(rig: Rig) -> None:
    rig.tick(0)
    for s in range(1, 50, 10):
        rig.container_log(s, "ingress/controller-0", "controller", "W1123 05:33:21.000000       7 "
            'controller.go:1] Service "shop/web" does not have any active Endpoint.')  # fmt: skip
        rig.ticks(s + 1, s + 9)


@case({"node/node-a": "secgroup.hardening"}, lookalike_of="node.apiserver-path")
def metadata_address_is_blocked(rig: Rig) -> None:
    rig.healthy(0, 60)
    targets = [
        {"name": "apiserver", "address": "10.0.0.1:6443", "outcome": OK, "ms": 2},
        {"name": "metadata", "address": "100.100.100.200:80", "outcome": TIMEOUT, "ms": 1000},
    ]
    for s in range(61, 100, 10):
        rig.probe(s, probe="path", why="canary", targets=targets)
        rig.alive(s + 1, s + 9)


@case({}, lookalike_of="secgroup.hardening")
def one_connection_was_slow(rig: Rig) -> None:
    rig.healthy(0, 60)
    slow = [{"name": "metadata", "address": "100.100.100.200:80", "outcome": TIMEOUT, "ms": 1000}]
    rig.probe(61, probe="path", why="canary", targets=slow)
    rig.probe(71, probe="path", why="canary", targets=[slow[0] | {"outcome": OK}])
    rig.healthy(75, 120)

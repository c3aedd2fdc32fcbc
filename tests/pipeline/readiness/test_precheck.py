"""Each check of the upgrade pre-flight: a pass, a failure, and not known."""

from typing import Any

import pytest

from pipeline.readiness.precheck import FAIL, PASS, UNKNOWN, Recorded, precheck


def node(name: str = "a", ready: str = "True", version: str = "v1.30.1",
         runtime: str = "containerd://1.7.0") -> dict[str, Any]:  # fmt: skip
    info = {"kubeletVersion": version, "containerRuntimeVersion": runtime}
    conditions = [{"type": "Ready", "status": ready}]
    return {"metadata": {"name": name}, "status": {"nodeInfo": info, "conditions": conditions}}


def budget(allowed: int) -> dict[str, Any]:
    return {"metadata": {"name": "web", "namespace": "shop"},
            "status": {"disruptionsAllowed": allowed, "expectedPods": 2}}  # fmt: skip


def api(available: str) -> dict[str, Any]:
    return {"metadata": {"name": "v1beta1.metrics.k8s.io"},
            "status": {"conditions": [{"type": "Available", "status": available}]}}  # fmt: skip


HOOK = {"metadata": {"name": "guard"}, "webhooks": [
    {"name": "guard.example", "failurePolicy": "Fail",
     "clientConfig": {"service": {"namespace": "guard", "name": "guard"}}}]}  # fmt: skip


def endpoints(*, ready: bool) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": "guard"}
    return {"metadata": {"name": "guard-x", "namespace": "guard", "labels": labels},
            "endpoints": [{"conditions": {"ready": ready}}]}  # fmt: skip


def outcome(check: str, *, events: list[tuple[str, str]] | None = None,
            samples: dict[str, Any] | None = None, incidents: list[str] | None = None,
            **objects: list[dict[str, Any]]) -> tuple[str, str]:  # fmt: skip
    findings = precheck(Recorded(objects, samples or {}, events or [], incidents or []))
    found = next(finding for finding in findings if finding.check == check)
    return found.outcome, found.what


@pytest.mark.parametrize(
    ("check", "good", "bad", "says"),
    [
        ("nodes-ready", {"nodes": [node()]}, {"nodes": [node("b", "Unknown")]}, "b"),
        ("version-skew", {"nodes": [node(), node("b", version="v1.28.0")]},
         {"nodes": [node(), node("b", version="v1.27.9-eks-1")]}, "b (1.27)"),
        ("dockershim", {"nodes": [node(runtime="docker://24", version="v1.27.0")]},
         {"nodes": [node(runtime="docker://19", version="v1.22.0")]}, "a"),
        ("disruption-budgets", {"poddisruptionbudgets": [budget(1)]},
         {"poddisruptionbudgets": [budget(0)]}, "shop/web"),
        ("apiservices", {"apiservices": [api("True")]}, {"apiservices": [api("False")]}, "metrics"),
        ("webhooks", {"validatingwebhookconfigurations": [HOOK],
                      "endpointslices": [endpoints(ready=True)]},
         {"validatingwebhookconfigurations": [HOOK], "endpointslices": [endpoints(ready=False)]},
         "guard.example"),
        ("kubelet-certificates", {"samples": {"a": {"metrics": {"client_cert_ttl": 9e6}}}},
         {"samples": {"a": {"metrics": {"client_cert_ttl": 86_400.0}}}}, "a (1 d)"),
        ("disks", {"samples": {"a": {"stats": {"fs": {"size": 100, "free": 50}}}}},
         {"samples": {"a": {"stats": {"image_fs": {"size": 100, "free": 5}}}}}, "image_fs 95 %"),
        ("cgroup-v1", {"nodes": [node()], "events": [("Starting", "a")]},
         {"nodes": [node()], "events": [("CgroupV1", "a")]}, "a"),
        ("incidents", {}, {"incidents": ["node/a"]}, "node/a"),
    ],
)  # fmt: skip
def test_check(check: str, good: dict[str, Any], bad: dict[str, Any], says: str) -> None:
    assert outcome(check, **good)[0] == PASS
    found, what = outcome(check, **bad)
    assert found == FAIL
    assert says in what


def test_what_is_not_recorded_is_not_known() -> None:
    outcomes = {f.check: f.outcome for f in precheck(Recorded({}, {}))}
    assert outcomes.pop("incidents") == PASS
    assert set(outcomes.values()) == {UNKNOWN}
    assert all(f.remedy for f in precheck(Recorded({}, {})) if f.check in ("etcd",))

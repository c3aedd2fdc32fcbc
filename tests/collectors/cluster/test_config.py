"""Settings of the watcher: what a wrong one says, and what the table makes of a right one."""

from pathlib import Path

import pytest

from collectors.cluster.config import WatchConfig
from collectors.cluster.resources import INVENTORY, RESOURCES, scopes
from pipeline.base.config import load
from pipeline.base.errors import UsageError


def refused(tmp_path: Path, text: str) -> str:
    file = tmp_path / "watch.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        load(WatchConfig, service="watch", path=file, environment={})
    return str(caught.value)


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    assert "did you mean `namespaces`" in refused(tmp_path, "namespace: [shop]")
    assert "'pod' is none of nodes, leases" in refused(tmp_path, "without: [pod]")
    assert "retry_s < renew_s < duration_s" in refused(tmp_path, "lease: {renew_s: 20}")
    assert "secrets.0.name" in refused(tmp_path, "secrets: [{namespace: shop, name: Bad/Name}]")


def test_environment_and_command_line(tmp_path: Path) -> None:
    config = load(
        WatchConfig,
        service="watch",
        environment={"KUBELEDGER_WATCH_LEASE__ENABLED": "false"},
        overrides={"kubeconfig": "/etc/kc"},
    )
    assert not config.lease.enabled
    assert config.kubeconfig == Path("/etc/kc")


def test_scopes() -> None:
    everywhere = {scope.name for scope in scopes()}
    assert len(everywhere) == len(RESOURCES)
    assert {"pods", "leases/kube-node-lease"} <= everywhere
    assert "configmaps/kube-system/cluster-autoscaler-status" in everywhere
    assert not any("secrets" in n or "inventor" in n for n in everywhere), "off unless named"
    some = {
        scope.name
        for scope in scopes(
            without=["events.k8s.io"],
            namespaces=["a", "b"],
            secrets=[("istio-system", "cacerts")],
            node_pools=["np4f"],
        )
    }
    assert {"pods/a", "pods/b", "nodes", "leases/kube-node-lease"} <= some
    assert "secrets/istio-system/cacerts" in some
    assert "inventories/kube-system/np4f-inventory-status" in some
    assert not {"pods", "events.k8s.io", "events.k8s.io/a"} & some


def test_paths() -> None:
    by_name = {row.name: row for row in (*RESOURCES, INVENTORY)}
    of_stock = by_name["inventories"].path("v1", "kube-system")
    assert of_stock == "/api/v1/namespaces/kube-system/configmaps"
    assert by_name["pods"].path("v1", "") == "/api/v1/pods"
    assert by_name["events.k8s.io"].path("v1", "a") == "/apis/events.k8s.io/v1/namespaces/a/events"
    assert by_name["nodeclaims"].path("v1", "") == "/apis/karpenter.sh/v1/nodeclaims"

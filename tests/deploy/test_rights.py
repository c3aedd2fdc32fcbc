"""The chart's roles are enough and not more: the real watcher runs against an API server that
refuses whatever the rendered roles do not grant, and uses every rule of them."""

from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from collectors.cluster.resources import NAMES
from pipeline.contract.state import SYNCED
from tests.collectors.cluster.fake_api import FakeApi
from tests.collectors.cluster.fake_store import FakeStore, status
from tests.collectors.cluster.watcher_rig import FAST_LEASE, RunningWatcher, bus, events_of, until
from tests.deploy import chart
from tests.deploy.test_chart import PLAIN

pytestmark = pytest.mark.real
NAMED = ("--set", "watcher.certificates[0].namespace=istio-system",
         "--set", "watcher.certificates[0].name=cacerts",
         "--set", "watcher.nodePools={np4f,np5a}")  # fmt: skip


class Grant(NamedTuple):
    """One verb on one resource; namespace "" is everywhere, name "" every name."""

    verb: str
    group: str
    resource: str
    namespace: str
    name: str


def grants(component: str) -> frozenset[Grant]:
    """What the rendered roles of a component allow."""
    return frozenset(
        Grant(verb, group, resource, found["metadata"].get("namespace", ""), name)
        for found in chart.objects(*PLAIN, *NAMED)
        if found["kind"] in ("Role", "ClusterRole")
        and found["metadata"]["labels"]["app.kubernetes.io/component"] == component
        for rule in found["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
    )


def asked_for(method: str, path: str, params: dict[str, str]) -> Grant:
    """As an API server's request info (k8s.io/apiserver pkg/endpoints/request) says it: a field
    selector on metadata.name names the object of a list or watch."""
    parts = path.strip("/").split("/")
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    if method == "GET" and not name:
        verb = "watch" if params.get("watch") == "true" else "list"
        selector = params.get("fieldSelector", "")
        name = selector.partition("metadata.name=")[2]
    else:
        verb = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch"}[method]
    resource = "/".join([rest[0], *rest[2:3]])  # with its subresource
    return Grant(verb, group, resource, namespace, name)


class GuardedApi(FakeApi):
    """Refuses what is not granted, and remembers what was used."""

    def __init__(self, granted: frozenset[Grant]) -> None:
        super().__init__(FakeStore())
        self.granted = granted
        self.used: set[Grant] = set()
        self.refused: list[Grant] = []

    def _may(self, handler: BaseHTTPRequestHandler, wanted: Grant) -> bool:
        for grant in self.granted:
            if (
                grant[:3] == wanted[:3]
                and grant.namespace in ("", wanted.namespace)
                and grant.name in ("", wanted.name)
            ):
                self.used.add(grant)
                return True
        self.refused.append(wanted)
        if handler.command != "GET":
            handler.rfile.read(int(handler.headers["Content-Length"]))
        self._reply(handler, status(403, "Forbidden", f"{wanted} is not allowed"))
        return False

    def answer(self, handler: BaseHTTPRequestHandler, path: str, params: dict[str, str]) -> None:
        if self._may(handler, asked_for("GET", path, params)):
            super().answer(handler, path, params)

    def write_lease(self, handler: BaseHTTPRequestHandler, *, create: bool) -> None:
        path = handler.path.partition("?")[0]
        if self._may(handler, asked_for(handler.command, path, {})):
            super().write_lease(handler, create=create)

    def write_status(self, handler: BaseHTTPRequestHandler) -> None:
        if self._may(handler, asked_for("PATCH", handler.path, {})):
            super().write_status(handler)


@pytest.fixture(scope="module")
def granted() -> frozenset[Grant]:
    chart.need_helm()
    return grants("watch")


def run_watcher(api: GuardedApi, folder: Path) -> set[str]:
    """Resources that it said it sees."""
    lease = {"enabled": True, "namespace": chart.NAMESPACE, "name": "kubeledger-watch"}
    broker = bus()
    for path in ("logconfigs", "clusterlogconfigs"):
        namespace = "shop" if path == "logconfigs" else ""
        api.store.put(f"/apis/kubeledger.io/v1alpha1/{path}", "a", namespace, spec={})
    more: dict[str, Any] = {
        "without": [],
        "log_status_s": 0.1,
        "lease": {**FAST_LEASE, **lease},
        "secrets": [{"namespace": "istio-system", "name": "cacerts"}],
        "node_pools": ["np4f", "np5a"],
    }

    def seen() -> set[str]:
        return {
            str(event.body["resource"])
            for event in events_of(broker)
            if event.kind == SYNCED and event.body["outcome"] == "ok"
        }

    with RunningWatcher.on(api, folder, broker, **more):
        until(lambda: seen() >= {*NAMES, "secrets", "inventories"} or api.refused)
        until(lambda: api.used >= api.granted or api.refused)
    return seen()


def test_the_roles_are_enough_and_every_rule_is_used(
    granted: frozenset[Grant], tmp_path: Path
) -> None:
    with GuardedApi(granted) as api:
        seen = run_watcher(api, tmp_path)
    assert api.refused == []
    assert seen == {*NAMES, "secrets", "inventories"}
    assert api.granted - api.used == set()


def test_one_rule_less_is_noticed(granted: frozenset[Grant], tmp_path: Path) -> None:
    less = frozenset(grant for grant in granted if grant.resource != "deployments")
    with GuardedApi(less) as api:
        run_watcher(api, tmp_path)
    assert {grant.resource for grant in api.refused} == {"deployments"}


# Which subresource of `nodes` a kubelet asks for (k8s.io/kubernetes pkg/kubelet/server/auth.go,
# KEP-2862); the widest of each, nodes/proxy, is not granted.
SUBRESOURCES = {
    "/metrics": "nodes/metrics", "/metrics/probes": "nodes/metrics",
    "/metrics/resource": "nodes/metrics", "/stats/summary": "nodes/stats", "/pods": "nodes/pods",
    "/healthz": "nodes/healthz", "/configz": "nodes/configz",
}  # fmt: skip


def test_the_collector_may_ask_its_kubelet_what_it_asks(granted: frozenset[Grant]) -> None:
    wanted = {Grant("get", "", subresource, "", "") for subresource in SUBRESOURCES.values()}
    assert grants("collect") == wanted
    source = Path(chart.ROOT / "collectors")
    asked = {
        path
        for path in SUBRESOURCES
        for file in source.rglob("*.py")
        if f'"{path}"' in file.read_text() or f'"{path}?' in file.read_text()
    }
    assert asked == set(SUBRESOURCES)

"""Is the cluster fit to be upgraded? A pure look at what is recorded: what fails, what passes, and
what is not known. Facts: diagnosis catalogue, upgrade.precheck.

`Recorded` holds the last version of each object by resource, the last values of each part by node,
and reasons of Kubernetes Events with the object they are about.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FAIL, PASS, UNKNOWN = "fail", "pass", "unknown"
SKEW = 3  # minor versions that a kubelet may be behind the API server since 1.28 (k/k version skew)
DOCKERSHIM_GONE = 24  # minor version of Kubernetes without dockershim
CERT_DAYS = 30
DISK_FULL = 0.85
_MOST = 10

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Recorded:
    objects: Mapping[str, Sequence[Object]]
    samples: Mapping[str, Mapping[str, Mapping[str, Any]]]  # node -> part -> values
    events: Sequence[tuple[str, str]] = ()  # (reason, name of the object)
    incidents: Sequence[str] = ()  # entities of open incidents


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. `what` says what was found, `remedy` what to do before the upgrade."""

    check: str
    outcome: str
    what: str
    remedy: str = ""
    about: tuple[str, ...] = field(default=())


def precheck(recorded: Recorded) -> list[Finding]:
    """All checks, always, in one order."""
    return [check(recorded) for check in CHECKS]


def _verdict(
    check: str, bad: Sequence[str], *, looked_at: int, good: str, wrong: str, remedy: str
) -> Finding:
    if not looked_at:
        return Finding(check, UNKNOWN, "nothing about it is recorded")
    if not bad:
        return Finding(check, PASS, good)
    shown = ", ".join(bad[:_MOST]) + (f" and {len(bad) - _MOST} more" if len(bad) > _MOST else "")
    return Finding(check, FAIL, f"{wrong}: {shown}", remedy, tuple(bad))


def _nodes_ready(recorded: Recorded) -> Finding:
    nodes = recorded.objects.get("nodes", ())
    bad = [_name(node) for node in nodes if _condition(node, "Ready") != "True"]
    return _verdict(
        "nodes-ready", bad, looked_at=len(nodes), good=f"all {len(nodes)} nodes are Ready",
        wrong="nodes are not Ready", remedy="mend or remove them first; they cannot be drained",
    )  # fmt: skip


def _skew(recorded: Recorded) -> Finding:
    nodes = recorded.objects.get("nodes", ())
    minors = {_name(node): _minor(_info(node, "kubeletVersion")) for node in nodes}
    known = {name: minor for name, minor in minors.items() if minor}
    newest = max(known.values(), default=0)
    bad = [f"{name} (1.{minor})" for name, minor in known.items() if newest - minor >= SKEW]
    return _verdict(
        "version-skew", bad, looked_at=len(known), good=f"kubelets are at 1.{newest} or close",
        wrong=f"kubelets are {SKEW} or more minor versions behind 1.{newest}",
        remedy="upgrade these kubelets before the control plane moves on",
    )  # fmt: skip


def _dockershim(recorded: Recorded) -> Finding:
    nodes = recorded.objects.get("nodes", ())
    bad = [
        _name(node)
        for node in nodes
        if _info(node, "containerRuntimeVersion").startswith("docker://")
        and _minor(_info(node, "kubeletVersion")) < DOCKERSHIM_GONE
    ]
    return _verdict(
        "dockershim", bad, looked_at=len(nodes), good="no node uses dockershim",
        wrong="nodes use dockershim, which 1.24 does not have",
        remedy="move these nodes to containerd",
    )  # fmt: skip


def _budgets(recorded: Recorded) -> Finding:
    budgets = recorded.objects.get("poddisruptionbudgets", ())
    bad = [
        _name(budget)
        for budget in budgets
        if (budget.get("status") or {}).get("disruptionsAllowed") == 0
        and (budget.get("status") or {}).get("expectedPods", 1) > 0
    ]
    return _verdict(
        "disruption-budgets", bad, looked_at=len(budgets), good="every budget allows a disruption",
        wrong="budgets allow no disruption, so a drain is refused with 429",
        remedy="add replicas, or relax the budget for the time of the upgrade",
    )  # fmt: skip


def _apiservices(recorded: Recorded) -> Finding:
    services = recorded.objects.get("apiservices", ())
    bad = [_name(s) for s in services if _condition(s, "Available") not in ("True", "")]
    return _verdict(
        "apiservices", bad, looked_at=len(services), good="all aggregated APIs are available",
        wrong="aggregated APIs are not available",
        remedy="repair what is behind them, or delete the APIService",
    )  # fmt: skip


def _webhooks(recorded: Recorded) -> Finding:
    """Webhooks that must answer and whose Service has no ready endpoint."""
    slices = recorded.objects.get("endpointslices", ())
    ready = {
        (s["metadata"].get("namespace"), (s["metadata"].get("labels") or {}).get(_SERVICE))
        for s in slices
        if any((e.get("conditions") or {}).get("ready", True) for e in s.get("endpoints") or ())
    }
    hooks = [
        (_name(configuration), hook)
        for kind in ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")
        for configuration in recorded.objects.get(kind, ())
        for hook in configuration.get("webhooks") or ()
        if hook.get("failurePolicy", "Fail") == "Fail"
    ]
    bad = [f"{name}: {hook.get('name')}" for name, hook in hooks if _backend(hook) not in ready]
    return _verdict(
        "webhooks", bad if slices else [], looked_at=len(hooks) if slices else 0,
        good="every webhook that must answer has an endpoint",
        wrong="webhooks must answer and have no ready endpoint",
        remedy="repair the webhook's Service, or set failurePolicy to Ignore for the upgrade",
    )  # fmt: skip


def _certificates(recorded: Recorded) -> Finding:
    ttls = {
        node: parts["metrics"]["client_cert_ttl"] / 86_400
        for node, parts in recorded.samples.items()
        if "client_cert_ttl" in parts.get("metrics", {})
    }
    bad = [f"{node} ({days:.0f} d)" for node, days in ttls.items() if days < CERT_DAYS]
    return _verdict(
        "kubelet-certificates", bad, looked_at=len(ttls),
        good=f"kubelet certificates are good for {CERT_DAYS} days or more",
        wrong=f"kubelet certificates end within {CERT_DAYS} days",
        remedy="see that rotation works (pending CSRs) before the upgrade restarts kubelets",
    )  # fmt: skip


def _disks(recorded: Recorded) -> Finding:
    bad, seen = [], 0
    for node, parts in recorded.samples.items():
        for name in ("fs", "image_fs"):
            fs = parts.get("stats", {}).get(name) or {}
            if fs.get("size"):
                seen += 1
                used = 1 - fs.get("free", 0) / fs["size"]
                if used > DISK_FULL:
                    bad.append(f"{node} {name} {100 * used:.0f} %")
    return _verdict(
        "disks", bad, looked_at=seen, good="disks have room for new images",
        wrong=f"disks are more than {100 * DISK_FULL:.0f} % full",
        remedy="free space first; the upgrade pulls images on every node",
    )  # fmt: skip


def _cgroups(recorded: Recorded) -> Finding:
    nodes = recorded.objects.get("nodes", ())
    bad = sorted({name for reason, name in recorded.events if reason == "CgroupV1"})
    return _verdict(
        "cgroup-v1", bad, looked_at=len(nodes) if recorded.events or bad else 0,
        good="no kubelet warned of cgroup v1", wrong="nodes use cgroup v1, in maintenance mode",
        remedy="boot these nodes with cgroup v2",
    )  # fmt: skip


def _incidents(recorded: Recorded) -> Finding:
    return _verdict(
        "incidents", list(recorded.incidents), looked_at=1, good="no incident is open",
        wrong="incidents are open", remedy="see `kubeledger incidents --open`",
    )  # fmt: skip


def _deprecated(recorded: Recorded) -> Finding:
    return Finding(
        "deprecated-apis", UNKNOWN, "the API server's own metrics are not recorded",
        "ask it for apiserver_requested_deprecated_apis == 1 with the removed_release label",
    )  # fmt: skip


def _etcd(recorded: Recorded) -> Finding:
    return Finding("etcd", UNKNOWN, "the health of etcd is not recorded", "ask it (etcdctl)")


_SERVICE = "kubernetes.io/service-name"
CHECKS = (
    _nodes_ready, _incidents, _skew, _dockershim, _budgets, _apiservices, _webhooks,
    _certificates, _disks, _cgroups, _deprecated, _etcd,
)  # fmt: skip


def _name(obj: Object) -> str:
    meta = obj["metadata"]
    return "/".join(part for part in (meta.get("namespace", ""), meta["name"]) if part)


def _condition(obj: Object, kind: str) -> str:
    return next(_statuses(obj, kind), "")


def _statuses(obj: Object, kind: str) -> Iterator[str]:
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition.get("type") == kind:
            yield str(condition.get("status", ""))


def _info(node: Object, key: str) -> str:
    return str(((node.get("status") or {}).get("nodeInfo") or {}).get(key, ""))


def _minor(version: str) -> int:
    """24 of `v1.24.3-eks-1`; 0 if it is no version."""
    found = re.match(r"v?1\.(\d+)", version)
    return int(found.group(1)) if found else 0


def _backend(hook: Object) -> tuple[str, str]:
    service = (hook.get("clientConfig") or {}).get("service") or {}
    return service.get("namespace", ""), service.get("name", "")

"""`kubeledger explain pod`: the chain of a pod that waits for a node, its timeline, and its
incidents, from the store."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from pipeline.base.errors import UsageError
from pipeline.console.explain_logs import LogsOfPod
from pipeline.console.incident_text import moment
from pipeline.console.incidents import explain_documents, incidents_of, print_stories
from pipeline.console.output import harmless, json_text
from pipeline.console.pod_timeline import pod_timeline
from pipeline.elasticity.ca_status import parse
from pipeline.elasticity.pending import Hop, PodEvent, Recorded, chain, is_pending
from pipeline.elasticity.stock import is_stock, stock_of
from pipeline.readiness.catalogue import Catalogue
from pipeline.store.protocol import Store

_AUTOSCALING = ("nodepools", "nodeclaims", "configmaps", "inventories")
_OF_NAMESPACE = ("resourcequotas", "limitranges")


def run_explain_pod(
    store: Store,
    out: TextIO,
    *,
    pod: str,
    catalogue: Catalogue,
    as_json: bool,
    logs: LogsOfPod | None = None,
) -> None:
    """`pod` is NAMESPACE/NAME. Raises UsageError for a pod of which nothing is known."""
    if pod.count("/") != 1 or not all(pod.split("/")):
        raise UsageError(f"pod {pod!r} is not NAMESPACE/NAME")
    bodies = incidents_of(store, "pod", pod)
    hops = pending_chain(store, pod, bodies)
    timeline = pod_timeline(store, pod)
    if not bodies and not hops and timeline is None and logs is None:
        raise UsageError(
            f"of pod {pod} neither an incident nor a timeline is recorded, and it does not wait "
            "for a node; nothing to explain (`kubeledger scale` lists decisions and pods)"
        )
    if as_json:
        document = {
            "pod": pod,
            "chain": [
                {"step": h.step, "kind": h.kind, "says": h.says, "source": h.source, "t": h.t}
                for h in hops
            ],
            "timeline": timeline.document() if timeline is not None else None,
            "incidents": explain_documents(store, bodies),
            "logs": logs.document() if logs is not None else None,
        }
        out.write(json_text(document) + "\n")
        return
    between = ""
    if hops:
        _print_chain(pod, hops, out)
        between = "\n"
    if timeline is not None:
        out.write(between)
        out.writelines(f"{line}\n" for line in timeline.lines())
        between = "\n"
    if bodies:
        out.write(between)
        print_stories(store, bodies, out, catalogue=catalogue)
        between = "\n"
    if logs is not None:
        out.write(between)
        out.writelines(f"{line}\n" for line in logs.lines())


def pending_chain(store: Store, pod: str, incidents: Sequence[dict[str, Any]]) -> list[Hop]:
    """Empty for a pod that has a node, has ended, is gone, or was never seen."""
    recorded = read_recorded(store, pod, incidents)
    return chain(recorded) if recorded is not None and is_pending(recorded.pod) else []


def read_recorded(store: Store, pod: str, incidents: Sequence[dict[str, Any]]) -> Recorded | None:
    namespace, name = pod.split("/")
    about = {"namespace": namespace, "name": name}
    where = "resource = 'pods' AND namespace = {namespace:String} AND name = {name:String}"
    found = _latest(store, where, about)
    if not found:
        return None
    mine = "kind = 'Pod' AND namespace = {namespace:String} AND name = {name:String}"
    stock = "kind = 'ACKNodePool' AND reason = 'InstanceInventoryStatusChanged'"
    autoscaling = _latest(store, "resource IN {names:Array(String)}", {"names": list(_AUTOSCALING)})
    limits = _latest(
        store,
        "resource IN {names:Array(String)} AND namespace = {namespace:String}",
        {**about, "names": list(_OF_NAMESPACE)},
    )
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for document in (*autoscaling, *limits):
        by_kind.setdefault(document.get("kind", ""), []).append(document)
    config_maps = by_kind.get("ConfigMap", ())
    status: Mapping[str, Any] = next((c for c in config_maps if not is_stock(c)), {})
    return Recorded(
        found[-1],
        _events(store, mine, "uid", about),
        by_kind.get("NodePool", ()),
        by_kind.get("NodeClaim", ()),
        parse((status.get("data") or {}).get("status") or ""),
        _events(store, stock, "name, splitByString(' inventory', message)[1]", about),
        [stock_of(one) for one in config_maps if is_stock(one)],
        by_kind.get("ResourceQuota", ()),
        by_kind.get("LimitRange", ()),
        [*incidents, *_elsewhere(store, incidents)],
    )


def _events(store: Store, where: str, each: str, about: dict[str, Any]) -> list[PodEvent]:
    """The last version of `each`, oldest first."""
    rows = store.query(
        "SELECT toUnixTimestamp64Milli(argMax(ts, ko)) AS t, argMax(reason, ko), "
        "argMax(message, ko), argMax(component, ko), argMax(count, ko) FROM k8s_events "
        f"WHERE {where} GROUP BY {each} ORDER BY t, max(ko)",
        about,
    ).rows
    return [PodEvent(int(t), reason, says, by, int(n)) for t, reason, says, by, n in rows]


def _latest(store: Store, where: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Last versions of what exists, in the order in which it was last written."""
    rows = store.query(
        f"SELECT argMax(document, ko) FROM objects WHERE {where} GROUP BY resource, uid "
        "HAVING argMax(type, ko) != 'DELETED' ORDER BY max(ko)",
        parameters,
    ).rows
    return [json.loads(document) for (document,) in rows]


def _elsewhere(store: Store, known: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Open incidents of nodes and of what makes nodes: they may stand behind the pod's."""
    rows = store.query(
        "SELECT body FROM episodes FINAL WHERE status = 'open' AND splitByChar('/', entity)[1] IN "
        "('node', 'zone', 'cluster', 'nodegroup', 'nodepool', 'cluster-autoscaler', 'karpenter') "
        "ORDER BY opened_at, id LIMIT 20"
    ).rows
    ids = {body["id"] for body in known}
    bodies = [json.loads(body) for (body,) in rows]
    return [body for body in bodies if body["id"] not in ids]


def _print_chain(pod: str, hops: Sequence[Hop], out: TextIO) -> None:
    out.write(f"pod {harmless(pod)} waits for a node\n")
    step = ""
    for hop in hops:
        if hop.step != step:
            out.write(f"\n{hop.step}\n")
            step = hop.step
        when = f"{moment(hop.t)[11:]} " if hop.t else ""
        kind = f"{hop.kind}: " if hop.kind else ""
        source = f" ({hop.source})" if hop.source else ""
        out.write(f"  {when}{kind}{harmless(hop.says)}{source}\n")

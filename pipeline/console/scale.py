"""`kubeledger scale` and `kubeledger explain scale`: scaling decisions, from the store."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from pipeline.base.errors import UsageError
from pipeline.console.incident_text import moment
from pipeline.console.output import harmless, json_text
from pipeline.console.scalings import author, scaling_document, seconds
from pipeline.console.timeline_text import in_words, timeline_lines
from pipeline.contract.tables import SCALE_SEGMENTS
from pipeline.elasticity.scaling.decisions import DONE
from pipeline.store.protocol import Store

_LATE_MS = 4_102_444_800_000  # 2100: it is not over yet
_FILE_WIDTH = 180  # where there is no terminal that has one
_QUANTILES = ("total_ms", *(f"seg_{name}_ms" for name in SCALE_SEGMENTS))

Body = Mapping[str, Any]


def run_scale(
    store: Store, out: TextIO, *, workload: str | None, since_ns: int, as_json: bool
) -> None:
    """Decisions since then, oldest first; of one workload, by its name or `kind/namespace/name`."""
    heads = _heads(
        store,
        "decided_at >= fromUnixTimestamp64Milli({since:Int64}) AND ({workload:String} = '' "
        "OR workload = {workload:String} OR endsWith(workload, concat('/', {workload:String})))",
        {"since": since_ns // 1_000_000, "workload": workload or ""},
    )
    if as_json:
        out.write(json_text(heads) + "\n")
        return
    console = _console(out)
    if not heads:
        console.print("no scaling decisions")
        return
    table = _table(
        "id", "decided", "workload", "replicas", "by", "status", "ready", "total", "slowest"
    )
    for body in heads:
        name = body["longest"]
        slowest = f"{name} {seconds(body['segments'][name])}" if name else ""
        if body.get("waits_in"):
            slowest = f"{body['waits_in']}, still"
        table.add_row(
            body["id"],
            moment(body["decided_at"]),
            harmless(body["workload"]),
            f"{body['from']} -> {body['to']}",
            harmless(author(body)),
            body["status"],
            f"{body['ready']}/{body['count']}",
            seconds(body["total_ms"]) if body["total_ms"] is not None else "",
            slowest,
        )
    console.print(table)


def run_percentiles(store: Store, out: TextIO, *, since_ns: int, as_json: bool) -> None:
    """p50 and p95 of each segment, per workload and node pool, of pods that became ready."""
    # Negative: a pod was bound to a node before that was Ready; it did not wait for the scheduler.
    wanted = ", ".join(
        f"if(count({name}) = 0, [], quantilesExactInclusive(0.5, 0.95)(greatest({name}, 0)))"
        for name in _QUANTILES
    )
    result = store.query(
        f"SELECT workload, node_pool, count() AS pods, {wanted} FROM scale_timelines FINAL "
        "WHERE by != 'none' AND status = 'ready' "
        "AND created_at >= fromUnixTimestamp64Milli({since:Int64}) "
        "GROUP BY workload, node_pool ORDER BY workload, node_pool",
        {"since": since_ns // 1_000_000},
    )
    found = [_percentiles(row) for row in result.rows]
    if as_json:
        out.write(json_text(found) + "\n")
        return
    table = _table("workload", "node pool", "pods", "total", *SCALE_SEGMENTS)
    for body in found:
        spans = (body["total"], *(body["segments"][name] for name in SCALE_SEGMENTS))
        cells = (f"{s['p50'] / 1000:.1f} / {s['p95'] / 1000:.1f}" if s else "" for s in spans)
        table.add_row(
            harmless(body["workload"]), harmless(body["node_pool"]), str(body["pods"]), *cells
        )
    _console(out).print(table, "seconds, p50 / p95" if found else "no pods became ready")


def run_explain_scale(store: Store, out: TextIO, *, scaling: str, as_json: bool) -> None:
    """One decision whole; `scaling` is its id or the beginning of it."""
    heads = _heads(store, "startsWith(id, {id:String})", {"id": scaling})
    if not heads:
        raise UsageError(
            f"no scaling decision {scaling!r}; `kubeledger scale` lists them with their ids"
        )
    if len(heads) > 1:
        ids = ", ".join(body["id"] for body in heads[:5])
        raise UsageError(f"{scaling!r} is the beginning of {len(heads)} ids: {ids} …")
    result = store.query(
        "SELECT body FROM scale_timelines FINAL WHERE scaling_id = {id:String} "
        "ORDER BY t_created, pod",
        {"id": heads[0]["id"]},
    )
    body = scaling_document(heads[0], [json.loads(pod) for (pod,) in result.rows])
    body["incidents"] = _meanwhile(store, body)
    if as_json:
        out.write(json_text(body) + "\n")
    else:
        out.writelines(f"{line}\n" for line in _story(body))


def _meanwhile(store: Store, body: Body) -> list[dict[str, str]]:
    """Incidents of the workload, of who decided, and of these pods, between decision and Ready."""
    ends = [pod["ready_at"] for pod in body["pods"]]
    known = [end for end in ends if end is not None]
    over = body["status"] == DONE and len(known) == len(ends)
    rows = store.query(
        "SELECT body FROM episodes FINAL WHERE status != 'merged'"
        " AND (entity IN {about:Array(String)} OR hasAny(affected, {pods:Array(String)}))"
        " AND opened_at <= fromUnixTimestamp64Milli({end:Int64}) AND (closed_at IS NULL"
        " OR closed_at >= fromUnixTimestamp64Milli({start:Int64})) ORDER BY opened_at, id LIMIT 20",
        {
            "about": [body["workload"], body["who"] or body["workload"]],
            "pods": [f"{pod['namespace']}/{pod['name']}" for pod in body["pods"]],
            "start": body["decided_at"],
            "end": max(known, default=body["decided_at"]) if over else _LATE_MS,
        },
    ).rows
    found = [json.loads(one) for (one,) in rows]
    names = ("id", "entity", "title", "verdict", "because")
    return [{name: one.get(name) or "" for name in names} for one in found]


def _story(body: Body) -> Sequence[str]:
    who = harmless(f"{body['workload']} {body['from']} -> {body['to']} by {author(body)}")
    lines = [who, f"  {moment(body['decided_at'])}, {body['status']}, id {body['id']}"]
    if body["why"]:
        lines.append(f"  because: {harmless(body['why'])}")
    lines.append(f"  pods {body['count']}, ready {body['ready']}, not there yet {body['due']}")
    if body.get("waits_in"):
        lines.append(f"  waits in: {body['waits_in']}")
    if body["longest"]:
        lines.append(f"  longest: {body['longest']}; medians: {in_words(body['segments'])}")
    for one in body["incidents"]:
        because = f" because {one['because']}" if one["because"] else ""
        told = f"  meanwhile: {one['entity']}: {one['title']}, {one['verdict']}{because}"
        lines.append(harmless(f"{told} (incident {one['id']})"))
    for pod in body["pods"]:
        lines += ["", *timeline_lines(pod, body["decided_at"])]
    return lines


def _heads(store: Store, where: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    result = store.query(
        f"SELECT body FROM scalings FINAL WHERE {where} ORDER BY decided_at, id", parameters
    )
    return [json.loads(body) for (body,) in result.rows]


def _percentiles(row: Sequence[Any]) -> dict[str, Any]:
    workload, pool, pods, total, *segments = row
    return {
        "workload": workload,
        "node_pool": pool,
        "pods": int(pods),
        "total": _pair(total),
        "segments": {n: _pair(span) for n, span in zip(SCALE_SEGMENTS, segments, strict=True)},
    }


def _pair(quantiles: Sequence[float]) -> dict[str, float] | None:
    """None where not one value is known."""
    return {"p50": quantiles[0], "p95": quantiles[1]} if quantiles else None


def _console(out: TextIO) -> Console:
    return Console(file=out, highlight=False, width=None if out.isatty() else _FILE_WIDTH)


def _table(*names: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold")
    return table

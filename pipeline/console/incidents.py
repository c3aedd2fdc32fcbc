"""`kubeledger incidents` and `kubeledger explain`: what the folds concluded, from the store."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from pipeline.base.errors import UsageError
from pipeline.console.incident_text import Body, incident_document, print_incidents, story
from pipeline.console.output import json_text
from pipeline.contract.facts import FAULT
from pipeline.readiness.catalogue import Catalogue
from pipeline.store.protocol import Store


def verdict_document(body: Body) -> dict[str, Any]:
    """A verdict about scaling: what (`id` names the cause), of whom, and in whose words."""
    return {
        "id": body["verdict"],
        "incident": body["id"],
        **{name: body[name] for name in ("entity", "because", "severity", "confidence", "status")},
        "message": message_of(body),
        "opened_at": body["opened_at"],
        "closed_at": body["closed_at"] or None,
    }


def message_of(body: Body) -> str:
    """The words of the evidence that says most: what narrows the cause, else what proves it."""
    shown = {evidence["atom"]: evidence["quote"] for evidence in body["evidence"]}
    if body["decided_by"] in shown:
        return str(shown[body["decided_by"]])
    strong = (e["quote"] for e in body["evidence"] if e["role"] in ("proof", "required"))
    return str(next(strong, ""))


def run_incidents(
    store: Store,
    out: TextIO,
    *,
    node: str | None,
    since_ns: int,
    only_open: bool,
    as_json: bool,
) -> None:
    """Incidents that were open at or after `since_ns`; with `node` those of the node, and those
    that affect it."""
    bodies = _faults(_read(store, since_ns=since_ns, only_open=only_open))
    if node is not None:
        entity = f"node/{node}"
        bodies = [b for b in bodies if b["entity"] == entity or {entity, node} & {*b["affected"]}]
    if as_json:
        out.write(json_text([incident_document(body) for body in bodies]) + "\n")
    else:
        print_incidents(bodies, out)


def run_explain(
    store: Store, out: TextIO, *, about: Sequence[str], catalogue: Catalogue, as_json: bool
) -> None:
    """`about`: an incident's id or its beginning; or `pod NS/NAME`, `node NAME`."""
    bodies = _named(store, about)
    if as_json:
        for document in explain_documents(store, bodies):
            out.write(json_text(document) + "\n")
    else:
        print_stories(store, bodies, out, catalogue=catalogue)


def print_stories(
    store: Store, bodies: Sequence[Body], out: TextIO, *, catalogue: Catalogue
) -> None:
    """Each incident whole."""
    for number, body in enumerate(bodies):
        out.write("\n" if number else "")
        told = story(body, _versions(store, body["id"]), catalogue)
        out.writelines(f"{line}\n" for line in told)


def explain_documents(store: Store, bodies: Sequence[Body]) -> list[dict[str, Any]]:
    """Each incident whole, as programs read it."""
    documents = []
    for body in bodies:
        versions = _versions(store, body["id"])
        document = incident_document(body) | {"candidates": body["candidates"]}
        document["versions"] = [incident_document(v) | {"at": v["at"]} for v in versions]
        documents.append(document)
    return documents


def _named(store: Store, about: Sequence[str]) -> list[dict[str, Any]]:
    if len(about) == 1:
        found = _query(store, "startsWith(id, {id:String})", {"id": about[0]})
        if not found:
            raise UsageError(
                f"no incident {about[0]!r}; `kubeledger incidents` lists them with their ids"
            )
        if len(found) > 1:
            ids = ", ".join(body["id"] for body in found[:5])
            raise UsageError(f"{about[0]!r} is the beginning of {len(found)} ids: {ids} …")
        return found
    if len(about) != 2 or about[0] not in ("pod", "node"):
        raise UsageError("explain takes an incident's id, or `pod NS/NAME`, or `node NAME`")
    kind, name = about
    if kind == "pod" and name.count("/") != 1:
        raise UsageError(f"pod {name!r} is not NAMESPACE/NAME")
    found = incidents_of(store, kind, name)
    if not found:
        raise UsageError(f"no incident of {kind} {name} is recorded; nothing to explain")
    return found


def incidents_of(store: Store, kind: str, name: str) -> list[dict[str, Any]]:
    """Episodes of a pod or node, and those that affect it."""
    where = "entity = {entity:String} OR has(affected, {name:String})"
    return _query(store, where, {"entity": f"{kind}/{name}", "name": name})


def _read(store: Store, *, since_ns: int, only_open: bool) -> list[dict[str, Any]]:
    where = "status != 'merged'"
    if only_open:
        where = "status = 'open'"
    since = since_ns // 1_000_000
    where += " AND ifNull(toUnixTimestamp64Milli(closed_at), {since:Int64}) >= {since:Int64}"
    return _query(store, where, {"since": since})


def _query(store: Store, where: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    result = store.query(
        f"SELECT body FROM episodes FINAL WHERE {where} ORDER BY opened_at, id", parameters
    )
    return [json.loads(body) for (body,) in result.rows]


def _faults(bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without notes, which are no incidents; `explain` has them."""
    return [body for body in bodies if body.get("severity", FAULT) == FAULT]


def _versions(store: Store, incident: str) -> list[dict[str, Any]]:
    """All versions in order, each with the time `at` which it was concluded."""
    result = store.query(
        "SELECT toUnixTimestamp64Milli(ts) + ts_shift, body FROM facts "
        "WHERE kind = 'episode' AND startsWith(id, {id:String}) ORDER BY ko, id",
        {"id": f"{incident}:"},
    )
    bodies = [{**json.loads(body), "at": int(at)} for at, body in result.rows]
    return sorted(bodies, key=lambda body: body["version"])

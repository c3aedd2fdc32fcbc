"""`kubeledger precheck`: the upgrade pre-flight over what the store has recorded."""

import json
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from pipeline.console.output import harmless, json_text
from pipeline.readiness.precheck import FAIL, Finding, Recorded, precheck
from pipeline.store.protocol import Store

_RESOURCES = (
    "nodes", "poddisruptionbudgets", "apiservices", "endpointslices",
    "validatingwebhookconfigurations", "mutatingwebhookconfigurations",
)  # fmt: skip
_STYLE = {"fail": "red", "pass": "green", "unknown": "yellow"}


def run_precheck(store: Store, out: TextIO, *, as_json: bool) -> bool:
    """True when nothing fails."""
    findings = precheck(read_recorded(store))
    if as_json:
        document = [
            {"check": f.check, "outcome": f.outcome, "what": f.what, "remedy": f.remedy,
             "about": list(f.about)}
            for f in findings
        ]  # fmt: skip
        out.write(json_text(document) + "\n")
    else:
        _print(findings, out)
    return all(finding.outcome != FAIL for finding in findings)


def read_recorded(store: Store) -> Recorded:
    """Last versions of what exists, last values of what was sampled within the last hour."""
    objects: dict[str, list[dict[str, Any]]] = {}
    for resource, document in store.query(
        "SELECT resource, argMax(document, ko) FROM objects "
        "WHERE resource IN {names:Array(String)} GROUP BY resource, uid "
        "HAVING argMax(type, ko) != 'DELETED'",
        {"names": list(_RESOURCES)},
    ).rows:
        objects.setdefault(resource, []).append(json.loads(document))
    samples: dict[str, dict[str, Any]] = {}
    for node, part, values in store.query(
        "SELECT node, part, argMax(values, ko) FROM node_samples WHERE outcome = 'ok' AND part IN "
        "('metrics', 'stats') AND ts > now() - INTERVAL 1 HOUR GROUP BY node, part"
    ).rows:
        samples.setdefault(node, {})[part] = json.loads(values)
    events = store.query(
        "SELECT DISTINCT reason, name FROM k8s_events WHERE kind = 'Node' ORDER BY reason, name"
    ).rows
    open_ = store.query(
        "SELECT entity FROM episodes FINAL WHERE status = 'open' "
        "AND JSONExtractString(body, 'severity') != 'note' ORDER BY entity"
    )
    return Recorded(
        objects, samples, [(r, n) for r, n in events], [entity for (entity,) in open_.rows]
    )


def _print(findings: list[Finding], out: TextIO) -> None:
    console = Console(file=out, highlight=False, width=None if out.isatty() else 180)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("outcome", "check", "what", "what to do"):
        table.add_column(name, overflow="fold")
    for finding in findings:
        words = (finding.outcome, finding.check, harmless(finding.what), finding.remedy)
        table.add_row(*words, style=_STYLE[finding.outcome])
    console.print(table)
    failed = sum(finding.outcome == FAIL for finding in findings)
    console.print("precheck: fine" if not failed else f"precheck: {failed} to mend", style="bold")

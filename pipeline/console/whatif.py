"""`kubeledger whatif hpa`: recorded demand under other settings of an HPA, as text and as JSON."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from pipeline.base.errors import UsageError
from pipeline.console.hpa_changes import Changes
from pipeline.console.incident_text import moment
from pipeline.console.output import harmless, json_text
from pipeline.contract.state import DELETED, OBJECT, StateEvent
from pipeline.elasticity.behavior import Rules
from pipeline.elasticity.demand import HPAS, Recorded, Version, recorded_demand
from pipeline.elasticity.hpa import Settings
from pipeline.elasticity.whatif import (
    ASSUMPTIONS,
    Outcome,
    as_recorded,
    quota_assumption,
    reproduced,
    simulate,
)
from pipeline.store.protocol import Store

STARTUP_S = 30.0  # of a pod, where none was seen to begin
_DAILY_MS = 26 * 3_600_000  # a watcher writes each object anew once a day


def recorded_versions(events: Iterable[StateEvent]) -> Iterator[Version]:
    """Of a recording."""
    for event in events:
        if event.kind == OBJECT:
            body = event.body
            yield event.t / 1000, body["resource"], body["type"] == DELETED, body["object"]


def stored_versions(store: Store, namespace: str, name: str, since_ms: int) -> list[Version]:
    """Of the table `objects`: the HPA, what is named after its target, the namespace's quotas."""
    target = store.query(
        "SELECT JSONExtractString(document, 'spec', 'scaleTargetRef', 'name') FROM objects"
        " WHERE resource = {hpas:String} AND namespace = {namespace:String}"
        " AND name = {name:String} AND type != 'DELETED' ORDER BY ko DESC LIMIT 1",
        {"hpas": HPAS, "namespace": namespace, "name": name},
    )
    workload = str(target.rows[0][0]) if target.rows else ""
    result = store.query(
        "SELECT toUnixTimestamp64Milli(ts) + ts_shift AS t, resource, type, document FROM objects"
        " WHERE namespace = {namespace:String} AND ts >= fromUnixTimestamp64Milli({since:Int64})"
        " AND ((resource = {hpas:String} AND name = {name:String})"
        " OR resource = 'resourcequotas'"
        " OR (resource IN ('pods', 'replicasets') AND startsWith(name, {prefix:String})))"
        " ORDER BY kp, ko",
        {
            "hpas": HPAS,
            "namespace": namespace,
            "name": name,
            "prefix": f"{workload}-",
            "since": max(since_ms - _DAILY_MS, 0),
        },
    )
    return [
        (t / 1000, str(resource), kind == DELETED, json.loads(document))
        for t, resource, kind, document in result.rows
    ]


def run_whatif(
    read: Callable[[str, str], Iterable[Version]],
    out: TextIO,
    *,
    about: str,
    changes: Changes,
    since: float = 0.0,
    startup: float | None = None,
    as_json: bool = False,
) -> None:
    """`read` gives the versions for a namespace and a name; `since` is Unix seconds. Raises
    UsageError."""
    namespace, slash, name = about.partition("/")
    if not slash or not name or "/" in name:
        raise UsageError(f"{about!r} is not NAMESPACE/NAME of a HorizontalPodAutoscaler")
    recorded = recorded_demand(read(namespace, name), namespace, name, since=since)
    measured = recorded.startup_s
    seconds = startup if startup is not None else STARTUP_S if measured is None else measured
    study = Study(
        recorded,
        as_recorded(recorded),
        simulate(recorded, lambda settings: settings, seconds),
        simulate(recorded, changes.applied, seconds),
        changes.applied(recorded.syncs[-1].settings),
        seconds,
        _startup(startup, measured, seconds),
    )
    if as_json:
        out.write(json_text(study.document()) + "\n")
    else:
        study.print(out)


def _startup(given: float | None, measured: float | None, seconds: float) -> str:
    if given is not None:
        return f"a new pod is Ready after {seconds:.0f} s (--startup)"
    if measured is None:
        return f"a new pod is Ready after {seconds:.0f} s; none was seen to begin (see --startup)"
    return f"a new pod is Ready after {seconds:.1f} s, the median of those recorded"


@dataclass(frozen=True, slots=True)
class Study:
    """`check` is the simulation with the recorded settings: how far it can be believed."""

    recorded: Recorded
    was: Outcome
    check: Outcome
    other: Outcome
    settings: Settings
    startup: float
    startup_text: str

    def assumptions(self) -> list[str]:
        return [self.startup_text, *ASSUMPTIONS, quota_assumption(self.recorded)]

    def document(self) -> dict[str, Any]:
        found, apart = reproduced(self.recorded, self.check)
        return {
            "hpa": f"{self.recorded.namespace}/{self.recorded.name}",
            "workload": self.recorded.workload,
            "start": round(self.recorded.syncs[0].t * 1000),
            "end": round(self.recorded.end * 1000),
            "settings": _settings(self.settings),
            "recorded_settings": _settings(self.recorded.syncs[-1].settings),
            "recorded": _outcome(self.was),
            "simulated": _outcome(self.check),
            "whatif": _outcome(self.other),
            "reproduced": {
                "rescales": found,
                "of": len(self.recorded.rescales),
                "within_s": round(apart, 1),
            },
            "unknown_s": round(self.recorded.unknown_s(), 1),
            "startup_s": round(self.startup, 1),
            "assumptions": self.assumptions(),
        }

    def print(self, out: TextIO) -> None:
        recorded = self.recorded
        start, span = recorded.syncs[0].t, recorded.end - recorded.syncs[0].t
        out.write(
            f"HPA {harmless(recorded.namespace)}/{harmless(recorded.name)} of"
            f" {harmless(recorded.workload)}: {span:.0f} s from {moment(round(start * 1000))},"
            f" {len(recorded.syncs)} syncs, {len(recorded.pods)} pods\n\n"
        )
        table = Table(box=None, header_style="bold", pad_edge=False)
        table.add_column("")
        for title in ("recorded", "simulated", "what if"):
            table.add_column(title, justify="right")
        for title, show in _ROWS:
            table.add_row(title, *(show(run) for run in (self.was, self.check, self.other)))
        Console(file=out, highlight=False, soft_wrap=not out.isatty()).print(table)
        found, apart = reproduced(recorded, self.check)
        out.write(
            f"\nwith the recorded settings {found} of {len(recorded.rescales)} rescales come out"
            f" the same, within {apart:.0f} s\n"
        )
        out.writelines(
            f"  {moment(round(r.t * 1000))} {r.before} -> {r.after}\n" for r in self.other.rescales
        )
        if recorded.unknown_s():
            out.write(f"a metric was not to be had for {recorded.unknown_s():.0f} s\n")
        out.write("\nassuming that\n")
        out.writelines(f"  {text}\n" for text in self.assumptions())


_ROWS: tuple[tuple[str, Callable[[Outcome], str]], ...] = (
    ("rescales", lambda run: str(len(run.rescales))),
    ("replicas at most", lambda run: str(run.peak)),
    ("under-provisioned", lambda run: f"{run.under_s:.0f} s"),
    ("heaviest load, of target", lambda run: f"{run.worst:.0%}"),
    ("at max and short", lambda run: f"{run.maxed_s:.0f} s"),
    ("kept back by a quota", lambda run: f"{run.refused_s:.0f} s"),
    ("pod-hours", lambda run: f"{run.pod_hours:.3f}"),
)


def _outcome(run: Outcome) -> dict[str, Any]:
    return {
        "rescales": [
            {"t": round(r.t * 1000), "from": r.before, "to": r.after} for r in run.rescales
        ],
        "replicas": [[round(t * 1000), count] for t, count in run.replicas],
        "peak": run.peak,
        "under_provisioned_s": round(run.under_s, 1),
        "worst_load": round(run.worst, 3),
        "maxed_s": round(run.maxed_s, 1),
        "refused_s": round(run.refused_s, 1),
        "pod_hours": round(run.pod_hours, 4),
    }


def _settings(settings: Settings) -> dict[str, Any]:
    behavior = settings.behavior
    return {
        "min": settings.low,
        "max": settings.high,
        "targets": {target.name: target.value for target in settings.targets},
        "tolerance": {"up": settings.tolerance.up, "down": settings.tolerance.down},
        "behavior": None
        if behavior is None
        else {"up": _direction(behavior.up), "down": _direction(behavior.down)},
    }


def _direction(rules: Rules) -> dict[str, Any]:
    policies = [f"{p.type}:{p.value}:{p.period_s:g}" for p in rules.policies]
    return {"window_s": rules.window_s, "select": rules.select, "policies": policies}

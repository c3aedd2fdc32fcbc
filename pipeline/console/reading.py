"""Commands that read what is recorded: logs, query, audit, incidents, explain, scale, record,
precheck.

Each imports what it needs when it runs, so that `--help` is quick.
"""

import json
import sys
from pathlib import Path
from typing import Any

import click

from pipeline.console.options import (
    PATH,
    Number,
    config_option,
    data_option,
    filter_options,
    json_option,
    say,
)
from pipeline.console.scale_commands import explain_scale, scale


@click.command()
@data_option
@config_option
@filter_options
@click.option("-f", "--follow", is_flag=True, help="Keep printing what arrives.")
@click.option("--raw", is_flag=True, help="Terminal control characters as they are.")
@json_option
def logs(
    data: Path | None, config: Path | None, as_json: bool, follow: bool, raw: bool, **filters: Any
) -> None:
    """Search and follow logs.

    \b
    Example: kubeledger logs --data ./kubeledger-data -n shop --level error --since 1h --context 3
    """
    from pipeline.base.clock import SystemClock
    from pipeline.base.lifecycle import Stop
    from pipeline.console.reach import reach_store
    from pipeline.console.search import log_query, run_logs

    clock = SystemClock()
    query = log_query(clock=clock, **filters)
    with reach_store(data, config) as (connection, _), Stop().on_signals() as stop:
        run_logs(
            connection,
            query,
            sys.stdout,
            json=as_json,
            colour=sys.stdout.isatty(),
            raw=raw,
            follow=follow,
            stop=stop,
            clock=clock,
        )


@click.command()
@click.argument("sql")
@data_option
@config_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="json: one array.",
)
def query(sql: str, data: Path | None, config: Path | None, form: str) -> None:
    """Run SQL on the store.

    \b
    Example: kubeledger query --data ./kubeledger-data "SELECT level, count() FROM logs GROUP BY 1"
    """
    from pipeline.console.query import run_query
    from pipeline.console.reach import reach_store

    with reach_store(data, config) as (connection, _):
        run_query(connection, sql, format=form, out=sys.stdout)


@click.command()
@data_option
@config_option
@click.option("--since", help="Only files active since: 1h, 2d, RFC 3339.")
@click.option(
    "--settle",
    type=Number(0),
    default=15.0,
    show_default=True,
    help="Seconds for which a finding must stay.",
)
@json_option
def audit(
    data: Path | None, config: Path | None, since: str | None, settle: float, as_json: bool
) -> None:
    """Completeness per file; exit 1 on an unexplained gap or a duplicate.

    \b
    Example: kubeledger audit --data ./kubeledger-data
    """
    from pipeline.audit import audit as run_audit
    from pipeline.base.clock import SystemClock
    from pipeline.console.account import print_audit
    from pipeline.console.reach import reach_store
    from pipeline.console.when import parse_when

    clock = SystemClock()
    since_ns = parse_when(since, clock=clock) if since else 0
    with reach_store(data, config) as (connection, settings):
        account = run_audit(
            connection,
            database=settings.database,
            since_ns=since_ns,
            clock=clock,
            retention_days=settings.ttl_days,
            short_days=settings.short_days,
            settle_s=settle,
            progress=say,
        )
    if as_json:
        click.echo(json.dumps(account.document()))
    else:
        print_audit(account, sys.stdout)
    sys.exit(1 if account.bad else 0)


@click.command()
@data_option
@config_option
@click.option("--node", help="Only of this node, and those that affect it.")
@click.option("--since", default="24h", show_default=True, help="1h, 2d, RFC 3339.")
@click.option("--open", "only_open", is_flag=True, help="Only those that go on.")
@json_option
def incidents(
    data: Path | None,
    config: Path | None,
    node: str | None,
    since: str,
    only_open: bool,
    as_json: bool,
) -> None:
    """What is or was not ready, since when, and why; oldest first.

    \b
    Example: kubeledger incidents --data ./kubeledger-data --node node-a --since 2h
    """
    from pipeline.base.clock import SystemClock
    from pipeline.console.incidents import run_incidents
    from pipeline.console.reach import reach_store
    from pipeline.console.when import parse_when

    since_ns = parse_when(since, clock=SystemClock())
    with reach_store(data, config) as (connection, _):
        run_incidents(
            connection,
            sys.stdout,
            node=node,
            since_ns=since_ns,
            only_open=only_open,
            as_json=as_json,
        )


class _Explain(click.Group):
    """`explain pod …`, or `explain ID`: a word that is no command is an incident."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            return super().resolve_command(ctx, ["incident", *args])
        return super().resolve_command(ctx, args)


@click.group(cls=_Explain)
def explain() -> None:
    """Why: of one incident, of a pod, of a node, of a scaling decision.

    \b
    Example: kubeledger explain 3f2a --data ./kubeledger-data
             kubeledger explain pod shop/web-0 --data ./kubeledger-data
    """


@explain.command("incident")
@click.argument("incident")
@data_option
@config_option
@json_option
def explain_incident(incident: str, data: Path | None, config: Path | None, as_json: bool) -> None:
    """One incident whole: why this cause, what speaks against it, what to do.

    INCIDENT is its id or the beginning of that.

    \b
    Example: kubeledger explain incident 3f2a   (or shorter: kubeledger explain 3f2a)
    """
    _explain((incident,), data, config, as_json)


@explain.command("node")
@click.argument("name")
@data_option
@config_option
@json_option
def explain_node(name: str, data: Path | None, config: Path | None, as_json: bool) -> None:
    """Every incident of a node, and those that affect it.

    \b
    Example: kubeledger explain node node-a --data ./kubeledger-data
    """
    _explain(("node", name), data, config, as_json)


@explain.command("pod")
@click.argument("pod")
@data_option
@config_option
@click.option(
    "--manifest",
    "manifests",
    type=PATH,
    multiple=True,
    help="Offline: the pod or workload, and LogConfigs, from files; repeatable.",
)
@click.option("--container", help="Only this container's logs.")
@click.option("--sample", type=PATH, help="A file of log lines: how they would be stored.")
@json_option
def explain_pod(
    pod: str,
    data: Path | None,
    config: Path | None,
    manifests: tuple[Path, ...],
    container: str | None,
    sample: Path | None,
    as_json: bool,
) -> None:
    """Of a pod that waits: what scheduler, autoscaler and limits say. Then its incidents, and what
    is done with its logs by whose wish.

    POD is NAMESPACE/NAME.

    \b
    Example: kubeledger explain pod shop/web-0 --data ./kubeledger-data
             kubeledger explain pod shop/web --manifest deploy/ --sample web.log
    """
    from pipeline.console.explain_logs import from_manifests, from_store

    if manifests:
        found = from_manifests(pod, manifests, container=container, sample=sample)
        if as_json:
            click.echo(json.dumps({"pod": pod, "logs": found.document()}))
        else:
            click.echo("\n".join(found.lines()))
        return
    from pipeline.console.pending_pod import run_explain_pod
    from pipeline.console.reach import reach_store
    from pipeline.verdicts import whole_catalogue

    with reach_store(data, config) as (connection, _):
        run_explain_pod(
            connection, sys.stdout, pod=pod, catalogue=whole_catalogue(), as_json=as_json,
            logs=from_store(connection, pod, container=container, sample=sample),
        )  # fmt: skip


explain.add_command(explain_scale)


def _explain(about: tuple[str, ...], data: Path | None, config: Path | None, as_json: bool) -> None:
    from pipeline.console.incidents import run_explain
    from pipeline.console.reach import reach_store
    from pipeline.verdicts import whole_catalogue

    with reach_store(data, config) as (connection, _):
        run_explain(
            connection, sys.stdout, about=about, catalogue=whole_catalogue(), as_json=as_json
        )


@click.command()
@config_option
@data_option
@click.option("--since", default="1h", show_default=True, help="1h, 2d, RFC 3339.")
@click.option("--until", "until_text", help="RFC 3339, or so long ago; now if absent.")
@click.option("--out", type=PATH, required=True, help="A new directory for the capsule.")
@click.option("--redact-names", is_flag=True, help="Hashes for namespaces and pods.")
def record(
    config: Path | None,
    data: Path | None,
    since: str,
    until_text: str | None,
    out: Path,
    redact_names: bool,
) -> None:
    """Write a stretch of the event log as a capsule, to be replayed anywhere.

    \b
    Example: kubeledger record --data ./kubeledger-data --since 2h --out ./capsule
    """
    from pipeline.base.clock import SystemClock
    from pipeline.console.capsule import run_record

    for line in run_record(
        out, data=data, config=config, since=since, until=until_text,
        redact_names=redact_names, clock=SystemClock(),
    ):  # fmt: skip
        click.echo(line)


@click.command("precheck")
@data_option
@config_option
@json_option
def precheck_command(data: Path | None, config: Path | None, as_json: bool) -> None:
    """Is the cluster fit to be upgraded? From recorded facts; exit 1 when something fails.

    \b
    Example: kubeledger precheck --data ./kubeledger-data
    """
    from pipeline.console.precheck import run_precheck
    from pipeline.console.reach import reach_store

    with reach_store(data, config) as (connection, _):
        fine = run_precheck(connection, sys.stdout, as_json=as_json)
    sys.exit(0 if fine else 1)


@click.command()
@data_option
@config_option
@click.option(
    "--by",
    type=click.Choice(["namespace", "workload", "container", "template"]),
    default="workload",
    show_default=True,
    help="What is added up.",
)
@click.option("--since", default="24h", show_default=True, help="1h, 2d, RFC 3339.")
@click.option("--limit", type=click.IntRange(1), default=30, show_default=True, help="Largest N.")
@json_option
def cost(
    data: Path | None, config: Path | None, by: str, since: str, limit: int, as_json: bool
) -> None:
    """Who writes how much log; what is stored of it, and what is shed, by reason.

    \b
    Example: kubeledger cost --data ./kubeledger-data --by template --since 1h
    """
    from pipeline.base.clock import SystemClock
    from pipeline.console.cost import run_cost
    from pipeline.console.reach import reach_store
    from pipeline.console.when import parse_when

    since_ns = parse_when(since, clock=SystemClock())
    with reach_store(data, config) as (connection, _):
        run_cost(connection, sys.stdout, by=by, since_ns=since_ns, limit=limit, as_json=as_json)


COMMANDS: tuple[click.Command, ...] = (
    logs,
    query,
    audit,
    cost,
    incidents,
    explain,
    scale,
    record,
    precheck_command,
)

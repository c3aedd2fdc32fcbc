"""Commands about scaling decisions: `scale`, and `scale` below `explain`."""

import sys
from pathlib import Path

import click

from pipeline.console.options import config_option, data_option, json_option


@click.command()
@data_option
@config_option
@click.option("--workload", help="Only of this one: its name, or kind/namespace/name.")
@click.option("--since", default="24h", show_default=True, help="1h, 2d, RFC 3339.")
@click.option(
    "--percentiles", is_flag=True, help="p50 and p95 of each segment, by workload and node pool."
)
@json_option
def scale(
    data: Path | None,
    config: Path | None,
    workload: str | None,
    since: str,
    percentiles: bool,
    as_json: bool,
) -> None:
    """Scaling decisions: when, who, from and to, how long until ready, and the slowest segment.

    \b
    Example: kubeledger scale --data ./kubeledger-data --workload web --since 2h
             kubeledger scale --data ./kubeledger-data --percentiles
    """
    from pipeline.base.clock import SystemClock
    from pipeline.base.errors import UsageError
    from pipeline.console.reach import reach_store
    from pipeline.console.scale import run_percentiles, run_scale
    from pipeline.console.when import parse_when

    if percentiles and workload:
        raise UsageError("--percentiles lists every workload; give it without --workload")
    since_ns = parse_when(since, clock=SystemClock())
    with reach_store(data, config) as (connection, _):
        if percentiles:
            run_percentiles(connection, sys.stdout, since_ns=since_ns, as_json=as_json)
        else:
            run_scale(connection, sys.stdout, workload=workload, since_ns=since_ns, as_json=as_json)


@click.command("scale")
@click.argument("scaling")
@data_option
@config_option
@json_option
def explain_scale(scaling: str, data: Path | None, config: Path | None, as_json: bool) -> None:
    """One scaling decision: the timeline of each pod, its sources, and how sure they are.

    SCALING is its id or the beginning of that; `kubeledger scale` lists them.

    \b
    Example: kubeledger explain scale 3f2a --data ./kubeledger-data
    """
    from pipeline.console.reach import reach_store
    from pipeline.console.scale import run_explain_scale

    with reach_store(data, config) as (connection, _):
        run_explain_scale(connection, sys.stdout, scaling=scaling, as_json=as_json)

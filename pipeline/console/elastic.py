"""Commands about scaling and capacity: whatif, drain. Each imports what it needs when it runs."""

import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from pipeline.console.options import PATH, Number, config_option, data_option, json_option, say

_POLICY = "TYPE:VALUE:SECONDS, such as Pods:4:15; repeatable, replaces those recorded."
_SELECT = click.Choice(["Max", "Min", "Disabled"])


@click.group()
def whatif() -> None:
    """What recorded demand would have come to under other settings."""


@whatif.command("hpa")
@click.argument("about", metavar="NS/NAME")
@click.option("--min", "low", type=click.IntRange(0), help="minReplicas.")
@click.option("--max", "high", type=click.IntRange(1), help="maxReplicas.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    help="Target of the metric, or NAME=VALUE where there are several; repeatable.",
)
@click.option("--tolerance", type=Number(0, 1), help="Of both directions, such as 0.1.")
@click.option("--stabilization-up", "window_up", type=Number(0, 3600), help="Seconds.")
@click.option("--stabilization-down", "window_down", type=Number(0, 3600), help="Seconds.")
@click.option("--policy-up", "policies_up", multiple=True, help=_POLICY)
@click.option("--policy-down", "policies_down", multiple=True, help=_POLICY)
@click.option("--select-up", type=_SELECT, help="selectPolicy of scaling up.")
@click.option("--select-down", type=_SELECT, help="selectPolicy of scaling down.")
@click.option("--startup", type=Number(0), help="Seconds until a new pod is Ready.")
@click.option("--since", default="24h", show_default=True, help="1h, 2d, RFC 3339.")
@click.option("--recording", type=PATH, help="A recording or capsule instead of a store.")
@data_option
@config_option
@json_option
@click.pass_obj
def whatif_hpa(
    recorded_events: Any,
    /,
    about: str,
    startup: float | None,
    since: str,
    recording: Path | None,
    data: Path | None,
    config: Path | None,
    as_json: bool,
    **changes: Any,
) -> None:
    """Recorded demand through the HPA's algorithm: replicas, time short, pod-hours.

    \b
    Example: kubeledger whatif hpa shop/web --max 12 --target 50 --data ./kubeledger-data
             kubeledger whatif hpa shop/web --policy-up Pods:1:60 --recording ./capsule
    """
    from pipeline.base.clock import SystemClock
    from pipeline.base.errors import UsageError
    from pipeline.console.hpa_changes import Changes
    from pipeline.console.reach import reach_store
    from pipeline.console.whatif import recorded_versions, run_whatif, stored_versions
    from pipeline.console.when import parse_when
    from pipeline.elasticity.demand import Version

    if recording is not None and (data is not None or config is not None):
        raise UsageError("--recording, --data and --config each say where to look; give one")
    since_ms = 0 if recording else parse_when(since, clock=SystemClock()) // 1_000_000
    with ExitStack() as opened:
        store = None if recording else opened.enter_context(reach_store(data, config))[0]

        def read(namespace: str, name: str) -> Iterable[Version]:
            if store is None:
                return recorded_versions(recorded_events(recording))
            return stored_versions(store, namespace, name, since_ms)

        run_whatif(
            read,
            sys.stdout,
            about=about,
            changes=Changes(**changes),
            since=since_ms / 1000,
            startup=startup,
            as_json=as_json,
        )


@click.command()
@click.argument("node")
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
def drain(
    node: str,
    data: Path | None,
    config: Path | None,
    since: str | None,
    settle: float,
    as_json: bool,
) -> None:
    """Drain certificate: is every byte of the node's files stored? Exit 1 if not.

    \b
    Example: kubeledger drain node-a --data ./kubeledger-data
    """
    from pipeline.base.clock import SystemClock
    from pipeline.console.certificate import print_certificate, read_certificate
    from pipeline.console.reach import reach_store
    from pipeline.console.when import parse_when

    clock = SystemClock()
    with reach_store(data, config) as (connection, settings):
        found = read_certificate(
            connection,
            node=node,
            database=settings.database,
            since_ns=parse_when(since, clock=clock) if since else 0,
            clock=clock,
            retention_days=settings.ttl_days,
            short_days=settings.short_days,
            settle_s=settle,
            progress=say,
        )
    print_certificate(found, sys.stdout, as_json=as_json)
    sys.exit(0 if found.certified else 1)


ELASTIC: tuple[click.Command, ...] = (whatif, drain)

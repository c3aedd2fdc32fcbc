"""Commands about dashboards: render, push.

Each imports what it needs when it runs, so that `--help` is quick.
"""

import os
import sys
from pathlib import Path
from typing import Any

import click

_PATH = click.Path(path_type=Path)


@click.command("dashboards")
@click.option("--out", type=_PATH, required=True, help="Directory; it is made if absent.")
def render_dashboards(out: Path) -> None:
    """Grafana's dashboards: JSON files, and ConfigMaps for its sidecar.

    \b
    Example: kubeledger render dashboards --out ./grafana
    """
    from dashboards.render import write

    try:
        written = write(out)
    except OSError as error:
        click.echo(f"kubeledger: {out}: cannot write there: {error.strerror}", err=True)
        sys.exit(2)
    for path in written:
        click.echo(path)


@click.group()
def push() -> None:
    """Bring what other programs show to what the code says.

    \b
    Example: kubeledger push grafana --url https://grafana.example --token-file token --dry-run
    """


@push.command("grafana")
@click.option("--url", required=True, help="Of Grafana, for example https://grafana.example.")
@click.option(
    "--token-file", type=_PATH, help="File with a service account's token; or $GRAFANA_TOKEN."
)
@click.option("--ca-file", type=_PATH, help="CA of Grafana's certificate; system CAs if absent.")
@click.option("--dry-run", is_flag=True, help="Show the differences, write nothing.")
@click.option("--force", is_flag=True, help="Write over what was changed by hand, too.")
@click.option("--clickhouse", metavar="HOST:PORT", help="Set the data source up, for this store.")
@click.option("--database", default="kubeledger", show_default=True, help="Of the data source.")
@click.option("--user", default="default", show_default=True, help="Of the data source.")
@click.option("--password-file", type=_PATH, help="Password of the data source's user.")
@click.option(
    "--alerts", type=_PATH, metavar="DIR", help="Also the rules that `render alerts` wrote there."
)
@click.option("--tls", is_flag=True, help="The data source uses TLS.")
def push_grafana(url: str, **options: Any) -> None:
    """Data source, folder, dashboards and alert rules into a Grafana. Says what differs first; run
    again, it changes nothing. Exit 1: something differs (--dry-run), or it was not written.

    \b
    Example: kubeledger push grafana --url https://grafana.example --token-file token --dry-run
             kubeledger push grafana --url https://grafana.example --token-file token \\
               --clickhouse clickhouse.logs:9000 --user grafana --password-file password
             kubeledger push grafana --url https://grafana.example --alerts ./alerting
    """
    from dashboards.push import PushError
    from dashboards.pushing import run_push

    try:
        sys.exit(0 if run_push(url, say=click.echo, environment=os.environ, **options) else 1)
    except PushError as error:
        click.echo(f"kubeledger: {error}", err=True)
        sys.exit(2 if error.usage else 1)


COMMANDS: tuple[click.Command, ...] = (push,)
RENDERERS: tuple[click.Command, ...] = (render_dashboards,)

"""Commands that run the pipeline: everything on one machine, or one service each.

Each imports what it needs when it runs, so that `--help` is quick.
"""

import json
import os
import sys
from pathlib import Path

import click

from pipeline.console.options import (
    DIRECTORY,
    PATH,
    Number,
    config_option,
    data_option,
    json_option,
    say,
)


@click.command()
@click.option(
    "--logs",
    "roots",
    multiple=True,
    type=DIRECTORY,
    help="Directory in the layout of /var/log/pods (the default); repeatable.",
)
@click.option(
    "--data",
    type=PATH,
    default=Path("kubeledger-data"),
    show_default=True,
    help="Where bus, store and positions live.",
)
@click.option("--node", help="Node name in the rows; this machine's name if absent.")
@click.option(
    "--host-file",
    "host_files",
    multiple=True,
    metavar="GLOB=PROGRAM",
    help="Plain log files, for example '/var/log/messages=messages'; repeatable.",
)
@click.option(
    "--pods",
    "pod_files",
    multiple=True,
    type=PATH,
    help="PodList JSON, file or directory, for pod metadata; repeatable.",
)
@click.option("--kubeconfig", type=PATH, help="Watch the cluster of this file, too.")
@click.option("--kubelet", "kubelet_url", help="Sample this node's kubelet: https://HOST:10250.")
@click.option("--kubelet-token", type=PATH, help="File with the token for the kubelet.")
@click.option("--kubelet-ca", type=PATH, help="CA of the kubelet's certificate.")
@click.option("--listen", default="127.0.0.1:0", help="Store, native protocol.")
@click.option("--http", default="127.0.0.1:0", help="Store, HTTP.")
@click.option(
    "--cluster", default="-", show_default=True, help="Name of the cluster, in every row."
)
@click.option("--bus-listen", help="Let collectors of other nodes write to the bus: HOST:PORT.")
@click.option("--bus-cert", type=PATH, help="Certificate for it; needed off loopback.")
@click.option("--bus-key", type=PATH, help="Key of the certificate.")
@click.option("--bus-token-file", type=PATH, help="Token that those collectors show.")
@click.option("--forward", help="Take logs of Fluentd, Fluent Bit, fluent-logger: HOST:PORT.")
@click.option("--health", help="HOST:PORT of /healthz of the whole; none if absent.")
@click.option("--alerts", type=PATH, help="Settings of `kubeledger alert`: its receivers.")
@click.option(
    "--page",
    default="127.0.0.1:0",
    show_default=True,
    help="Dashboards and logs in a browser, on loopback; or `off`.",
)
def up(
    roots: tuple[Path, ...],
    data: Path,
    node: str | None,
    host_files: tuple[str, ...],
    pod_files: tuple[Path, ...],
    kubeconfig: Path | None,
    kubelet_url: str | None,
    kubelet_token: Path | None,
    kubelet_ca: Path | None,
    listen: str,
    http: str,
    cluster: str,
    bus_listen: str | None,
    bus_cert: Path | None,
    bus_key: Path | None,
    bus_token_file: Path | None,
    forward: str | None,
    health: str | None,
    alerts: Path | None,
    page: str,
) -> None:
    """The whole pipeline on this machine: collectors, bus, processors, store.

    \b
    Example: kubeledger up --logs /var/log/pods --data ./kubeledger-data
             kubeledger up --kubeconfig ~/.kube/config --kubelet https://127.0.0.1:10250
    Then:    kubeledger logs --data ./kubeledger-data -f
    """
    from pipeline.base.clock import SystemClock
    from pipeline.base.lifecycle import Stop
    from pipeline.console.embedded import EmbeddedPipeline, Inputs, node_name
    from pipeline.console.up import (
        alert_settings,
        door_settings,
        kubelet_settings,
        parse_host_files,
        run_up,
        serve_whole,
    )

    inputs = Inputs(
        roots=roots or (() if bus_listen or forward else (Path("/var/log/pods"),)),
        node=node or node_name(),
        host_files=parse_host_files(host_files),
        pod_files=pod_files,
        kubelet=kubelet_settings(kubelet_url, kubelet_token, kubelet_ca),
        kubeconfig=kubeconfig,
        cluster=cluster,
        door=door_settings(bus_listen, bus_cert, bus_key, bus_token_file),
        alerts=alert_settings(alerts),
        forward=forward,
    )
    clock = SystemClock()
    with Stop().on_signals() as stop:
        pipeline = EmbeddedPipeline(
            data, inputs, clock=clock, listen=listen, http=http, page="" if page == "off" else page
        )
        with serve_whole(pipeline, health):
            run_up(pipeline, stop=stop, clock=clock, say=say)


@click.command()
@click.option(
    "--seconds",
    type=click.IntRange(5, 3600),
    default=40,
    show_default=True,
    help="How long the generator writes.",
)
@click.option(
    "--mbps",
    type=Number(0, min_open=True),
    default=8.0,
    show_default=True,
    help="MB of log per second.",
)
@click.option(
    "--data",
    type=PATH,
    help="Keep everything here; a temporary directory otherwise.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the generator.")
@json_option
def demo(seconds: int, mbps: float, data: Path | None, seed: int, as_json: bool) -> None:
    """Replay a real log tree and a generator through the pipeline, and kill it on the way.

    \b
    Example: kubeledger demo --seconds 20 --json
    """
    from pipeline.base.clock import SystemClock
    from pipeline.console.demo import DemoPlan, run_demo

    plan = DemoPlan(seconds=seconds, mbps=mbps, data=data, seed=seed)
    outcome = run_demo(plan, clock=SystemClock(), say=say)
    if as_json:
        click.echo(json.dumps(outcome.document()))
    else:
        click.echo(outcome.text())
    sys.exit(0 if outcome.good else 1)


@click.command()
@config_option
def bus(config: Path | None) -> None:
    """The door of an embedded bus: collectors on other nodes write to it over TLS.

    \b
    Example: kubeledger bus --config bus.yaml
    """
    from pipeline.console.bus import run_bus

    run_bus(config, os.environ)


@click.group()
def process() -> None:
    """Stream processors: the bus to tables."""


@process.command("logs")
@config_option
def process_logs(config: Path | None) -> None:
    """Log processor: chunks to rows, exactly once.

    \b
    Example: kubeledger process logs --config process-logs.yaml
    """

    from pipeline.console.processor import run_process_logs

    run_process_logs(config, os.environ)


@process.command("state")
@config_option
def process_state(config: Path | None) -> None:
    """State processor: the event log of the cluster to tables and facts.

    \b
    Example: kubeledger process state --config process-state.yaml
    """

    from pipeline.console.state import run_process_state

    run_process_state(config, os.environ)


@click.command()
@click.option(
    "--data",
    type=PATH,
    default=Path("kubeledger-data/store"),
    show_default=True,
    help="The engine's own directory.",
)
@click.option("--listen", default="127.0.0.1:9000", show_default=True, help="Native protocol.")
@click.option("--http", default="127.0.0.1:8123", show_default=True, help="HTTP, or `off`.")
@click.option("--user", default="default", show_default=True, help="The only user.")
@click.option("--password-file", type=PATH, help="Required when not on loopback.")
def store(data: Path, listen: str, http: str, user: str, password_file: Path | None) -> None:
    """The embedded ClickHouse endpoint alone.

    \b
    Example: kubeledger store --data ./store --listen 127.0.0.1:9000 --http 127.0.0.1:8123
    """
    from pipeline.base.config import read_secret
    from pipeline.base.lifecycle import Stop
    from pipeline.store.embedded.server import serve

    password = read_secret(password_file, "password") if password_file else ""
    with Stop().on_signals() as stop:
        serve(
            data,
            tcp=listen,
            http=None if http == "off" else http,
            user=user,
            password=password,
            stop=stop,
            on_ready=lambda addresses: say(f"store: serving {addresses}"),
        )


@click.command()
@config_option
@click.option("--check", "only_check", is_flag=True, help="Look, change nothing.")
def migrate(config: Path | None, only_check: bool) -> None:
    """Create topics and tables, and check those that exist.

    \b
    Example: kubeledger migrate --config migrate.yaml
    """
    from pipeline.base.config import load
    from pipeline.console.migrate import MigrateConfig, run_migrate

    settings = load(MigrateConfig, service="migrate", path=config)
    for line in run_migrate(settings, only_check=only_check):
        click.echo(line)


@click.command("size")
@click.option("--nodes", type=click.IntRange(1, 1_000_000), required=True, help="Of the cluster.")
@click.option(
    "--mb-per-node",
    type=Number(0, 1000, min_open=True),
    required=True,
    help="Container log of the average node, MB a second.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=14,
    show_default=True,
    help="How long rows are kept.",
)
@click.option(
    "--replicas",
    type=click.IntRange(1, 9),
    default=2,
    show_default=True,
    help="Copies of each shard.",
)
@json_option
def size_command(nodes: int, mb_per_node: float, days: int, replicas: int, as_json: bool) -> None:
    """How many partitions, processors, brokers, shards and disks a cluster needs.

    \b
    Example: kubeledger size --nodes 5000 --mb-per-node 1
    """
    from pipeline.console.sizing import print_size, size

    print_size(size(nodes, mb_per_node, days=days, replicas=replicas), sys.stdout, as_json=as_json)


@click.command()
@data_option
@config_option
@click.option("--listen", default="127.0.0.1:0", show_default=True, help="HOST:PORT on loopback.")
def page(data: Path | None, config: Path | None, listen: str) -> None:
    """Dashboards and logs in a browser, from the store alone; `up` serves it too.

    \b
    Example: kubeledger page --data ./kubeledger-data --listen 127.0.0.1:7300
    """
    from pipeline.base.clock import SystemClock
    from pipeline.base.lifecycle import Stop
    from pipeline.console.page.server import serving
    from pipeline.console.reach import reach_store
    from pipeline.store.clickhouse import open_store

    with Stop().on_signals() as stop, reach_store(data, config) as (_, settings):
        pages = serving(listen, lambda: open_store(settings), clock=SystemClock(), stop=stop)
        with pages as url:
            say(f"page: {url}")
            while not stop.wait(1.0):
                pass


SERVICES = (up, demo, bus, process, store, migrate, size_command, page)

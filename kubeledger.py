"""kubeledger's command line: parse, load configuration, wire, run.

Imports everything, imported by nothing. Each command imports what it needs when it runs, so that
the node agent does not carry the processor's libraries. Exit codes: 0 fine, 1 the answer is bad
or a service gave up, 2 usage or configuration error.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from pipeline.base.errors import KubeledgerError
from pipeline.console.options import PATH, config_option, data_option, filter_options, json_option


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="kubeledger")
def cli() -> None:
    """Kubernetes logs from disk to queryable rows; every byte accounted for.

    \b
    Try it:   kubeledger demo
    For real: kubeledger up --logs /var/log/pods --data ./kubeledger-data
    """


@cli.command()
@click.option(
    "--logs",
    "roots",
    multiple=True,
    type=PATH,
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
@click.option("--listen", default="127.0.0.1:0", help="Store, native protocol.")
@click.option("--http", default="127.0.0.1:0", help="Store, HTTP.")
def up(
    roots: tuple[Path, ...],
    data: Path,
    node: str | None,
    host_files: tuple[str, ...],
    pod_files: tuple[Path, ...],
    listen: str,
    http: str,
) -> None:
    """The whole pipeline on this machine: collector, bus, processor, store.

    \b
    Example: kubeledger up --logs /var/log/pods --data ./kubeledger-data
    Then:    kubeledger logs --data ./kubeledger-data -f
    """
    from pipeline.base.clock import SystemClock
    from pipeline.base.lifecycle import Stop
    from pipeline.console.embedded import EmbeddedPipeline, Inputs, node_name
    from pipeline.console.up import parse_host_files, run_up

    inputs = Inputs(
        roots=roots or (Path("/var/log/pods"),),
        node=node or node_name(),
        host_files=parse_host_files(host_files),
        pod_files=pod_files,
    )
    clock = SystemClock()
    with Stop().on_signals() as stop:
        pipeline = EmbeddedPipeline(data, inputs, clock=clock, listen=listen, http=http)
        run_up(pipeline, stop=stop, clock=clock, say=_say)


@cli.command()
@click.option(
    "--seconds",
    type=click.IntRange(5, 3600),
    default=40,
    show_default=True,
    help="How long the generator writes.",
)
@click.option("--mbps", type=float, default=8.0, show_default=True, help="MB of log per second.")
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
    outcome = run_demo(plan, clock=SystemClock(), say=_say)
    if as_json:
        click.echo(json.dumps(outcome.document()))
    else:
        click.echo(outcome.text())
    sys.exit(0 if outcome.good else 1)


@cli.command()
@config_option
def collect(config: Path | None) -> None:
    """Node log collector: files to the bus.

    \b
    Example: kubeledger collect --config collect.yaml
    """

    from collectors.service import run_collect

    run_collect(config, os.environ)


@cli.group()
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


@cli.command()
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
            on_ready=lambda addresses: _say(f"store: serving {addresses}"),
        )


@cli.command()
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


@cli.command()
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


@cli.command()
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


@cli.command()
@data_option
@config_option
@click.option("--since", help="Only files active since: 1h, 2d, RFC 3339.")
@click.option(
    "--settle",
    type=click.FloatRange(0),
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
            settle_s=settle,
            progress=_say,
        )
    if as_json:
        click.echo(json.dumps(account.document()))
    else:
        print_audit(account, sys.stdout)
    sys.exit(1 if account.bad else 0)


@cli.group()
def replay() -> None:
    """Put recorded events through the pipeline again."""


@replay.command("dead")
@config_option
@click.option("--reason", help="Only dead letters with this reason.")
@click.option("--limit", type=click.IntRange(1), help="At most this many.")
def replay_dead(config: Path | None, reason: str | None, limit: int | None) -> None:
    """Put dead letters back on their topics, once.

    \b
    Example: kubeledger replay dead --config process-logs.yaml --reason row-refused
    """
    from pipeline.base.config import load
    from pipeline.broker.open import open_broker
    from pipeline.logs_config import LogProcessorConfig
    from pipeline.replay import replay_dead as run_replay

    settings = load(LogProcessorConfig, service="process-logs", path=config)
    broker = open_broker(settings.broker)
    try:
        for reason_name, count in run_replay(broker, reason=reason, limit=limit).items():
            click.echo(f"{reason_name}: {count} put back")
    finally:
        broker.close()


@cli.command()
@click.argument("paths", nargs=-1, required=True, type=PATH)
def check(paths: tuple[Path, ...]) -> None:
    """Validate configuration files, offline; the file name says the service.

    \b
    Example: kubeledger check collect.yaml process-logs.yaml migrate.yaml
    """
    from collectors.config import CollectConfig
    from pipeline.base.config import Settings
    from pipeline.console.check import check_files
    from pipeline.console.migrate import MigrateConfig
    from pipeline.console.reach import ReachConfig
    from pipeline.logs_config import LogProcessorConfig

    models: dict[str, type[Settings]] = {
        "collect": CollectConfig,
        "process-logs": LogProcessorConfig,
        "migrate": MigrateConfig,
        "client": ReachConfig,
    }
    problems = check_files(paths, models, say=click.echo)
    sys.exit(2 if problems else 0)


def _say(text: str) -> None:
    """Progress goes to stderr; stdout is for answers."""
    click.echo(text, err=True)


def main() -> NoReturn:
    """Console script. Errors of ours are one message; everything else is a bug and shows."""
    try:
        cli(standalone_mode=False, prog_name="kubeledger")
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KubeledgerError as error:
        click.echo(f"kubeledger: {error}", err=True)
        sys.exit(error.exit_code)
    sys.exit(0)


if __name__ == "__main__":
    main()

"""kubeledger's command line: parse, load configuration, wire, run.

Imports everything, imported by nothing. Each command imports what it needs when it runs, so that
the node agent does not carry the processor's libraries. Exit codes: 0 fine, 1 the answer is bad
or a service gave up, 2 usage or configuration error.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import click

from alerts.commands import COMMANDS as ALERT_COMMANDS
from alerts.commands import RENDERERS as ALERT_RENDERERS
from alerts.commands import alert_options, check_rule_files, history
from dashboards.commands import COMMANDS as DASHBOARD_COMMANDS
from dashboards.commands import RENDERERS as DASHBOARD_RENDERERS
from pipeline.base.errors import KubeledgerError, UsageError
from pipeline.console.elastic import ELASTIC
from pipeline.console.options import PATH, Number, ReplayGroup, config_option, json_option, say
from pipeline.console.reading import COMMANDS
from pipeline.console.serving import SERVICES
from pipeline.contract.state import StateEvent


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="kubeledger")
@click.pass_context
def cli(context: click.Context) -> None:
    """Kubernetes logs from disk to queryable rows; every byte accounted for.

    \b
    Try it:   kubeledger demo
    For real: kubeledger up --logs /var/log/pods --data ./kubeledger-data
    """
    context.obj = recorded_events


def recorded_events(recording: Path, until: float | None = None) -> Iterator[StateEvent]:
    """Of a recorded node or a capsule, through the real collectors, in virtual time."""
    from collectors.recording.layout import open_recording
    from pipeline.console import recording as console
    from pipeline.console.capsule import is_capsule, read_capsule

    found = open_recording(recording)
    if is_capsule(recording):
        made = read_capsule(recording)
    elif found.is_empty:
        files = "state.jsonl.zst, watch-*.jsonl, kubelet-*.jsonl, *.log"
        raise UsageError(f"{recording}: nothing to replay: it has none of {files}")
    else:  # only then the collectors are needed
        from collectors.recording.play import Play

        made = console.events_of(Play(found).happenings())
    return console.until(made, found.start, until)


@cli.command()
@config_option
def collect(config: Path | None) -> None:
    """Node log collector: files to the bus.

    \b
    Example: kubeledger collect --config collect.yaml
    """

    from collectors.service import run_collect

    run_collect(config, os.environ)


@cli.command()
@config_option
@click.option("--kubeconfig", type=PATH, help="Instead of the configuration's `kubeconfig`.")
def watch(config: Path | None, kubeconfig: Path | None) -> None:
    """Cluster watcher: API objects and Events to the bus; one leads, by a Lease.

    \b
    Example: kubeledger watch --config watch.yaml
    """
    from collectors.cluster.service import run_watch

    run_watch(config, os.environ, {"kubeconfig": str(kubeconfig)} if kubeconfig else {})


@cli.group(cls=ReplayGroup)
def replay() -> None:
    """Put recorded events through the pipeline again: RECORDING, or dead letters.

    \b
    Example: kubeledger replay ./capsule --json
    """


@replay.command("recording")
@click.argument("recording", type=PATH)
@click.option("--until", type=Number(0), help="Stop so many seconds after its beginning.")
@click.option("--events", type=PATH, help="Write the state events to this directory, a capsule.")
@click.option("--verify", "verified", is_flag=True, help="Fold in other ways; must be the same.")
@alert_options
@json_option
def replay_recording(
    recording: Path,
    until: float | None,
    events: Path | None,
    verified: bool,
    as_json: bool,
    **rules: Any,
) -> None:
    """A recorded node or a capsule through the real collectors and folds, in virtual time.

    \b
    Example: kubeledger replay recording ./capsule   (or shorter: kubeledger replay ./capsule)
             kubeledger replay ./capsule --alerts --rules ./new --against ./old
    """
    from alerts.commands import backtest_recording, show_alerts
    from collectors.recording.layout import open_recording
    from pipeline.base.garbage import collect_rarely
    from pipeline.console import recording as console
    from pipeline.console.capsule import save_events

    made = recorded_events(recording, until)
    collect_rarely()
    name = recording.name or str(recording)
    if verified or events is not None:  # only then it is held whole
        whole = list(made)
        replayed = console.replay_events(whole, name=name)
    else:
        replayed = console.replay_events(made, name=name)
    if verified:
        say(console.verify(whole, replayed))
    if events is not None:
        found = open_recording(recording)
        save_events(whole, events, start=found.start, end=found.end)
    more, changes = backtest_recording(replayed.facts, replayed.end, **rules)
    if as_json:
        console.write_json(replayed, sys.stdout, more)
        sys.exit(1 if changes else 0)
    console.print_replay(replayed, sys.stdout)
    show_alerts(more, changes)


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
    from pipeline.replay import told

    settings = load(LogProcessorConfig, service="process-logs", path=config)
    broker = open_broker(settings.broker)
    try:
        for line in told(run_replay(broker, reason=reason, limit=limit)):
            click.echo(line)
    finally:
        broker.close()


@cli.command()
@click.argument("paths", nargs=-1, required=True, type=PATH)
def convert(paths: tuple[Path, ...]) -> None:
    """Write LogConfigs for what other log agents' objects, annotations and variables say.

    Reads manifests: AliyunLogConfig, ClusterAliyunPipelineConfig, and pods or workloads with
    aliyun_logs_*, aliyun.logs.*, fluentbit.io/* or kubeledger.io/*. What is left out is said;
    exit 1 when something could not be converted.

    \b
    Example: kubeledger convert manifests/ > logconfigs.yaml
    """
    from pipeline.console.logconfig_files import convert_files

    sys.exit(1 if convert_files(paths, sys.stdout, say=say) else 0)


@cli.command()
@click.argument("paths", nargs=-1, required=True, type=PATH)
def check(paths: tuple[Path, ...]) -> None:
    """Validate configuration files (names say the service), LogConfigs and alert rules, offline.

    \b
    Example: kubeledger check collect.yaml process-logs.yaml migrate.yaml ./rules
    """
    from alerts.config import AlertConfig
    from collectors.cluster.config import WatchConfig
    from collectors.config import CollectConfig
    from pipeline.base.config import Settings
    from pipeline.broker.door_config import BusConfig
    from pipeline.console.check import check_files
    from pipeline.console.migrate import MigrateConfig
    from pipeline.console.reach import ReachConfig
    from pipeline.logs_config import LogProcessorConfig
    from pipeline.state_config import StateProcessorConfig

    left, wrong = check_rule_files(paths)
    models: dict[str, type[Settings]] = {
        "alert": AlertConfig,
        "collect": CollectConfig,
        "watch": WatchConfig,
        "process-logs": LogProcessorConfig,
        "process-state": StateProcessorConfig,
        "migrate": MigrateConfig,
        "client": ReachConfig,
        "bus": BusConfig,
    }
    wrong += check_files(left, models, say=click.echo)
    sys.exit(2 if wrong else 0)


@cli.group()
def render() -> None:
    """Write what other programs read, from the code it is made of.

    \b
    Example: kubeledger render dashboards --out ./grafana
             kubeledger render alerts --out ./grafana/alerting
    """


for _renderer in (*DASHBOARD_RENDERERS, *ALERT_RENDERERS):
    render.add_command(_renderer)
replay.add_command(history)
for _command in (*SERVICES, *COMMANDS, *ELASTIC, *ALERT_COMMANDS, *DASHBOARD_COMMANDS):
    cli.add_command(_command)


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

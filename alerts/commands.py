"""Commands of alerting: alert, silence, render alerts, replay history; and what `replay` and
`check` do with rules. Each imports what it needs when it runs.
"""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from pipeline.contract.facts import Fact

F = TypeVar("F", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)

_config = click.option(
    "--config", type=PATH, help="YAML file; validate it with `kubeledger check`."
)
_data = click.option("--data", type=PATH, help="Data directory of `kubeledger up`.")
_json = click.option("--json", "as_json", is_flag=True, help="For programs.")
_rules = click.option(
    "--rules", type=PATH, help="Rules instead of the shipped ones: a file or a folder."
)
_against = click.option(
    "--against", type=PATH, help="Compare with these rules; exit 1 if anything differs."
)


def alert_options(command: F) -> F:
    """What `replay RECORDING` takes for rules, passed on as keyword arguments."""
    shown = click.option("--alerts", is_flag=True, help="Also show which alerts would have fired.")
    return shown(_rules(_against(command)))


def backtest_recording(
    facts: Iterable[Fact], end: int, *, alerts: bool, rules: Path | None, against: Path | None
) -> tuple[dict[str, Any], list[str] | None]:
    """Documents to be added to those of the replay, and the differences, if rules are compared."""
    if not (alerts or rules or against):
        return {}, None
    from alerts.backtest import backtest, compare
    from alerts.load import load_rules
    from alerts.show import as_document

    kept = list(facts)
    result = backtest([file.rule for file in load_rules(rules)], kept, end=end)
    if against is None:
        return as_document(result), None
    other = backtest([file.rule for file in load_rules(against)], kept, end=end)
    changes = compare(other.alerts, result.alerts)
    return as_document(result) | {"changes": changes}, changes


def show_alerts(document: dict[str, Any], changes: Sequence[str] | None) -> None:
    """For people; exit 1 when compared rules differ."""
    from alerts.backtest import Backtest
    from alerts.show import print_backtest

    if changes is not None:
        click.echo("\n".join(changes) if changes else "the same alerts")
        sys.exit(1 if changes else 0)
    if document:
        result = Backtest(document["alerts"], document["inhibited"], document["notifications"])
        print_backtest(result, sys.stdout)


def check_rule_files(paths: Iterable[Path]) -> tuple[list[Path], int]:
    """Checks the rules among them; says a line for each. Returns what is left, and how many are
    wrong."""
    from alerts.check import check_rules, is_rule
    from pipeline.base.errors import UsageError

    left, wrong = [], 0
    for path in paths:
        inside = [*path.rglob("*.yaml"), *path.rglob("*.yml")] if path.is_dir() else [path]
        if not inside or not all(map(is_rule, inside)):
            left.append(path)
            continue
        try:
            for file in check_rules(path):
                click.echo(f"{file.path}: fine (rule {file.rule.name})")
        except UsageError as error:
            wrong += 1
            click.echo(str(error))
    return left, wrong


@click.command("history")
@_data
@_config
@click.option("--since", default="24h", show_default=True, help="1h, 2d, or RFC 3339.")
@click.option("--until", help="As --since; now if absent.")
@_rules
@_against
@_json
def history(
    data: Path | None,
    config: Path | None,
    since: str,
    until: str | None,
    rules: Path | None,
    against: Path | None,
    as_json: bool,
) -> None:
    """Which alerts rules would have fired over what is recorded, against what did fire.

    \b
    Example: kubeledger replay history --since 7d --rules ./rules --data ./kubeledger-data
             kubeledger replay --since 30d --rules ./new --against ./old --config alert.yaml
    """
    from alerts.console import run_history

    run_history(data, config, since=since, until=until, rules=rules, against=against,
                as_json=as_json, out=sys.stdout,
                progress=lambda text: click.echo(text, err=True))  # fmt: skip


@click.command("alert")
@_config
def alert(config: Path | None) -> None:
    """Evaluator of alert rules: facts and queries to receivers.

    \b
    Example: kubeledger alert --config alert.yaml
    """
    from alerts.service import run_alert

    run_alert(config, os.environ)


@click.group()
def silence() -> None:
    """Alerts that nobody is to be told of, for a time."""


@silence.command("add")
@click.argument("matchers", nargs=-1, required=True)
@_data
@_config
@click.option("--for", "span", default="2h", show_default=True, help="How long: 30m, 2h, 7d.")
@click.option("--comment", default="", help="Why.")
@click.option("--by", default="", help="Who; the user of this process if absent.")
def silence_add(
    matchers: tuple[str, ...], data: Path | None, config: Path | None, span: str, comment: str,
    by: str,
) -> None:  # fmt: skip
    """Silence what matches all of MATCHERS (LABEL=VALUE, !=, =~, !~; alertname and severity too).

    \b
    Example: kubeledger silence add node=node-a --for 2h --comment "new disk" --data DIR
    """
    from alerts.console import add_silence

    click.echo(add_silence(data, config, matchers, span=span, by=by, comment=comment))


@silence.command("list")
@_data
@_config
@_json
def silence_list(data: Path | None, config: Path | None, as_json: bool) -> None:
    """Silences that are or will be in force.

    \b
    Example: kubeledger silence list --data ./kubeledger-data
    """
    from alerts.console import list_silences

    for line in list_silences(data, config, as_json=as_json):
        click.echo(line)


@silence.command("expire")
@click.argument("names", nargs=-1, required=True)
@_data
@_config
def silence_expire(names: tuple[str, ...], data: Path | None, config: Path | None) -> None:
    """End silences now, by id.

    \b
    Example: kubeledger silence expire 3f2a91 --data ./kubeledger-data
    """
    from alerts.console import expire_silences

    for line in expire_silences(data, config, names):
        click.echo(line)


@click.command("alerts")
@click.option("--out", type=PATH, required=True, help="Folder to write to.")
@_rules
@_config
def render_alerts(out: Path, rules: Path | None, config: Path | None) -> None:
    """Grafana provisioning of rules that query the store, and the JSON schema of rules.

    \b
    Example: kubeledger render alerts --out ./grafana/alerting --config alert.yaml
    """
    from alerts.console import run_render

    for line in run_render(out, rules, config):
        click.echo(line)


COMMANDS: tuple[click.Command, ...] = (alert, silence)
RENDERERS: tuple[click.Command, ...] = (render_alerts,)

"""Command line options that several commands share."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)
DIRECTORY = click.Path(path_type=Path, file_okay=False)  # it need not be there


class Number(click.FloatRange):
    """A number in a range; `nan` is in none, though it is not outside of any either."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


config_option = click.option(
    "--config", type=PATH, help="YAML file; validate it with `kubeledger check`."
)
data_option = click.option(
    "--data",
    type=PATH,
    help="Data directory of `kubeledger up`: finds its running store, or opens it for this call.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")

_FILTERS = (
    click.option("-n", "--namespace", help="Namespace."),
    click.option("--workload", help="Name, or Kind/name, of the outermost owner."),
    click.option("--pod", help="Pod."),
    click.option("--container", help="Container."),
    click.option("--node", help="Node."),
    click.option("--level", help="This level or worse: trace debug info warn error fatal."),
    click.option("--stream", type=click.Choice(["stdout", "stderr"]), help="Standard stream."),
    click.option("--since", help="1h, 15m, 2d, or RFC 3339."),
    click.option("--until", help="As --since."),
    click.option("--grep", multiple=True, help="Text in the line, any case; repeatable (all)."),
    click.option("--regex", help="RE2 pattern in the line."),
    click.option("--limit", type=click.IntRange(0), default=1000, show_default=True,
                 help="Newest N rows; 0 for all."),
    click.option("--context", type=click.IntRange(0), default=0, help="N lines around a match."),
)  # fmt: skip


def filter_options(command: F) -> F:
    """The filters of `kubeledger logs`, passed on as keyword arguments."""
    for option in reversed(_FILTERS):
        command = option(command)
    return command


def say(text: str) -> None:
    """Progress goes to stderr; stdout is for answers."""
    click.echo(text, err=True)


class ReplayGroup(click.Group):
    """`replay dead`, or `replay RECORDING`: a word that is no command is a directory, and options
    alone are about what is recorded in the store."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0].startswith("--") and args[0] != "--help":
            args = ["history", *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            return super().resolve_command(ctx, ["recording", *args])
        return super().resolve_command(ctx, args)

"""Every command shows an example, every setting says what it is, every default is a promise."""

import importlib
import json
import pkgutil
from pathlib import Path

import click
import pytest

import alerts
import collectors
import kubeledger
import pipeline
from pipeline.base.config import Settings

PROMISED = Path(__file__).with_name("defaults.json")


def _commands(group: click.Group, words: str = "") -> list[tuple[str, click.Command]]:
    found = []
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found += _commands(command, f"{words}{name} ")
        else:
            found.append((words + name, command))
    return found


COMMANDS = _commands(kubeledger.cli)


@pytest.mark.parametrize(("words", "command"), COMMANDS, ids=[words for words, _ in COMMANDS])
def test_command_shows_an_example_and_explains_its_options(
    words: str, command: click.Command
) -> None:
    assert f"kubeledger {words}" in (command.help or "")
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{words}: {option.opts}"


def test_readme_names_every_command() -> None:
    readme = (PROMISED.parents[2] / "README.md").read_text()
    for words, _ in COMMANDS:
        assert words in readme, words


_SETTINGS = ("config", "reach", "console.migrate")  # where settings are declared


def _models() -> dict[str, type[Settings]]:
    for package in (alerts, collectors, pipeline):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith(_SETTINGS):
                importlib.import_module(module.name)
    waiting, found = [Settings], {}
    while waiting:
        for model in waiting.pop().__subclasses__():
            waiting.append(model)
            ours = model.__module__.split(".")[0] in ("alerts", "collectors", "pipeline")
            if ours and model.__module__.endswith(_SETTINGS):
                found[model.__qualname__] = model
    return found


def _plain(value: object) -> object:
    return value.model_dump(mode="json") if isinstance(value, Settings) else str(value)


def test_every_setting_is_described() -> None:
    for name, model in _models().items():
        for field, info in model.model_fields.items():
            assert info.description, f"{name}.{field} has no description"


def test_defaults_are_promises() -> None:
    """Changed on purpose? Then write the new promise down: the difference is the changelog."""
    machine = {"node"}  # this machine's name
    found = {
        name: {
            field: json.loads(
                json.dumps(info.get_default(call_default_factory=True), default=_plain)
            )
            for field, info in model.model_fields.items()
            if field not in machine and not info.is_required()
        }
        for name, model in sorted(_models().items())
    }
    assert found == json.loads(PROMISED.read_text())

"""Rule files, with errors that name file, line and the nearest name."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from alerts.model import Compare, FactSource, Rule, RuleTests, SqlSource, Times
from pipeline.base.errors import UsageError


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A rule and where it is written."""

    rule: Rule
    path: str
    text: str

    def line(self, *keys: str) -> int:
        """Line of a key of the document, or of the nearest one above it that exists."""
        return _line(self.text, keys)

    def where(self, *keys: str) -> str:
        return f"{self.path}:{self.line(*keys)}"


def load_rules(folder: Path | None = None) -> list[RuleFile]:
    """Rules of a file or a folder, the shipped ones without; sorted by name. UsageError lists all
    that is wrong in any of them."""
    sources: Sequence[Traversable] = _sources(folder)
    found, wrong = [], []
    for source in sources:
        try:
            found.append(read_rule(str(source), source.read_text("utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            wrong.append(f"{source}: cannot be read: {error}")
        except UsageError as error:
            wrong.append(str(error))
    wrong += _twice(found)
    if wrong:
        raise UsageError("\n".join(wrong))
    return sorted(found, key=lambda file: file.rule.name)


def read_rule(path: str, text: str) -> RuleFile:
    """Raises UsageError."""
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or error
        raise UsageError(f"{path}:{line}: not valid YAML: {problem}") from None
    if not isinstance(document, dict):
        raise UsageError(f"{path}:1: expected `key: value` lines, one rule to a file")
    try:
        return RuleFile(Rule.model_validate(document), path, text)
    except ValidationError as error:
        raise UsageError("\n".join(_explained(path, text, error))) from None


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean `{near[0]}`?" if near else f"known: {', '.join(names)}"


def _sources(folder: Path | None) -> list[Traversable]:
    if folder is not None and not folder.is_dir():
        return [folder]
    place: Traversable = folder or files("alerts") / "rules"
    found = sorted(
        (f for f in place.iterdir() if f.name.endswith((".yaml", ".yml"))), key=lambda f: f.name
    )
    if not found:
        raise UsageError(f"{place}: no .yaml files in it")
    return found


def _twice(found: Sequence[RuleFile]) -> list[str]:
    seen: dict[str, RuleFile] = {}
    wrong = []
    for file in found:
        other = seen.setdefault(file.rule.name, file)
        if other is not file:
            wrong.append(f"{file.where('name')}: {file.rule.name} is also in {other.path}")
    return wrong


_MODELS = {"fact": FactSource, "sql": SqlSource, "tests": RuleTests, "times": Times}


def _explained(path: str, text: str, error: ValidationError) -> Iterable[str]:
    told = set()
    for problem in error.errors(include_url=False, include_context=False):
        keys = [str(part) for part in problem["loc"] if not _of_a_union(part)]
        place = f"{path}:{_line(text, keys)}"
        name = ".".join(keys)
        if problem["type"] == "extra_forbidden":
            model: Any = _MODELS.get(keys[-2], Compare) if len(keys) > 1 else Rule
            known = [f.alias or n for n, f in model.model_fields.items()]
            said = f"{place}: unknown key `{name}`; {nearest(keys[-1], known)}"
        else:
            message = problem["msg"].removeprefix("Value error, ")
            said = f"{place}: `{name}`: {message}" if name else f"{place}: {message}"
        if said not in told:
            told.add(said)
            yield said


def _of_a_union(part: Any) -> bool:
    """pydantic names the members of a union among the keys."""
    return part in ("str", "int", "list[str]", "Compare")


def _line(text: str, keys: Sequence[str]) -> int:
    node, line = yaml.compose(text, Loader=yaml.SafeLoader), 1
    for key in keys:
        if not isinstance(node, yaml.MappingNode):
            break
        for name, value in node.value:
            if name.value == key:
                node, line = value, name.start_mark.line + 1
                break
        else:
            break
    return line

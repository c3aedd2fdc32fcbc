"""Configuration: one YAML file per service, environment on top, a pydantic model in front.

Every model forbids unknown keys; the error names the nearest known one. Environment variables
are KUBELEDGER_<SERVICE>_<FIELD>, nested fields joined by two underscores
(KUBELEDGER_COLLECT_BROKER__URL). Values from the environment are read as YAML scalars, so that
`true`, `8` and `text` mean the same as in the file.
"""

import difflib
import os
import re
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.base.errors import UsageError
from pipeline.base.secret import read_secret as read_secret

_SECRETS = ("password", "token", "secret", "key", "authorization")
_LOGIN = re.compile(r"(\w+://)?[^\s'\"]*@")


class Settings(BaseModel):
    """Base of all configuration models: frozen, no unknown keys, no silent conversion of
    text to numbers beyond what YAML says."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, validate_default=True)


S = TypeVar("S", bound=Settings)


def load(
    model: type[S],
    *,
    service: str,
    path: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> S:
    """File, then environment, then `overrides` (command line, nested dicts); later ones win.
    Raises UsageError naming file, key, what was found and what is expected."""
    values: dict[str, Any] = _read(path) if path else {}
    where = str(path) if path else f"{service} configuration"
    _merge(
        values,
        _from_environment(model, service, os.environ if environment is None else environment),
    )
    _merge(values, overrides or {})
    for key in _with_nul(values):
        raise UsageError(f"{where}: `{key}`: no setting holds a NUL character")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise UsageError("\n".join(_explain(model, where, error))) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot read the configuration: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not valid YAML: {error}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise UsageError(f"{path}: expected `key: value` lines, found {type(document).__name__}")
    return document


def _with_nul(value: Any, key: str = "") -> Iterator[str]:
    """Keys of such texts. Every call of the system refuses them, and few expect that."""
    if isinstance(value, str) and "\0" in value:
        yield key
    pairs = value.items() if isinstance(value, Mapping) else ()
    for name, inner in enumerate(value) if isinstance(value, list | tuple) else pairs:
        yield from _with_nul(inner, f"{key}.{name}" if key else str(name))


def _merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, Mapping):
            nested = into.setdefault(key, {})
            if isinstance(nested, dict):
                _merge(nested, value)
                continue
        into[key] = value


def _from_environment(
    model: type[BaseModel], service: str, environment: Mapping[str, str]
) -> dict[str, Any]:
    prefix = f"KUBELEDGER_{service.upper().replace('-', '_')}_"
    found: dict[str, Any] = {}
    for name, text in environment.items():
        if not name.startswith(prefix):
            continue
        keys = name[len(prefix) :].lower().split("__")
        try:
            value = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError):  # a date that is none, say
            value = text
        nested: dict[str, Any] = value
        for key in reversed(keys):
            nested = {key: nested}
        _merge(found, nested)
    return found


def _explain(model: type[BaseModel], where: str, error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors(include_url=False, include_context=False):
        path = [str(part) for part in problem["loc"]]
        key = ".".join(path)
        if problem["type"] == "extra_forbidden":
            known = sorted(_fields_at(model, path[:-1]))
            near = difflib.get_close_matches(path[-1], known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
            lines.append(f"{where}: unknown key `{key}`; {hint}")
        else:
            found = "" if problem["type"] == "missing" else f" (found {_shown(key, problem)})"
            lines.append(f"{where}: `{key}`: {problem['msg']}{found}")
    return lines


def _shown(key: str, problem: Mapping[str, Any]) -> str:
    """Never a secret, also where one was written by mistake: in place of the file that holds it,
    in a URL, or somewhere in what should not be there at all."""
    value = problem["input"]
    if any(word in key for word in _SECRETS) or problem["msg"].endswith("instance of Secret"):
        return "a secret"
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    return _LOGIN.sub(r"\1…@", repr(value))[:80]


def _fields_at(model: type[BaseModel], path: list[str]) -> set[str]:
    current: Any = model
    for part in path:
        fields = getattr(current, "model_fields", {})
        if part in fields:
            current = _model_of(fields[part].annotation)
    return set(getattr(current, "model_fields", {}))


def _model_of(annotation: Any) -> Any:
    """The model inside `Model`, `Model | None`, `list[Model]`."""
    if get_origin(annotation) in (Union, types.UnionType, list, tuple, dict):
        for argument in get_args(annotation):
            found = _model_of(argument)
            if hasattr(found, "model_fields"):
                return found
    return annotation

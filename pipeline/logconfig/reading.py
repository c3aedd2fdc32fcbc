"""From a document to a `LogConfigSpec`; errors name the key, and the nearest known one."""

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from pipeline.logconfig.complaints import BadSettings, Complaint, Path
from pipeline.logconfig.spec import LogConfigSpec


def read_spec(document: object, *, cluster: bool) -> LogConfigSpec:
    """Raises BadSettings."""
    if not isinstance(document, Mapping):
        raise BadSettings([((), f"expected settings, found {_kind(document)}")])
    try:
        spec = LogConfigSpec.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as error:
        raise BadSettings([_complaint(LogConfigSpec, item) for item in _errors(error)]) from None
    if spec.selector.namespaces and not cluster:
        path = ("selector", "namespaces")
        text = "a LogConfig is for its own namespace; a ClusterLogConfig may name others"
        raise BadSettings([(path, text)])
    if spec.quota is not None and not cluster:
        text = "quotas are given by a ClusterLogConfig"
        raise BadSettings([(("quota",), text)])
    return spec


def settings(**values: Any) -> LogConfigSpec:
    """Settings from another notation. Raises BadSettings."""
    return read_spec({name: value for name, value in values.items() if value}, cluster=True)


def _errors(error: ValidationError) -> list[Any]:
    return list(error.errors(include_url=False, include_context=False))


def _complaint(model: type[BaseModel], problem: Mapping[str, Any]) -> Complaint:
    path: Path = tuple(part for part in problem["loc"] if part != "[key]")
    if problem["type"] == "extra_forbidden":
        known = sorted(_names_at(model, path[:-1]))
        near = difflib.get_close_matches(str(path[-1]), known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
        return path, f"unknown key; {hint}"
    text = str(problem["msg"]).removeprefix("Value error, ")
    shown = "" if problem["type"] == "missing" else f" (found {_shown(problem['input'])})"
    return path, text + shown


def _names_at(model: type[BaseModel], path: Path) -> list[str]:
    """Names of the schema at this place, as they are written."""
    schema = model.model_json_schema(by_alias=True)
    shared, here = schema.get("$defs", {}), schema
    for part in path:
        if isinstance(part, str):
            here = here.get("properties", {}).get(part, {})
        while not here.get("properties"):
            inner = [here.get("items", {}), *here.get("anyOf", ())]
            name = here.get("$ref") or next((i["$ref"] for i in inner if "$ref" in i), None)
            if name is None:
                break
            here = shared[name.rpartition("/")[2]]
    return list(here.get("properties", {}))


def _shown(value: object) -> str:
    return repr(value)[:80] if not isinstance(value, Mapping) else "an object"


def _kind(value: object) -> str:
    names = {type(None): "nothing", str: "text", list: "a list", bool: "true or false"}
    return names.get(type(value), type(value).__name__)

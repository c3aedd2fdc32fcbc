"""`kubeledger convert`, and the LogConfigs of `kubeledger check`: files, offline."""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TextIO

import yaml

from pipeline.base.errors import UsageError
from pipeline.logconfig.complaints import BadSettings, dotted
from pipeline.logconfig.convert import convert
from pipeline.logconfig.documents import Document, documents
from pipeline.logconfig.objects import is_config, origin
from pipeline.logconfig.reading import read_spec
from pipeline.logconfig.spec import CLUSTER, GROUP, NAMESPACED, VERSION

Say = Callable[[str], None]
_HEAD = (("apiVersion",), ("metadata",))
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")


def yaml_files(paths: Iterable[Path]) -> list[Path]:
    """Files as they are, directories by what is below them."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix in (".yaml", ".yml", ".json"))
            if not inside:
                raise UsageError(f"{path}: no .yaml files below it")
            found += inside
        else:
            found.append(path)
    return found


def convert_files(paths: Sequence[Path], out: TextIO, *, say: Say) -> int:
    """Writes LogConfigs as YAML; says what is left out. Returns how many things could not be
    converted."""
    found = [document for path in yaml_files(paths) for document in documents(path)]
    done = convert(document.value for document in found)
    for note in done.notes:
        say(f"note: {note}")
    for problem in done.problems:
        say(f"not converted: {problem}")
    if not done.objects and not done.problems:
        raise UsageError(
            "nothing to convert: neither AliyunLogConfig, ClusterAliyunPipelineConfig nor LogConfig"
            " objects, nor pods with annotations or variables that speak of logs"
        )
    if done.objects:
        yaml.safe_dump_all(done.objects, out, sort_keys=False, allow_unicode=True, width=100)
    return len(done.problems)


def config_documents(path: Path) -> list[Document]:
    """The LogConfigs (ours) of a file; empty if it is something else."""
    try:
        found = [one for one in documents(path) if is_config(one.value)]
    except UsageError:
        return []  # the check of a service's file says what is wrong
    return [one for one in found if one.value.get("kind") in (NAMESPACED, CLUSTER)]


def check_configs(found: Sequence[Document], *, say: Say) -> int:
    """A line for each object, or for each thing that is wrong with it: file, line, key, remedy.
    Returns how many objects are wrong."""
    wrong = 0
    for document in found:
        value = document.value
        kind = str(value["kind"])
        meta = value.get("metadata")
        meta = meta if isinstance(meta, dict) else {}
        what = origin(kind, str(meta.get("namespace") or ""), str(meta.get("name") or "?"))
        try:
            _check_head(value.get("apiVersion"), meta.get("name"))
            read_spec(value.get("spec"), cluster=kind == CLUSTER)
        except BadSettings as error:
            wrong += 1
            for place, text in error.complaints:
                inside = place if place[:1] in _HEAD else ("spec", *place)
                line = document.line(inside)
                say(f"{document.path}:{line}: {what}: `{dotted(inside)}`: {text}")
        else:
            say(f"{document.path}:{document.line(())}: {what}: fine")
    return wrong


def _check_head(version: object, name: object) -> None:
    """Raises BadSettings, as the API server would of what stands above a spec."""
    if version not in (None, f"{GROUP}/{VERSION}"):
        raise BadSettings([(("apiVersion",), f"expected {GROUP}/{VERSION}, found {version!r:.80}")])
    if not name:
        raise BadSettings([(("metadata", "name"), "a name is missing")])
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        text = f"expected lower-case letters, digits, - and ., found {name!r:.80}"
        raise BadSettings([(("metadata", "name"), text)])

"""`kubeledger check`: configuration files, offline. Which service a file is for is in its name:
`collect.yaml`, `my-collect.yml` and `collect/node-a.yaml` are for `collect`. A file with LogConfig
objects in it is known by those."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from pipeline.base.config import Settings, load
from pipeline.base.errors import UsageError
from pipeline.console.logconfig_files import check_configs, config_documents
from pipeline.logconfig.documents import documents


def check_files(
    paths: Iterable[Path], models: Mapping[str, type[Settings]], *, say: Callable[[str], None]
) -> int:
    """Checks files, and all YAML files below directories; says a line for each. Returns the
    number of files that are wrong. The environment is left out: a file must stand by itself."""
    wrong = 0
    for path in _files(paths):
        if configs := config_documents(path):
            wrong += bool(check_configs(configs, say=say))
            continue
        try:
            service = _service(path, models)
            load(models[service], service=service, path=path, environment={})
        except UsageError as error:
            wrong += 1
            say(str(error))
        else:
            say(f"{path}: fine ({service})")
    return wrong


def _files(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.suffix in (".yaml", ".yml"))
            if not found:
                raise UsageError(f"{path}: no .yaml files below it")
            yield from found
        else:
            yield path


def _service(path: Path, models: Mapping[str, type[Settings]]) -> str:
    for text in (path.stem, path.parent.name):
        # The longest first, so that `process-logs` is not taken for something shorter.
        for name in sorted(models, key=len, reverse=True):
            if name in text:
                return name
    list(documents(path))  # if it cannot be read, that is what is wrong
    known = ", ".join(sorted(models))
    raise UsageError(f"{path}: which service is this for? Its name should contain one of: {known}")

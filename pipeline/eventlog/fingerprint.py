"""The code that folds, as one short text. A state that other code concluded is not continued:
it is folded again."""

from collections.abc import Iterator
from hashlib import blake2b
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec

from pipeline.base.errors import Fatal

_SOURCES = (".py", ".yaml")


def fingerprint(*names: str) -> str:
    """Of these packages (all source and data files below them) and modules."""
    digest = blake2b(digest_size=8)
    for name in names:
        for path, file in sorted(_files(name)):
            digest.update(f"{name}/{path}\n".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _files(name: str) -> Iterator[tuple[str, Traversable]]:
    spec = find_spec(name)
    if spec is None:
        raise Fatal(f"{name} is not installed: the installation is broken")
    if spec.submodule_search_locations is None:
        parent, _, leaf = name.rpartition(".")
        yield "", files(parent) / f"{leaf}.py"
    else:
        yield from _below(files(name), "")


def _below(folder: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _below(entry, f"{path}{entry.name}/")
        elif entry.name.endswith(_SOURCES):
            yield path + entry.name, entry

"""Packages entered without running their `__init__`, for processes that must stay small.

Some packages load everything they have when they are imported. `enter` makes such a package
known with its submodules in reach and nothing loaded. Its `__init__` runs after all, unchanged,
as soon as somebody asks the package for a name that is neither a submodule nor in `homes`. So
whoever needs the whole package gets it, and if the package changes shape, the worst that
happens is that more of it is loaded.
"""

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any


def enter(name: str, homes: Mapping[str, str] | None = None) -> None:
    """`homes`: names that others take from the package, and the submodules they come from. A
    package that is loaded already, or is not there, is left alone."""
    spec = find_spec(name) if name not in sys.modules else None
    if spec is None or spec.loader is None:
        return
    package, load, known = module_from_spec(spec), spec.loader.exec_module, homes or {}

    def find(attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        module = _submodule(name, known.get(attribute, attribute))
        if module is None:
            vars(package).pop("__getattr__", None)
            load(package)
            return getattr(package, attribute)
        found = getattr(module, attribute) if attribute in known else module
        setattr(package, attribute, found)
        return found

    vars(package)["__getattr__"] = find
    sys.modules[name] = package
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, package)


def _submodule(package: str, child: str) -> ModuleType | None:
    name = f"{package}.{child}"
    return import_module(name) if find_spec(name) else None

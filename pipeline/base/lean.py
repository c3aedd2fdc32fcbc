"""Packages entered without running their `__init__`, for processes that must stay small.

Some packages load everything they have when they are imported. `enter` makes such a package
known with its submodules in reach and nothing loaded. Its `__init__` runs after all, unchanged,
as soon as somebody asks the package for a name that is neither a submodule nor in `homes`. So
whoever needs the whole package gets it, and if the package changes shape, the worst that
happens is that more of it is loaded. Threads that ask meanwhile wait for it.
"""

import sys
import threading
from collections.abc import Callable, Mapping
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
    package = module_from_spec(spec)
    vars(package)["__getattr__"] = _Lean(package, spec.loader.exec_module, homes or {}).find
    sys.modules[name] = package
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, package)


class _Lean:
    """Finds the names of a package whose `__init__` has not run."""

    def __init__(
        self, package: ModuleType, run: Callable[[ModuleType], None], homes: Mapping[str, str]
    ) -> None:
        self._package = package
        self._run = run
        self._homes = homes
        self._lock = threading.RLock()
        self._loading = False

    def find(self, attribute: str) -> Any:
        package, name = self._package, self._package.__name__
        if attribute.startswith("__"):
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        module = _submodule(name, self._homes.get(attribute, attribute))
        if module is None:
            self._load(attribute)
            return getattr(package, attribute)
        found = getattr(module, attribute) if attribute in self._homes else module
        setattr(package, attribute, found)
        return found

    def _load(self, attribute: str) -> None:
        """Run the `__init__`, once. What it imports cannot wait for it: that has the names that are
        there by then, as without us."""
        with self._lock:
            names = vars(self._package)
            if self._loading:
                name = self._package.__name__
                raise AttributeError(f"module {name!r} has no attribute {attribute!r} yet")
            if names.get("__getattr__") != self.find:
                return  # another thread was first
            self._loading = True
            try:
                self._run(self._package)
            finally:
                self._loading = False
            if names.get("__getattr__") == self.find:  # the package may have brought its own
                del names["__getattr__"]


def _submodule(package: str, child: str) -> ModuleType | None:
    name = f"{package}.{child}"
    return import_module(name) if find_spec(name) else None

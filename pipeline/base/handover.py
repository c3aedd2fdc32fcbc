"""Validated settings, handed to a process that does not carry the validator.

`pack` makes text of a settings model; `unpack` makes plain objects of that text: the same
attributes, paths as Path, sequences as lists, nothing to import. Models must not hold mappings
(a mapping becomes an object with attributes).
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.base.config import Settings

_PATH = "/"  # no attribute has such a name


def pack(settings: "Settings") -> str:
    return json.dumps(settings.model_dump(), default=lambda path: {_PATH: str(path)})


def unpack(text: str) -> Any:
    return json.loads(text, object_hook=_value)


def _value(found: dict[str, Any]) -> Any:
    return Path(found[_PATH]) if _PATH in found else SimpleNamespace(**found)

"""Texts with places: `{field}` is replaced, `{{` and `}}` are braces.

Nothing else: no attributes, no indexes, no code. What a rule may show is prepared as plain fields
(fields.py), so a text can be checked offline, and a value can never become a program.
"""

import re
from collections.abc import Mapping
from typing import Any

_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_NAME = re.compile(r"[a-z_][a-z0-9_]*")


def places(template: str) -> list[str]:
    """Fields that the template names. Raises ValueError for a brace that is neither."""
    found = []
    for match in _PLACE.finditer(template):
        if match.group() in ("{{", "}}"):
            continue
        name = match.group(1)
        if name is None or not _NAME.fullmatch(name):
            raise ValueError(
                f"{match.group()!r} in {template!r} is no field; write {{field}}, or {{{{ and }}}} "
                "for braces"
            )
        found.append(name)
    return found


def fill(template: str, fields: Mapping[str, Any]) -> str:
    """An unknown field shows nothing: `check` has refused it before."""

    def place(match: re.Match[str]) -> str:
        if match.group() in ("{{", "}}"):
            return match.group()[0]
        return shown(fields.get(match.group(1) or "", ""))

    return _PLACE.sub(place, template)


def shown(value: Any) -> str:
    """Numbers as people write them."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    return str(value)

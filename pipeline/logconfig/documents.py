"""YAML or JSON files with Kubernetes objects in them; a place in a document has a line."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.base.errors import UsageError
from pipeline.logconfig.complaints import Path as Place

_OTHERS = ("int", "float", "timestamp")
_TAG = "tag:yaml.org,2002:"
_NUMBERS = {
    "int": r"[-+]?(?:0b[01_]+|0[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)",
    "float": r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
}


class _Loader(yaml.SafeLoader):
    """Words without quotes are to it what they are to kubectl (sigs.k8s.io/yaml): 2026-11-27 and
    12:30 are texts, 1e6 is a number."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, word) for tag, word in found if tag.removeprefix(_TAG) not in _OTHERS]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _name, _word in _NUMBERS.items():
    _Loader.add_implicit_resolver(
        _TAG + _name, re.compile(rf"(?:{_word})\Z"), list("-+.0123456789")
    )


@dataclass(frozen=True, slots=True)
class Document:
    """One object of a file. `lines` finds where a key is written."""

    path: Path
    value: Mapping[str, Any]
    node: yaml.Node

    def line(self, place: Place) -> int:
        """The line (from 1) of the deepest part of the place that is there."""
        node = self.node
        line = node.start_mark.line + 1
        for part in place:
            found = _step(node, part)
            if found is None:
                break
            line, node = found
        return line


def _step(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
        return None
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None


def documents(path: Path) -> Iterator[Document]:
    """The objects of a file, those of a List singly. Raises UsageError."""
    try:
        text = path.read_text("utf-8")
        loaded = list(yaml.load_all(text, _Loader))
        nodes = list(yaml.compose_all(text, _Loader))
    except OSError as error:
        raise UsageError(f"{path}: cannot read it: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not valid YAML: {error}") from None
    for value, node in zip(loaded, nodes, strict=True):
        if not isinstance(value, dict) or node is None:  # an empty document has a node, too
            continue
        items = value.get("items")
        if str(value.get("kind", "")).endswith("List") and isinstance(items, list):
            found = _step(node, "items")
            for number, item in enumerate(items):
                inner = _step(found[1], number) if found else None
                if isinstance(item, dict) and inner:
                    yield Document(path, item, inner[1])
        else:
            yield Document(path, value, node)

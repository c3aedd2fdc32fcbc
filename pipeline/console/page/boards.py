"""The committed dashboards, as far as the page needs them: their JSON for the browser, and the
queries, which the browser names by dashboard and number. It never sends SQL."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from pipeline.base.errors import UsageError

_ORDER = ("fleet", "logs", "nodes", "incident", "elasticity", "workload", "storage", "control",
          "pipeline")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard. `document` is what the browser gets: without queries."""

    uid: str
    document: Mapping[str, Any]
    panels: Mapping[int, str]
    variables: Mapping[str, str]
    annotations: Mapping[str, str]

    def query(self, kind: str, name: str) -> str:
        """`kind` is panel, variable or annotation. Raises UsageError for one that is not there."""
        found: Mapping[Any, str] = {
            "panel": {str(number): sql for number, sql in self.panels.items()},
            "variable": self.variables,
            "annotation": self.annotations,
        }.get(kind, {})
        if name not in found:
            raise UsageError(f"dashboard {self.uid} has no {kind} {name!r} with a query")
        return found[name]


def open_boards(directory: Traversable | None = None) -> dict[str, Board]:
    """By uid, in the order in which they are listed. `directory`: those that ship if absent; they
    are data, the code that makes them is not needed here."""
    place = directory or resources.files("dashboards") / "json"
    names = {entry.name.removesuffix(".json") for entry in place.iterdir()}
    ordered = [n for n in _ORDER if n in names] + sorted(names - {*_ORDER})
    boards = (_read(json.loads((place / f"{name}.json").read_text("utf-8"))) for name in ordered)
    return {board.uid: board for board in boards}


def _read(document: dict[str, Any]) -> Board:
    variables = document["templating"]["list"]
    return Board(
        uid=document["uid"],
        document=dict(_shown(document)),
        panels={p["id"]: p["targets"][0]["rawSql"] for p in document["panels"] if p.get("targets")},
        variables={v["name"]: v["definition"] for v in variables if v["type"] == "query"},
        annotations={a["name"]: a["target"]["rawSql"] for a in document["annotations"]["list"]},
    )


def _shown(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key in ("uid", "title", "description", "tags"):
        yield key, document[key]
    yield "variables", [
        {key: v[key] for key in ("name", "label", "type", "hide", "multi", "includeAll", "current")
         if key in v}
        for v in document["templating"]["list"]
        if v["type"] != "datasource"
    ]  # fmt: skip
    yield (
        "annotations",
        [
            {"name": a["name"], "enable": a["enable"], "color": a["iconColor"]}
            for a in document["annotations"]["list"]
        ],
    )
    yield "panels", [{k: v for k, v in p.items() if k != "targets"} for p in document["panels"]]

"""From code to what Grafana reads: one JSON file per dashboard, and ConfigMaps that Grafana's
sidecar picks up by their label (grafana_dashboard: "1", the default of Grafana's chart)."""

import json
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from dashboards.catalogue import DASHBOARDS

CONFIG_MAPS = "configmaps.yaml"


def json_of(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def rendered() -> dict[str, str]:
    """File name → text, of every dashboard."""
    return {f"{name}.json": json_of(make().document()) for name, make in DASHBOARDS.items()}


def config_maps(files: Mapping[str, str]) -> str:
    """One ConfigMap per dashboard: together they would be larger than what `kubectl apply` can
    keep of a document. No namespace, so they go where they are applied."""
    documents = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": f"kubeledger-dashboard-{name.removesuffix('.json')}",
                "labels": {"app.kubernetes.io/name": "kubeledger", "grafana_dashboard": "1"},
                "annotations": {"grafana_folder": "kubeledger"},
            },
            "data": {f"kubeledger-{name}": text},
        }
        for name, text in files.items()
    ]
    dumped: str = yaml.dump_all(
        documents, Dumper=_Literal, sort_keys=False, allow_unicode=True, width=200
    )
    return dumped


class _Literal(yaml.SafeDumper):
    """Long texts as blocks, so that a difference can be read."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Literal.add_representer(str, _text)


def write(out: Path) -> list[Path]:
    """`json/NAME.json` and, for who installs without Helm, all of them as ConfigMaps, below `out`,
    which is made. Returns what was written."""
    files = rendered()
    (out / "json").mkdir(parents=True, exist_ok=True)
    written = []
    texts = {f"json/{name}": text for name, text in files.items()}
    for name, text in {**texts, CONFIG_MAPS: config_maps(files)}.items():
        path = out / name
        path.write_text(text, "utf-8")
        written.append(path)
    return written


def committed() -> Traversable:
    """The directory of the JSON that ships."""
    return resources.files("dashboards") / "json"

"""What an upgrade of the chart must leave as it is, and each released version's rendering of it.

`python -m tests.deploy.released` writes the file of the current chart version, once, when it is
released; later versions are held to all files that are there.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.deploy import chart
from tests.deploy.chart import PROFILES, Object

FOLDER = Path(__file__).with_name("released")
# What the API server refuses to change in an object that exists (kubernetes pkg/apis/apps/
# validation, core/validation, rbac/validation); all else is replaced in place. Jobs are hooks.
_FIXED = {
    "DaemonSet": ("selector",),
    "Deployment": ("selector",),
    "StatefulSet": ("selector", "serviceName", "volumeClaimTemplates", "podManagementPolicy"),
    "Service": ("clusterIP",),
}
# Settings that say where positions, data and a place in the bus are.
_PLACES = ("cluster", "state_dir", "lease", "roots", "partitions")


def fixed(found: list[Object]) -> dict[str, Any]:
    """Kind/name -> what must stay; only what keeps something, or what cannot be changed."""
    kept: dict[str, Any] = {}
    for each in found:
        kind, name = each["kind"], f"{each['kind']}/{each['metadata']['name']}"
        if kind in _FIXED:
            spec = each["spec"]
            kept[name] = {key: spec[key] for key in _FIXED[kind] if key in spec}
            kept[name] |= _mounted(spec["template"]["spec"]) if "template" in spec else {}
        elif kind in ("RoleBinding", "ClusterRoleBinding"):
            kept[name] = {"roleRef": each["roleRef"]}
        elif kind == "Secret":
            kept[name] = {"policy": each["metadata"]["annotations"]["helm.sh/resource-policy"]}
        elif kind == "ConfigMap":
            for key, text in each["data"].items():
                if key.endswith(".yaml"):
                    settings = yaml.safe_load(text)
                    kept[name] = {place: settings.get(place) for place in _PLACES}
    return kept


def _mounted(spec: Object) -> Object:
    """Directories that are written to, and where they are from; and arguments that name some."""
    volumes = {
        volume["name"]: volume.get("hostPath", {}).get("path", "claim")
        for volume in [*spec.get("volumes", ()), {"name": "data"}]
        if "hostPath" in volume or (volume["name"] == "data" and "emptyDir" not in volume)
    }
    (container,) = spec["containers"]
    return {
        "written": {
            mount["mountPath"]: volumes[mount["name"]]
            for mount in container["volumeMounts"]
            if mount["name"] in volumes and not mount.get("readOnly")
        },
        "data": [word for word in container["args"] if word.startswith(("--data", "--cluster"))],
    }


def rendered() -> dict[str, Any]:
    return {name: fixed(chart.objects(*chart.profile(name))) for name in PROFILES}


def version() -> str:
    return str(yaml.safe_load((chart.CHART / "Chart.yaml").read_text())["version"])


def main() -> int:
    path = FOLDER / f"{version()}.json"
    if path.exists():
        print(f"{path.name} is released; give the chart a new version first", file=sys.stderr)
        return 1
    path.write_text(json.dumps(rendered(), indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

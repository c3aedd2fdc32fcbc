"""The chart, rendered by the real Helm; and what is generated for it.

`python -m tests.deploy.chart` writes what is committed: the watcher's rules in the chart's files/,
and deploy/kubernetes from the profiles.
"""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from collectors.cluster import rbac
from pipeline.logconfig.crd import custom_resources

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "kubeledger"
PLAIN = ROOT / "deploy" / "kubernetes"
PROFILES = ("small", "standard", "large")
NAMESPACE = "kubeledger"
KUBE_VERSION = "1.34.0"
_HEAD = "# Generated from collectors/cluster/resources.py by `make manifests`.\n"
_CRD_HEAD = "# Generated from pipeline/logconfig/spec.py by `make manifests`.\n"
_PLAIN_HEAD = "# Generated from the chart, profile {} by `make manifests`. Replace what it names.\n"

Object = dict[str, Any]


class HelmMissing(Exception):
    """Helm is not on this machine."""


@cache
def helm() -> str:
    found = shutil.which("helm") or shutil.which("helm", path=str(Path.home() / "go" / "bin"))
    if not found:
        raise HelmMissing(
            "Helm is not on the PATH: install it, or `go install helm.sh/helm/v3/cmd/helm@v3.22.0`"
        )
    return found


def need_helm() -> None:
    """Skips the test that asks, or fails it in CI, without Helm."""
    try:
        helm()
    except HelmMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must not skip the real parts: {missing}")
        pytest.skip(str(missing))


def run_helm(*words: str) -> str:
    """Its output. Raises CalledProcessError with what it said."""
    # Helm warns of the link to the dashboards: it is meant
    done = subprocess.run(
        [helm(), *words], capture_output=True, text=True, check=False, cwd=ROOT,
        env={**os.environ, "HELM_DEBUG": "0"},
    )  # fmt: skip
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, words, done.stdout, done.stderr)
    return done.stdout


def template(*options: str) -> str:
    return run_helm(
        "template", "kubeledger", str(CHART), "--namespace", NAMESPACE,
        "--kube-version", KUBE_VERSION, *options,
    )  # fmt: skip


def objects(*options: str) -> list[Object]:
    return [found for found in yaml.safe_load_all(template(*options)) if found]


def profile(name: str) -> tuple[str, ...]:
    return ("--values", str(CHART / "profiles" / f"{name}.yaml"))


def rules() -> dict[Path, str]:
    """The chart's files that follow from the watcher's table, and from the LogConfig's model."""
    made = {"watched": rbac.everywhere(), "watched-in-namespaces": rbac.in_namespaces()}
    texts = {
        CHART / "files" / f"{name}.yaml": _HEAD + yaml.safe_dump(found, sort_keys=False, width=100)
        for name, found in made.items()
    }
    crds = yaml.safe_dump_all(custom_resources(), sort_keys=False, width=100)
    return texts | {
        CHART / "crds" / "logconfigs.yaml": _CRD_HEAD + crds,
        PLAIN / "logconfig-crds.yaml": _CRD_HEAD + crds,
    }


def plain(name: str) -> str:
    """One file of plain manifests. Secrets that the chart would make are left to the reader:
    a certificate that is committed protects nobody."""
    made = [
        found
        for found in objects(
            *profile(name), "--no-hooks", "--set", "grafana.dashboards.enabled=false"
        )
        if found["kind"] != "Secret"
    ]
    made += [
        found
        for found in objects(*profile(name))
        if "helm.sh/hook" in (found["metadata"].get("annotations") or {})
    ]
    for found in made:
        _unhelmed(found)
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": NAMESPACE,
            # the collector reads the host's logs; everything else is "restricted" all the same
            "labels": {"pod-security.kubernetes.io/enforce": "privileged"},
        },
    }
    return _PLAIN_HEAD.format(name) + yaml.safe_dump_all(
        [namespace, *made], sort_keys=False, width=100
    )


def _unhelmed(found: Object) -> None:
    meta = found["metadata"]
    labels = meta.get("labels", {})
    labels.pop("helm.sh/chart", None)
    labels.pop("app.kubernetes.io/managed-by", None)
    annotations = {k: v for k, v in (meta.get("annotations") or {}).items() if "helm.sh/" not in k}
    meta.pop("annotations", None)
    if annotations:
        meta["annotations"] = annotations
    inner = found.get("spec", {}).get("template", {}).get("metadata", {}).get("labels", {})
    inner.pop("helm.sh/chart", None)
    inner.pop("app.kubernetes.io/managed-by", None)


def main() -> int:
    for path, text in rules().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    PLAIN.mkdir(exist_ok=True)
    for name in PROFILES:
        (PLAIN / f"{name}.yaml").write_text(plain(name))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The rendered manifests through kube-score: what it says is meant, and nothing else is said."""

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.deploy import chart
from tests.deploy.test_chart import SETS

pytestmark = pytest.mark.real

EVERY = frozenset(
    {"collect", "watch", "process-logs", "process-state", "alert", "migrate", "embedded"}
)
# Finding -> components it may be said of. Why: deploy/security.md, "What the linters say".
ACCEPTED = {
    "deployment-replicas: Deployment few replicas": frozenset({"process-logs"}),  # KEDA decides
    "pod-probes: Container is missing a readinessProbe": EVERY - {"embedded"},
    "container-resources: CPU limit is not set": EVERY,
    "container-image-pull-policy: ImagePullPolicy is not set to Always": EVERY,
    "container-security-context-user-group-id: The container is running with a low user ID":
        frozenset({"collect"}),
    "container-security-context-user-group-id: The container running with a low group ID":
        frozenset({"collect"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def kube_score() -> str:
    chart.need_helm()
    name = "kube-score"
    found = shutil.which(name) or shutil.which(name, path=str(Path.home() / "go" / "bin"))
    if found is None:
        why = "`go install github.com/zegl/kube-score/cmd/kube-score@v1.20.0`"
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must not skip the real parts: kube-score is absent: {why}")
        pytest.skip(f"kube-score is not on the PATH: {why}")
    return found


@cache
def said(program: str, name: str) -> frozenset[tuple[str, str]]:
    """(finding, component) of a set of values."""
    done = subprocess.run(
        [program, "score", "-", "--kubernetes-version", "v1.34", "--output-format", "json"],
        input=chart.template(*SETS[name]), capture_output=True, text=True, check=False,
    )  # fmt: skip
    return frozenset(
        (f"{check['check']['id']}: {comment['summary']}", found["object_meta"]["labels"]
         ["app.kubernetes.io/component"])
        for found in json.loads(done.stdout)
        for check in found["checks"]
        if not check["skipped"] and check["grade"] < 10
        for comment in check["comments"] or [{"summary": ""}]
    )  # fmt: skip


@pytest.mark.parametrize("name", SETS)
def test_nothing_is_said_but_what_is_meant(kube_score: str, name: str) -> None:
    for finding, component in said(kube_score, name):
        if name == "bare" and finding.startswith("pod-networkpolicy: "):
            continue  # it is asked to have none
        assert component in ACCEPTED.get(finding, ()), f"{component}: {finding}"


def test_what_is_meant_is_still_said(kube_score: str) -> None:
    """Or the list of exceptions would outlive its reasons."""
    found = said(kube_score, "small") | said(kube_score, "keda-monitored")
    assert {finding for finding, _ in found} == set(ACCEPTED)

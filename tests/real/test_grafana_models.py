"""What is pushed to Grafana's alerting, by the models that Grafana publishes of its own API (Go
module grafana-openapi-client-go, its `Validate`): no unknown field, none missing, no value out of
place."""

import copy
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from dashboards.alerting import read_files
from tests.alerts.rig import shipped
from tests.dashboards.test_push_alerts import CONFIG, render

CHECKER = Path(__file__).parent / "grafana_models"
_WAIT_S = 600  # its modules are fetched and compiled once
pytestmark = [pytest.mark.real, pytest.mark.timeout(_WAIT_S + 60)]

Documents = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Documents], str]:
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must not skip the real parts: no Go on the PATH")
        pytest.skip("no Go on the PATH")
    program = tmp_path_factory.mktemp("models") / "check"
    subprocess.run([found, "build", "-o", program, "."], cwd=CHECKER, check=True, timeout=_WAIT_S)

    def asked(documents: Documents) -> str:
        done = subprocess.run(
            [program], input=json.dumps(documents), capture_output=True, text=True, check=False,
            timeout=60,
        )  # fmt: skip
        assert bool(done.stdout) == bool(done.returncode)
        return done.stdout

    return asked


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Documents:
    return asdict(read_files(render(tmp_path_factory.mktemp("rendered"), CONFIG)))


def test_what_is_pushed_is_what_grafana_takes(
    check: Callable[[Documents], str], pushed: Documents
) -> None:
    assert sum(len(group["rules"]) for group in pushed["groups"]) == len(
        [rule for rule in shipped() if not rule.always]
    )
    # The published list of kinds has `alertmanager`; Grafana's own name is prometheus-alertmanager
    # (grafana/grafana pkg/services/ngalert/notifier/channels_config/available_channels.go).
    points = [point for point in pushed["points"] if point["type"] != "prometheus-alertmanager"]
    assert check({**pushed, "points": points}) == ""


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda d: d["groups"][0]["rules"][0].update(keepFiringFor="1m"), "unknown field"),
        (lambda d: d["groups"][0]["rules"][0].pop("condition"), "condition in body is required"),
        (lambda d: d["groups"][0]["rules"][0].update(noDataState="No"), "should be one of"),
        (lambda d: d["points"][0].update(type="slacker"), "should be one of"),
        (lambda d: d["routes"][0].update(receivers="x"), "unknown field"),
        (lambda d: d["times"][0].update(intervals=[]), "unknown field"),
    ],
)
def test_what_is_wrong_is_found(
    check: Callable[[Documents], str], pushed: Documents, spoil: Callable[[Documents], object],
    words: str,
) -> None:  # fmt: skip
    spoiled = copy.deepcopy(pushed)
    spoil(spoiled)
    assert words in check(spoiled)

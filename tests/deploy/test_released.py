"""An upgrade from any released version of the chart keeps positions and data: nothing that the API
server would refuse to change has changed, and nothing that is written to lies elsewhere."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tests.deploy import chart, released

pytestmark = pytest.mark.real
VERSIONS = sorted(released.FOLDER.glob("*.json"))


@pytest.fixture(scope="module")
def now() -> dict[str, Any]:
    chart.need_helm()
    return released.rendered()


def changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [
        f"{profile}: {name} {key}: {value!r} became {now[profile].get(name, {}).get(key)!r}"
        for profile, objects in before.items()
        for name, kept in objects.items()
        for key, value in kept.items()
        if now[profile].get(name, {}).get(key) != value
    ]


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.stem)
def test_what_must_stay_has_stayed(path: Path, now: dict[str, Any]) -> None:
    assert changes(json.loads(path.read_text()), now) == []


def test_what_is_kept_is_seen(now: dict[str, Any]) -> None:
    """The places that this is about are among what is compared."""
    small, standard = now["small"], now["standard"]
    embedded = small["StatefulSet/kubeledger-embedded"]
    assert embedded["written"] == {"/data": "claim"}
    assert embedded["volumeClaimTemplates"][0]["metadata"]["name"] == "data"
    assert small["Secret/kubeledger-bus-token"] == {"policy": "keep"}
    collect = standard["DaemonSet/kubeledger-collect"]
    assert collect["written"]["/var/lib/kubeledger"] == "/var/lib/kubeledger"
    assert standard["ConfigMap/kubeledger-collect"]["state_dir"] == "/var/lib/kubeledger/collect"


def test_a_change_is_noticed(now: dict[str, Any]) -> None:
    other = copy.deepcopy(now)
    other["small"]["StatefulSet/kubeledger-embedded"]["volumeClaimTemplates"] = []
    del other["large"]["DaemonSet/kubeledger-collect"]
    told = changes(now, other)
    assert any("volumeClaimTemplates" in line for line in told)
    assert any(line.startswith("large: DaemonSet/kubeledger-collect selector") for line in told)

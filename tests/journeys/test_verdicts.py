"""Real scalings and why they did not come: the layer, the reason, the words, and no more."""

import json

import pytest

from tests.journeys.command import run
from tests.journeys.recordings import EXPECTED, folder, replayed

MISSING = "hpa-missing-request"


def told(name: str) -> dict[tuple[str, str], tuple[str, str]]:
    """(entity, verdict) -> (because, severity)."""
    return {
        (v["entity"], v["id"]): (v["because"], v["severity"])
        for v in replayed(name).document()["verdicts"]
    }


def test_the_layer_of_each_hpa() -> None:
    want = {
        "norequest": "missing-request",
        "sidecar": "missing-request",
        "external": "external-api-missing",
        "podmetric": "custom-api-missing",
        "badcontainer": "container-unknown",
        "multi": "partial",
        "good": "apiservice-down",
    }
    got = told(MISSING)
    for name, because in want.items():
        assert got[f"hpa/el-c/{name}", "hpa.no-metrics"] == (because, "fault")
    assert got["hpa/el-c/notarget", "hpa.target-lost"][0] == "not-found"
    assert got["hpa/el-c/twin-a", "hpa.ambiguous"][0] == "several-hpas"


def test_the_words_name_the_container_and_its_pod() -> None:
    said = {v["entity"]: v["message"] for v in replayed(MISSING).document()["verdicts"]}
    assert (
        "missing request for cpu in container sidecar of Pod sidecar-" in said["hpa/el-c/sidecar"]
    )
    assert "container nosuch is not one of main" in said["hpa/el-c/badcontainer"]


def test_the_good_one_lacks_metrics_only_while_they_are_away() -> None:
    recording = replayed(MISSING)
    good = next(v for v in recording.document()["verdicts"] if v["entity"] == "hpa/el-c/good")
    stopped, started = 93.27, 168.79  # metrics-server, seconds after the start (index.json)
    assert stopped < (good["opened_at"] - recording.start) / 1000 < started
    assert started < (good["closed_at"] - recording.start) / 1000 < 200


def test_limits_of_speed_are_notes() -> None:
    found = replayed("hpa-behavior").document()["verdicts"]
    assert [(v["entity"], v["id"], v["because"], v["severity"]) for v in found] == [
        ("hpa/el-d/limited", "hpa.rate-limited", "ScaleUpLimit", "note"),
        ("hpa/el-d/limited", "hpa.rate-limited", "ScaleDownLimit", "note"),
    ]


def test_karpenter_has_five_reasons() -> None:
    want = {"wrongselector": "selector", "toobig": "size", "wrongzone": "zone",
            "arm": "architecture", "notolerate": "taint"}  # fmt: skip
    assert told("karpenter-reasons") == {
        (f"deployment/el-r/{name}", "ca.not-triggered"): (because, "fault")
        for name, because in want.items()
    }


FINE = ("healthy", "hpa-scale-up", "hpa-slow-pods", "karpenter-scale-up", "scale-blocked")


@pytest.mark.parametrize("name", FINE)
def test_what_scales_as_it_should_has_no_verdict(name: str) -> None:
    """A scale-up that a quota stops is the workload's incident; its HPA has no fault."""
    assert told(name) == {}


def test_the_command_shows_them(capsys: pytest.CaptureFixture[str]) -> None:
    recording = folder() / "hpa-behavior"
    document = json.loads(run("replay", recording, "--json"))
    assert document["incidents"] == []
    assert {v["id"] for v in document["verdicts"]} == {"hpa.rate-limited"}
    text = run("replay", recording)
    assert "no incidents" in text
    assert "hpa/el-d/limited: a note, no incident: " in text
    assert "hpa.rate-limited, because ScaleDownLimit" in text


@pytest.mark.parametrize("name", EXPECTED)
def test_every_incident_about_scaling_is_a_verdict(name: str) -> None:
    document = replayed(name).document()
    of_scaling = ("hpa.", "cronhpa.", "vpa.", "ca.", "vk.")
    want = {i["id"] for i in document["incidents"] if i["verdict"].startswith(of_scaling)}
    assert want <= {v["incident"] for v in document["verdicts"]}
    assert all(v["message"] for v in document["verdicts"])

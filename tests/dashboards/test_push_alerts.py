"""`kubeledger push grafana --alerts`: what `render alerts` wrote, into a server that follows
Grafana's provisioning API."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import kubeledger
from dashboards.push import CHANGED, EDITED, NEW, SAME
from tests.dashboards.grafana import TOKEN, Grafana, grafana

SECRETS = {
    "KUBELEDGER_TEAM_URL": "https://hooks.example/T0/very-secret",
    "KUBELEDGER_FLY_URL": "https://open.feishu.example/hook/also-secret",
    "GRAFANA_TOKEN": TOKEN,
}
CONFIG = """
mute_timings:
  - {name: night, time_intervals: [{times: [{start_time: "00:00", end_time: "06:00"}], location: Asia/Shanghai}]}
receivers:
  - {name: team, type: slack, url: {env: SLACK}, match: ["severity=~critical|warning"], repeat: 24h, mute: [night]}
  - {name: fly, type: feishu, url: {env: FEISHU}}
  - {name: am, type: alertmanager, urls: ["http://am:9093"]}
"""  # noqa: E501
WHAT = ["mute timing kubeledger-night", "contact point kubeledger-team",
        "contact point kubeledger-fly", "contact point kubeledger-am", "notification policies",
        "rules kubeledger-facts", "rules kubeledger-queries"]  # fmt: skip


@pytest.fixture
def server() -> Iterator[Grafana]:
    with grafana() as found:
        yield found


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(tmp_path_factory.mktemp("rendered"), CONFIG)


def render(folder: Path, config: str) -> Path:
    (folder / "alert.yaml").write_text(config)
    out = folder / "out"
    words = ["render", "alerts", "--out", str(out), "--config", str(folder / "alert.yaml")]
    done = CliRunner().invoke(kubeledger.cli, words)
    assert done.exit_code == 0, done.output
    return out


def push(server: Grafana, folder: Path, *words: str, **env: str) -> tuple[int, dict[str, str], str]:
    command = ["push", "grafana", "--url", server.url, "--alerts", str(folder), *words]
    done = CliRunner().invoke(kubeledger.cli, command, env=SECRETS | env)
    assert "secret" not in done.output.replace("(a secret)", "")
    known = (NEW, SAME, CHANGED, EDITED)
    lines = done.output.splitlines()
    found = {line[14:].strip(): line[:14].strip() for line in lines if line[:14].strip() in known}
    return done.exit_code, {what: found[what] for what in WHAT if what in found}, done.output


def test_everything_is_there_once(server: Grafana, rendered: Path) -> None:
    code, states, _ = push(server, rendered)
    assert (code, states) == (0, dict.fromkeys(WHAT, NEW) | {"notification policies": CHANGED})
    held = server.alerting
    rule = held.rule("kubeledger-facts", "NodeNotReady")
    assert (rule["folderUID"], rule["provenance"]) == ("kubeledger", "api")
    assert held.points["kl-team"]["settings"]["url"] == SECRETS["KUBELEDGER_TEAM_URL"]
    assert "coll.Dict" in held.points["kl-fly"]["settings"]["payload"]["template"]
    assert held.times["kubeledger-night"]["time_intervals"][0]["location"] == "Asia/Shanghai"
    server.writes.clear()
    code, states, _ = push(server, rendered)
    assert (code, states, server.writes) == (0, dict.fromkeys(WHAT, SAME), [])


def test_a_dry_run_writes_nothing(server: Grafana, rendered: Path) -> None:
    code, states, _ = push(server, rendered, "--dry-run")
    assert (code, server.writes, list(states)) == (1, [], WHAT)


def test_routes_of_others_stay_and_ours_hold_for_our_folder_alone(
    server: Grafana, rendered: Path
) -> None:
    theirs = {"receiver": "grafana-default-email", "object_matchers": [["team", "=", "db"]]}
    server.alerting.policy["routes"] = [theirs]
    push(server, rendered)
    tree = server.alerting.policy
    assert tree["receiver"] == "grafana-default-email"
    assert "provenance" not in tree  # people can still change the tree in the browser
    *ours, last = tree["routes"]
    assert last == theirs
    assert all(["grafana_folder", "=", "kubeledger"] in route["object_matchers"] for route in ours)
    assert all(route["continue"] for route in ours)
    assert ours[0]["mute_time_intervals"] == ["kubeledger-night"]
    assert ours[0]["repeat_interval"] == "1d"


def test_a_route_that_a_person_changed_is_kept_unless_forced(
    server: Grafana, rendered: Path
) -> None:
    push(server, rendered)
    server.alerting.policy["routes"][0]["repeat_interval"] = "8h"
    server.writes.clear()
    code, states, output = push(server, rendered)
    assert (code, states["notification policies"], server.writes) == (1, EDITED, [])
    assert "8h" in output
    assert push(server, rendered, "--force")[0] == 0
    assert server.alerting.policy["routes"][0]["repeat_interval"] == "1d"


def test_what_the_code_changed_is_written_and_a_pause_stays(
    server: Grafana, rendered: Path
) -> None:
    push(server, rendered)
    rule = server.alerting.rule("kubeledger-facts", "NodeNotReady")
    rule |= {"isPaused": True, "labels": {"severity": "info"}}
    code, states, output = push(server, rendered)
    assert (code, states["rules kubeledger-facts"]) == (0, CHANGED)
    assert '"severity": "info"' in output
    rule = server.alerting.rule("kubeledger-facts", "NodeNotReady")
    assert (rule["isPaused"], rule["labels"]["severity"]) == (True, "warning")


@pytest.mark.parametrize("change", [{"provenance": "", "for": "9m"}, {"uid": "mine", "title": "M"}])
def test_rules_of_a_person_are_kept_unless_forced(
    server: Grafana, rendered: Path, change: dict[str, str]
) -> None:
    """Set free and changed; or another one put into our group."""
    push(server, rendered)
    group = server.alerting.groups["kubeledger", "kubeledger-facts"]
    if "uid" in change:
        group["rules"].append({**group["rules"][0], "provenance": ""} | change)
    else:
        group["rules"][0] |= change
    code, states, _ = push(server, rendered)
    assert (code, states["rules kubeledger-facts"]) == (1, EDITED)
    assert push(server, rendered, "--force")[0] == 0
    assert push(server, rendered, "--dry-run")[0] == 0


def test_what_grafana_has_from_files_is_refused_before_the_first_write(
    server: Grafana, rendered: Path
) -> None:
    push(server, rendered)
    server.alerting.rule("kubeledger-facts", "NodeNotReady").update(provenance="file", title="Old")
    server.writes.clear()
    code, _, output = push(server, rendered, "--force")
    assert (code, server.writes) == (1, [])
    assert "from provisioning files" in output


def test_secrets_are_never_shown_and_written_anew_by_force(server: Grafana, rendered: Path) -> None:
    push(server, rendered)
    later = {"KUBELEDGER_TEAM_URL": "https://hooks.example/T0/newer-secret"}
    assert push(server, rendered, **later)[1]["contact point kubeledger-team"] == SAME
    assert push(server, rendered, "--force", **later)[0] == 0
    assert server.alerting.points["kl-team"]["settings"]["url"] == later["KUBELEDGER_TEAM_URL"]
    moved = {"KUBELEDGER_FLY_URL": "https://open.feishu.example/hook/newer-secret"} | later
    code, states, _ = push(server, rendered, **moved)  # a webhook's address can be read
    assert (code, states["contact point kubeledger-fly"]) == (0, CHANGED)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ((403, {"message": "no permission"}), "not allowed (403)"),
        ((409, {"message": "optimistic lock"}), "somebody changed it meanwhile (409)"),
        ((500, {"message": "database is locked"}), "try again"),
        ((400, {"message": "invalid alert rule"}), "refused (400): invalid alert rule"),
    ],
)
def test_a_refusal_says_what_to_do_and_a_second_try_finishes(
    server: Grafana, rendered: Path, fault: tuple[int, dict], words: str
) -> None:
    push(server, rendered)
    server.alerting.groups.clear()
    server.faults = [fault]
    code, _, output = push(server, rendered)
    assert (code, words in output) == (1, True), output
    assert push(server, rendered)[0] == 0
    assert len(server.alerting.groups) == 2


def test_what_is_wrong_with_the_files_or_the_environment_is_said(
    server: Grafana, rendered: Path, tmp_path: Path
) -> None:
    code, _, output = push(server, tmp_path)
    assert (code, "no rules; write them with `kubeledger render alerts" in output) == (2, True)
    code, _, output = push(server, rendered, KUBELEDGER_TEAM_URL="")
    assert (code, "the environment has no KUBELEDGER_TEAM_URL" in output) == (2, True)
    (tmp_path / "rules.yaml").write_text("apiVersion: 1\ngroups: [{name: a, folder: kubeledger}]")
    code, _, output = push(server, tmp_path)
    assert (code, "not as `render alerts` writes it" in output) == (2, True)
    (tmp_path / "rules.yaml").write_text("a: b")
    assert "is no provisioning file" in push(server, tmp_path)[2]
    assert server.writes == []

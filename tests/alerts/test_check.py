"""A rule that is wrong is refused with file, line and the nearest name; a diff of rules is exact."""

# ruff: noqa: E501 - what is said is quoted whole

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import kubeledger
from alerts.backtest import compare
from alerts.check import check_rules, empty_store, is_rule
from pipeline.base.errors import KubeledgerError, UsageError
from pipeline.store.protocol import Store
from tests.alerts.rig import shipped
from tests.journeys.command import run


def told(*words: object, code: int = 0) -> str:
    """As `run`, without a process of its own."""
    found = CliRunner().invoke(kubeledger.cli, [*map(str, words)])
    if isinstance(found.exception, KubeledgerError):
        assert found.exception.exit_code == code
        return str(found.exception)
    assert found.exit_code == code, found.output
    return found.output


RULES = Path(__file__).parents[2] / "alerts" / "rules"
NODES = Path(__file__).parents[1] / "recordings" / "nodes"
FACT, SQL = "NodeNotReady.yaml", "DeadLetters.yaml"

WRONG = {
    "field": (FACT, "entity_kind:", "entity_kin:", 7, "has no field `entity_kin`; did you mean `entity_kind`?"),
    "kind": (FACT, "kind: episode", "kind: episodes", 5, "no fact is a 'episodes'; did you mean `episode`?"),
    "label": (FACT, '"{name}"', '"{nmae}"', 22, "unknown field {nmae}; did you mean `name`?"),
    "summary": (FACT, "{title}", "{titel}", 23, "unknown field {titel}; did you mean `title`?"),
    "brace": (FACT, "{title}", "{title", 23, "is no field; write {field}"),
    "key": (FACT, "severity:", "severty:", 2, "unknown key `severty`; did you mean `severity`?"),
    "severity": (FACT, "severity: warning", "severity: bad", 2, "`severity`: Input should be 'critical'"),
    "table": (SQL, "FROM dead_letters", "FROM dead_leters", 6, "no table `dead_leters`; did you mean `dead_letters`?"),
    "column": (SQL, "SELECT reason,", "SELECT reasn,", 5, "did you mean `reason`?"),
    "parameter": (SQL, "GROUP BY reason", "GROUP BY reason HAVING value > {lots}", 8, "no parameter {lots}"),
    "column in a text": (SQL, "{example}", "{exmple}", 13, "unknown field {exmple}; did you mean `example`?"),
    "no time": (SQL, "ts > {now} - INTERVAL 10 MINUTE AND ts <= {now}", "ts > now()", 4, "does not use {now}"),
    "duration": (FACT, "severity: warning", "for: 5 minutes\nseverity: warning", 2, "is no duration; write it as 30s"),
    "sources": (FACT, "fact:", "always: true\nfact:", 1, "exactly one of `fact`, `sql`"),
    "yaml": (FACT, "labels: {", "labels: {{", 23, "not valid YAML"),
}  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> Iterator[Store]:
    with empty_store() as store:
        yield store


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rule_is_refused_at_its_line(name: str, tmp_path: Path, engine: Store) -> None:
    source, old, new, line, said = WRONG[name]
    text = (RULES / source).read_text()
    assert old in text
    path = tmp_path / "rule.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UsageError) as raised:
        check_rules(path, engine)
    problem = str(raised.value)
    assert said in problem
    assert f"{path}:{line}:" in problem, problem


def test_the_command_says_it_and_exits_2(tmp_path: Path) -> None:
    path = tmp_path / "rule.yaml"
    path.write_text((RULES / SQL).read_text().replace("reason,", "reasn,", 1))
    said = run("check", path, code=2)
    assert f"{path}:5: " in said
    assert "did you mean `reason`" in said or "Maybe you meant" in said


def test_shipped_rules_are_right_and_their_names_are_their_files(engine: Store) -> None:
    files = check_rules(None, engine)
    assert [file.rule.name for file in files] == sorted(p.stem for p in RULES.glob("*.yaml"))
    assert all(is_rule(path) for path in RULES.glob("*.yaml"))


def test_a_configuration_is_checked_with_the_others(tmp_path: Path) -> None:
    path = tmp_path / "alert.yaml"
    path.write_text("receivers: [{name: a, type: slack, url: {env: X}}]\n")
    assert "fine (alert)" in told("check", path)
    path.write_text("receivers: [{name: a, type: slak, url: {env: X}}]\n")
    assert "slak" in told("check", path, code=2)


def test_two_sets_of_rules_are_compared_over_a_recording(tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    for path in RULES.glob("*.yaml"):
        if path.name != "NodeUnknown.yaml":
            text = path.read_text()
            if path.name == FACT:
                text = text.replace("severity: warning", "severity: critical")
            (new / path.name).write_text(text)
    words = ["replay", NODES / "kubelet-stopped", "--rules", new]
    assert "the same alerts" in told(*words, "--against", new)
    said = told(*words, "--against", RULES, code=1)
    assert "~ NodeNotReady" in said
    assert "critical" in said


def test_the_diff_names_what_is_gone_and_what_is_new() -> None:
    old = {"rule": "A", "labels": {}, "severity": "info", "starts_at": 1, "ends_at": None}
    assert compare([old], [old]) == []
    assert [line[0] for line in compare([old], [old | {"rule": "B"}])] == ["-", "+"]
    assert compare([old], [old | {"ends_at": 5}])[0].startswith("~ A")
    assert len(compare([old, old], [old])) == 1


def test_replay_shows_alerts_to_programs() -> None:
    document = json.loads(told("replay", NODES / "kubelet-stopped", "--alerts", "--json"))
    assert [a["rule"] for a in document["alerts"]] == ["NodeNotReady"]
    assert {"labels", "cause", "starts_at", "ends_at", "severity"} <= document["alerts"][0].keys()
    assert document["incidents"]


def test_rendered_for_grafana(tmp_path: Path) -> None:
    import yaml

    config = tmp_path / "alert.yaml"
    config.write_text(
        "receivers:\n"
        "  - {name: team, type: slack, url: {env: SLACK}, match: [severity=critical]}\n"
        "  - {name: am, type: alertmanager, urls: ['http://am:9093']}\n"
    )
    told("render", "alerts", "--out", tmp_path / "out", "--config", config)
    out = tmp_path / "out"
    groups = yaml.safe_load((out / "rules.yaml").read_text())["groups"]
    titles = [rule["title"] for group in groups for rule in group["rules"]]
    assert sorted(titles) == sorted(rule.name for rule in shipped() if not rule.always)
    uids = [rule["uid"] for group in groups for rule in group["rules"]]
    assert len(set(uids)) == len(uids)
    points = yaml.safe_load((out / "contact-points.yaml").read_text())["contactPoints"]
    policy = yaml.safe_load((out / "policies.yaml").read_text())["policies"][0]
    names = {point["name"] for point in points}
    assert {policy["receiver"], *(route["receiver"] for route in policy["routes"])} <= names
    assert points[0]["receivers"][0]["settings"]["url"] == "${KUBELEDGER_TEAM_URL}"
    schema = json.loads((out / "rule.schema.json").read_text())
    assert {"name", "severity", "summary", "tests"} <= set(schema["required"])

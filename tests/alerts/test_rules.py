"""Every shipped rule fires on something and is silent on something; and what all of them together
say of each recorded outage."""

import pytest

from alerts.check import static_problems
from alerts.load import load_rules
from pipeline.contract.facts import EPISODE
from pipeline.readiness.catalogue import load_catalogue
from tests.alerts.material import alerts_of, facts_of, fired
from tests.alerts.rig import shipped
from tests.journeys.recordings import EXPECTED

FACT_RULES = [rule for rule in shipped() if rule.fact is not None]
WELL = ["healthy", "hpa-scale-up", "karpenter-scale-up", "hpa-behavior"]
OUTAGES = [name for name, expected in EXPECTED.items() if expected]


@pytest.mark.parametrize("rule", FACT_RULES, ids=lambda rule: rule.name)
def test_rule_fires_and_is_silent(rule) -> None:  # type: ignore[no-untyped-def]
    for name in rule.tests.fires:
        assert rule.name in fired(name), name
    for name in rule.tests.silent:
        assert rule.name not in fired(name), name


@pytest.mark.parametrize("file", load_rules(), ids=lambda file: file.rule.name)
def test_rule_is_right_and_has_its_runbook(file) -> None:  # type: ignore[no-untyped-def]
    assert static_problems(file) == []


def test_every_verdict_has_a_rule() -> None:
    """An incident nobody is told of would be none."""
    rules = [rule for rule in FACT_RULES if rule.fact and rule.fact.kind == EPISODE]
    for cause in load_catalogue().causes.values():
        if getattr(cause, "severity", "fault") != "fault":
            continue
        entities = [cause.entity] if isinstance(cause.entity, str) else cause.entity
        for entity in entities:
            fields = {"entity_kind": entity, "verdict": cause.id, "status": "open"}
            heard = [r.name for r in rules if r.fact and r.fact.matches(fields)]
            assert heard, f"{cause.id} of a {entity}"


@pytest.mark.parametrize("name", WELL)
def test_nothing_above_info_where_nothing_is_wrong(name: str) -> None:
    found = alerts_of(name)
    assert [a for a in (*found.alerts, *found.inhibited) if a["severity"] != "info"] == []


@pytest.mark.parametrize("name", OUTAGES)
def test_an_outage_is_told_within_five_seconds_of_its_proof(name: str) -> None:
    """One group per incident, its first message at most 5 s after the fact that opened it."""
    found = alerts_of(name)
    first_told: dict[str, int] = {}
    for message in found.notifications:
        if message["firing"]:
            first_told.setdefault(message["group"], message["t"])
    opened: dict[str, int] = {}
    merged = set()
    for fact in facts_of(name)[0]:
        if fact.kind == EPISODE:
            opened.setdefault(fact.body["id"], fact.t)
            if fact.body["status"] == "merged":
                merged.add(fact.body["id"])
    for incident in opened.keys() - merged:
        assert 0 <= first_told[incident] - opened[incident] <= 5_000, incident
    for alert in found.alerts:
        assert alert["summary"]
        assert alert["evidence"], alert["rule"]


def test_many_nodes_are_one_alert_and_one_message() -> None:
    found = alerts_of("many-nodes-notready")
    assert [alert["rule"] for alert in found.alerts] == ["ZoneDisruption"]
    assert len(found.notifications) == 1
    nodes = {alert["labels"]["node"] for alert in found.inhibited}
    assert len(nodes) == 24
    assert {alert["rule"] for alert in found.inhibited} == {"NodeUnknown"}


def test_the_cause_and_its_evidence_are_in_the_alert() -> None:
    (alert,) = alerts_of("pleg-hang-runtime").alerts
    assert (alert["rule"], alert["cause"]) == ("NodeNotReady", "pleg.runtime-hang")
    assert alert["labels"]["node"] == "node-a"
    assert any("containerd" in quote for quote in alert["evidence"])
    assert "pod/shop/born-in-hang" in alert["affected"]


def test_a_node_that_recovers_resolves_its_alert_once() -> None:
    found = alerts_of("alerts:node_recovers")
    (alert,) = found.alerts
    assert alert["rule"] == "NodeNotReady"
    assert alert["ends_at"] is not None
    assert [len(m["firing"]) + len(m["resolved"]) for m in found.notifications][-1] == 1
    assert found.notifications[-1]["resolved"] == [alert["fingerprint"]]

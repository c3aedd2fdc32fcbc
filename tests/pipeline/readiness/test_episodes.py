"""Incidents over a small catalogue of its own: open, change, explain, merge, close."""

from typing import Any

import pytest

from pipeline.contract.facts import EPISODE, Fact
from pipeline.readiness.catalogue import Catalogue, Cause
from pipeline.readiness.detector import Scene
from pipeline.readiness.episodes import Episodes
from pipeline.readiness.evidence import Book
from pipeline.readiness.world import World

T0 = 1_795_412_000_000


def cause(name: str, **fields: Any) -> Cause:
    base: dict[str, Any] = {
        "id": name,
        "title": name,
        "entity": "node",
        "remedy": ["look"],
        "required": [["a"]],
    }
    return Cause.model_validate(base | fields)


class Stage:
    """Evidence is put into the book by hand; time is moved by hand."""

    def __init__(self, *causes: Cause) -> None:
        self.scene = Scene(Book(), World(), Catalogue(list(causes), [], []))
        self.episodes = Episodes(self.scene)
        self.now = T0
        self.offset = 0

    def at(self, seconds: float) -> "Stage":
        self.now = T0 + int(seconds * 1000)
        self.offset += 1
        self.scene.begin(self.now, self.offset)
        return self

    def judge(self) -> list[dict[str, Any]]:
        for entity in self.scene.book.drain():
            self.episodes.judge(entity)
        return said(self.scene.facts)

    def tick(self) -> list[dict[str, Any]]:
        self.scene.book.expire(self.now)
        self.judge()
        self.episodes.tick()
        return said(self.scene.facts)

    def pod(self, namespace: str, name: str, node: str) -> None:
        meta = {"namespace": namespace, "name": name, "uid": name}
        self.scene.world.see("pods", False, {"metadata": meta, "spec": {"nodeName": node}})


def said(facts: list[Fact]) -> list[dict[str, Any]]:
    return [dict(fact.body) for fact in facts if fact.kind == EPISODE]


def test_opens_with_the_time_of_its_evidence_and_closes_when_quiet() -> None:
    stage = Stage(cause("x.y", close_s=60))
    stage.at(10).scene.hold("node/n", "a", "seen", since=T0 + 4_000)
    [opened] = stage.judge()
    assert (opened["cause"], opened["confidence"]) == ("x.y", "probable")
    assert (opened["opened_at"], opened["detected_at"]) == (T0 + 4_000, T0 + 10_000)
    stage.at(100).scene.clear("node/n", "a")
    assert stage.judge() == []
    assert stage.at(159).tick() == []
    [closed] = stage.at(160).tick()
    assert (closed["status"], closed["closed_at"]) == ("closed", T0 + 100_000)
    assert closed["id"] == opened["id"]


def test_evidence_that_returns_in_time_is_the_same_incident() -> None:
    stage = Stage(cause("x.y", close_s=60))
    stage.at(0).scene.hold("node/n", "a", "seen")
    [opened] = stage.judge()
    stage.at(10).scene.clear("node/n", "a")
    stage.judge()
    stage.at(50).scene.hold("node/n", "a", "again")
    stage.judge()
    assert stage.at(200).tick() == []
    assert [e.id for e in stage.episodes.state.open.values()] == [opened["id"]]


def test_a_point_runs_out() -> None:
    stage = Stage(cause("x.y", close_s=0))
    stage.at(0).scene.point("node/n", "a", "line", ttl_ms=5_000)
    stage.judge()
    stage.at(3).scene.point("node/n", "a", "line again", ttl_ms=5_000)
    stage.judge()
    assert stage.at(6).tick() == []
    assert [e["status"] for e in stage.at(8).tick()] == ["closed"]


def test_what_is_older_than_its_time_to_live_is_no_evidence() -> None:
    stage = Stage(cause("x.y"))
    stage.at(600).scene.point("node/n", "a", "history", t=T0, ttl_ms=300_000)
    assert stage.judge() == []


def test_a_better_cause_replaces_a_weaker_one_and_recovery_does_not() -> None:
    stage = Stage(
        cause("x.vague", provisional=True, rank=1),
        cause("x.exact", required=[["a"], ["b"]], proof=["b"], rank=50),
    )
    stage.at(0).scene.hold("node/n", "a", "something")
    [vague] = stage.judge()
    assert (vague["cause"], vague["verdict"], vague["confidence"]) == (
        "unknown",
        "x.vague",
        "possible",
    )
    stage.at(5).scene.hold("node/n", "b", "proof")
    [exact] = stage.judge()
    assert (exact["cause"], exact["confidence"], exact["version"]) == ("x.exact", "certain", 2)
    stage.at(9).scene.clear("node/n", "b")
    stage.judge()
    assert [e.cause for e in stage.episodes.state.open.values()] == ["x.exact"]


def test_what_speaks_against_a_cause_takes_it_away() -> None:
    stage = Stage(
        cause("x.first", excluding=["c"], proof=["a"], rank=90),
        cause("x.second", required=[["c"]], rank=10),
    )
    stage.at(0).scene.hold("node/n", "a", "seen")
    stage.judge()
    stage.at(1).scene.hold("node/n", "c", "against")
    [changed] = stage.judge()
    assert changed["cause"] == "x.second"
    assert changed["candidates"][1]["against"] == ["c"]


def test_holding_time_is_waited_for() -> None:
    stage = Stage(cause("x.y", hold_s=30))
    stage.at(0).scene.hold("node/n", "a", "seen")
    assert stage.judge() == []
    assert stage.at(29).tick() == []
    [opened] = stage.at(30).tick()
    assert opened["opened_at"] == T0


def test_conjunction_needs_both() -> None:
    stage = Stage(cause("x.y", required=[["a+b", "c"]]))
    stage.at(0).scene.hold("node/n", "a", "one")
    assert stage.judge() == []
    stage.at(1).scene.hold("node/n", "b", "two")
    assert [e["opened_at"] for e in stage.judge()] == [T0 + 1_000]


NODE = cause("n.down", required=[["down"]], explains=["p.stuck"])
POD = cause("p.stuck", entity="workload", required=[["stuck"]])


def test_a_symptom_is_listed_under_the_node_and_opens_nothing() -> None:
    stage = Stage(NODE, POD)
    stage.pod("shop", "web", "n")
    stage.at(0).scene.hold("node/n", "down", "down")
    [node] = stage.judge()
    stage.at(20).scene.hold("pod/shop/web", "stuck", "stuck", subject="shop/web")
    assert stage.judge() == []
    [listed] = stage.at(30).tick()
    assert (listed["id"], listed["affected"]) == (node["id"], ["shop/web"])


def test_a_symptom_that_came_first_is_merged() -> None:
    stage = Stage(NODE, POD)
    stage.pod("shop", "web", "n")
    stage.at(0).scene.hold("pod/shop/web", "stuck", "stuck", subject="shop/web")
    [pod] = stage.judge()
    stage.at(20).scene.hold("node/n", "down", "down")
    merged, node = sorted(stage.judge(), key=lambda e: str(e["entity"]), reverse=True)
    assert (merged["status"], merged["id"]) == ("merged", pod["id"])
    assert (node["entity"], merged["merged_into"]) == ("node/n", node["id"])
    assert stage.episodes.state.open.keys() == {"node/n"}


@pytest.mark.parametrize("nodes", [("n", "other"), ("other",)])
def test_a_workload_that_is_stuck_elsewhere_too_has_its_own_incident(
    nodes: tuple[str, ...],
) -> None:
    stage = Stage(NODE, POD)
    stage.at(0).scene.hold("node/n", "down", "down")
    stage.judge()
    for number, node in enumerate(nodes):
        stage.pod("shop", f"web-{number}", node)
        subject = f"shop/web-{number}"
        stage.at(10).scene.hold("deployment/shop/web", "stuck", "stuck", subject=subject)
    assert [e["entity"] for e in stage.judge()] == ["deployment/shop/web"]


def test_a_symptom_that_outlives_its_node_long_enough_becomes_an_incident() -> None:
    stage = Stage(NODE, POD)
    stage.pod("shop", "web", "n")
    stage.at(0).scene.hold("node/n", "down", "down")
    stage.judge()
    stage.at(20).scene.hold("pod/shop/web", "stuck", "stuck", subject="shop/web")
    stage.judge()
    stage.at(60).scene.clear("node/n", "down")
    stage.judge()
    assert [e["status"] for e in stage.at(120).tick()] == ["closed"]
    assert stage.at(300).tick() == []
    opened = [e for s in (420, 430) for e in stage.at(s).tick() if e["status"] == "open"]
    assert [e["entity"] for e in opened] == ["pod/shop/web"]


def test_a_thousand_affected_pods_are_few_versions() -> None:
    stage = Stage(NODE, POD)
    stage.at(0).scene.hold("node/n", "down", "down")
    versions = len(stage.judge())
    for number in range(1000):
        stage.pod("shop", f"p{number}", "n")
        stage.at(1 + number / 100).scene.hold(
            f"pod/shop/p{number}", "stuck", "stuck", subject=f"shop/p{number}"
        )
        versions += len(stage.judge())
        if number % 500 == 499:
            versions += len(stage.tick())
    versions += len(stage.at(60).tick())
    assert versions <= 5
    assert len(stage.episodes.state.open["node/n"].affected) == 1000

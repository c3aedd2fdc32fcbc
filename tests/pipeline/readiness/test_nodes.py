"""Nodes that are deleted, made anew with their names, or say what nobody expects."""

from typing import Any

import pytest

from pipeline.contract.state import DELETED, OBJECT, REFUSED, StateEvent
from tests.cases.rig import NODE, Rig, ms, new_fold
from tests.cases.shapes import pod

NAMES = [f"node-{letter}" for letter in "bcdefg"]
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


def silent_zone() -> Rig:
    """All nodes fell silent together."""
    rig = Rig()
    for name in NAMES:
        rig.node(0, name=name)
        rig.lease(1, name)
    rig.ticks(5, 60)
    assert rig.open() == {"cluster/-": "zone.disruption"}
    return rig


def deleted(rig: Rig, s: float, name: str = NODE) -> None:
    rig.object(s, "nodes", {"metadata": {"name": name}}, DELETED)


def made(rig: Rig, s: float, name: str = NODE) -> None:
    rig.object(s, "nodes", {"metadata": {"name": name, "uid": f"new-{name}"}, "status": READY})


@pytest.mark.parametrize("again", [False, True])
def test_a_disruption_ends_when_its_nodes_are_deleted(again: bool) -> None:
    rig = silent_zone()
    for name in NAMES:
        deleted(rig, 70, name)
        if again:
            made(rig, 75, name)
    rig.ticks(80, 100)
    assert rig.fold.book.state.entities.keys() == set()
    rig.ticks(105, 150)
    assert rig.open() == {}


def test_what_a_deleted_node_still_says_is_not_kept() -> None:
    rig = Rig()
    rig.healthy(0, 60)
    deleted(rig, 61)
    rig.healthz(65, REFUSED)
    rig.healthz(70, REFUSED)
    rig.log(71, "kubelet", 'E1123 05:45:07.076067 1 run.go:74] "command failed" err="failed to '
            'run Kubelet: running with swap on is not supported, please disable swap"')  # fmt: skip
    rig.ticks(75, 400, 15)
    assert rig.fold.book.state.entities == {}
    assert rig.versions() == []


def test_the_departed_are_forgotten() -> None:
    rig = Rig()
    rig.node(0)
    deleted(rig, 1)
    rig.healthz(600)
    rig.tick(1400)
    assert rig.fold.world.state.departed.keys() == {NODE}
    rig.tick(1600)
    assert rig.fold.world.state.departed == {}


def test_a_node_that_comes_again_with_its_name_is_looked_at_anew() -> None:
    rig = Rig()
    rig.healthy(0, 60)
    held = set(rig.fold.book.atoms(f"node/{NODE}"))
    deleted(rig, 61)
    made(rig, 63)
    assert rig.fold.world.state.departed == {}
    rig.healthy(65, 100)
    assert set(rig.fold.book.atoms(f"node/{NODE}")) == held


def test_pods_stay_on_a_node_that_is_deleted_and_comes_again() -> None:
    rig = Rig()
    rig.node(0)
    rig.object(1, "pods", pod(name="web-0"))
    deleted(rig, 2)
    made(rig, 3)
    assert [found.name for found in rig.fold.world.pods_on(NODE)] == ["web-0"]
    rig.object(4, "pods", pod(name="web-0"), DELETED)
    assert rig.fold.world.state.on_node == {}


def test_a_new_node_is_not_taken_away_with_the_one_that_had_its_name() -> None:
    """Deleted and made again unseen: the list has the new one, then says what is gone."""
    rig = Rig()
    rig.healthy(0, 60)
    made(rig, 70)
    rig.synced(71, "nodes", uids=[f"new-{NODE}"], version="5000")
    assert rig.fold.world.state.zones == {NODE: ""}
    rig.lease(72)
    rig.ticks(75, 120)
    assert "lease/stale" in rig.fold.book.atoms(f"node/{NODE}")


@pytest.mark.parametrize("status", [None, "", "Maybe", 3, []])
def test_a_word_that_is_none_is_not_ready(status: Any) -> None:
    rig = Rig()
    rig.node(0)
    ready = {"type": "Ready"} | ({} if status is None else {"status": status})
    rig.object(5, "nodes", {"metadata": {"name": NODE}, "status": {"conditions": [ready]}})
    assert rig.transitions("node")[-1] == ("Ready", "Unknown")
    second = new_fold()
    second.restore(rig.fold.dump())
    assert second.dump() == rig.fold.dump()


def test_a_cordoned_node_is_not_empty_where_no_pod_is_recorded() -> None:
    rig = Rig()
    rig.node(0, unschedulable=True)
    assert not rig.fold.book.has(f"node/{NODE}", "object/node.taken-out")
    rig.object(1, "pods", pod(name="web-0", node="node-b"))
    rig.tick(5)
    assert rig.fold.book.has(f"node/{NODE}", "object/node.taken-out")


def test_nor_with_the_tombstone_of_the_one_that_had_its_name() -> None:
    rig = Rig()
    rig.healthy(0, 60)
    made(rig, 70)
    meta = {"name": NODE, "uid": f"nodes--{NODE}", "resourceVersion": "101"}
    body = {"resource": "nodes", "type": DELETED, "inferred": True, "replaced": True}
    rig.feed(StateEvent(OBJECT, ms(71), "w", "tomb", body | {"object": {"metadata": meta}}))
    assert rig.fold.world.state.zones == {NODE: ""}
    assert rig.fold.world.state.departed == {}

"""What exists, where records say less than the whole object."""

from typing import Any

import pytest

from pipeline.contract.state import DELETED, MODIFIED, OBJECT, StateEvent
from tests.cases.rig import NODE, Rig, ms
from tests.cases.shapes import pod, running

ENTITY, KEY = "pod/shop/web-0", "shop/web-0"
NOBODY = [("persistentvolumeclaim/shop/data", "")]


def known() -> Rig:
    """A pod with a volume claim, on a node, not ready."""
    rig = Rig()
    rig.tick(0)
    containers = [running(ready=False)]
    rig.object(1, "pods", pod(claim="data", phase="Running", containers=containers))
    return rig


def metadata_only(rig: Rig, kind: str, version: int, *, uid: str = "", **more: Any) -> None:
    meta = {"name": "web-0", "namespace": "shop", "uid": uid or "uid-web-0"}
    shown = {"kind": "Pod", "metadata": {**meta, "resourceVersion": str(version)}}
    body = {"resource": "pods", "type": kind, "object": shown, **more}
    rig.feed(StateEvent(OBJECT, ms(2), "watch", f"{meta['uid']}:{kind}:{version}", body))


def users(rig: Rig) -> list[tuple[str, str]]:
    return rig.fold.world.users_of("shop", "data")


@pytest.mark.parametrize("more", [{"inferred": True}, {"cut": 1_000_000}], ids=str)
def test_a_tombstone_without_spec_lets_go_of_claims_and_node(more: dict[str, Any]) -> None:
    rig = known()
    assert users(rig) == [(ENTITY, KEY)]
    metadata_only(rig, DELETED, 200, **more)
    assert users(rig) == NOBODY
    assert list(rig.fold.world.pods_on(NODE)) == []
    assert rig.fold.world.state.claims == {}


def test_an_evicted_pod_that_is_deleted_is_a_symptom_of_its_node_still() -> None:
    rig = known()
    rig.node(5, DiskPressure="True")
    rig.tick(10)
    rig.event(11, "Evicted", "The node was low on resource: ephemeral-storage", kind="Pod",
              namespace="shop", name="web-0")  # fmt: skip
    rig.object(12, "pods", pod(phase="Failed", reason="Evicted"))
    metadata_only(rig, DELETED, 200)
    rig.ticks(15, 400)
    assert rig.open() == {f"node/{NODE}": "node.disk-pressure"}
    assert {body["entity"] for body in rig.versions()} == {f"node/{NODE}"}
    assert rig.fold.world.node_of(KEY) == NODE
    rig.tick(1000)
    assert rig.fold.world.node_of(KEY) == ""


def test_a_tombstone_of_an_older_pod_of_that_name_lets_go_of_nothing() -> None:
    rig = known()
    metadata_only(rig, DELETED, 50, uid="older", inferred=True)
    assert users(rig) == [(ENTITY, KEY)]


def test_a_version_that_was_cut_takes_nothing_away() -> None:
    rig = known()
    held = set(rig.fold.book.atoms(ENTITY))
    metadata_only(rig, MODIFIED, 200, cut=1_000_000)
    assert users(rig) == [(ENTITY, KEY)]
    assert [found.name for found in rig.fold.world.pods_on(NODE)] == ["web-0"]
    assert set(rig.fold.book.atoms(ENTITY)) == held != set()
    metadata_only(rig, DELETED, 201, cut=1_000_000)
    assert rig.fold.world.pod("shop", "web-0") is None

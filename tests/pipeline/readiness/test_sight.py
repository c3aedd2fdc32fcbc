"""While the watcher does not see a resource, that nothing is heard of it is no evidence."""

from typing import Any

import orjson
import pytest

from pipeline.contract.state import FORBIDDEN, OK, STATUS
from pipeline.readiness.sight import CATCH_UP_MS, Sight
from tests.cases.rig import NODE, Rig, new_fold
from tests.cases.shapes import conditioned, pod, running

LEASES, OF_NODES = "leases", "kube-node-lease"
KEY, POD = "shop/web-0", "pod/shop/web-0"
NODES = [f"node-{number}" for number in range(6)]


def told(sight: Sight, t: int, outcome: str, namespace: str = "", **more: Any) -> None:
    body = {"resource": "pods", "outcome": outcome, **more}
    sight.told(body | ({"namespace": namespace} if namespace else {}), t, t)


def atoms(rig: Rig, entity: str) -> set[str]:
    return set(rig.fold.book.atoms(entity))


# Words


def test_blind_from_a_failure_to_the_next_ok_and_the_time_to_catch_up() -> None:
    sight = Sight()
    assert sight.sees("pods", 1), "nobody said otherwise"
    told(sight, 10, OK)
    assert sight.sees("pods", 10)
    told(sight, 20, FORBIDDEN)
    told(sight, 30, STATUS)
    assert not sight.sees("pods", 10_000_000)
    assert sight.sees("nodes", 10_000_000)
    told(sight, 40, OK)
    told(sight, 5_000, OK)
    assert not sight.sees("pods", 39 + CATCH_UP_MS)
    assert sight.sees("pods", 40 + CATCH_UP_MS)


def test_the_latest_word_counts_of_the_namespace_or_of_all() -> None:
    sight = Sight()
    told(sight, 10, FORBIDDEN, "shop")
    assert not sight.sees("pods", 11, "shop")
    assert sight.sees("pods", 11, "other")
    told(sight, 20, OK)
    assert sight.sees("pods", 21, "shop"), "all namespaces are watched now"
    told(sight, 30, FORBIDDEN)
    told(sight, 40, OK, "shop")
    assert sight.sees("pods", 41 + CATCH_UP_MS, "shop")
    assert not sight.sees("pods", 41 + CATCH_UP_MS, "other")


def test_a_late_word_of_another_leader_and_one_of_a_single_object_say_nothing() -> None:
    sight = Sight()
    told(sight, 20, OK)
    told(sight, 10, FORBIDDEN)
    told(sight, 30, FORBIDDEN, name="cluster-autoscaler-status")
    assert sight.sees("pods", 40)


def test_a_snapshot_knows_it_and_an_older_one_knew_nothing() -> None:
    rig = Rig()
    rig.synced(0, LEASES, FORBIDDEN, OF_NODES)
    again = new_fold()
    again.restore(rig.fold.dump())
    assert not again.scene.sees(LEASES, OF_NODES)
    older = orjson.loads(rig.fold.dump())
    del older["core"]["sight"]
    again.restore(orjson.dumps(older))
    assert again.scene.sees(LEASES, OF_NODES)


# Leases


def renewed(rig: Rig, start: int, stop: int) -> None:
    for s in range(start, stop + 1, 5):
        for name in NODES if s % 20 == 0 else ():
            rig.lease(s, name)
        rig.tick(s)


def six() -> Rig:
    rig = Rig()
    for name in NODES:
        rig.node(0, name=name)
    return rig


def lab() -> Rig:
    """Six nodes that are well for a minute; the watcher loses its leases after it."""
    rig = six()
    renewed(rig, 0, 60)
    rig.synced(85, LEASES, FORBIDDEN, OF_NODES)
    return rig


def test_no_node_is_silent_because_the_watcher_is_blind() -> None:
    rig = lab()
    rig.ticks(90, 600)
    assert rig.open() == {}
    for name in NODES:
        assert not {a for a in atoms(rig, f"node/{name}") if a.startswith("lease/")}, (
            "fresh is not known, either"
        )
    rig.synced(605, LEASES, OK, OF_NODES)
    rig.ticks(605, 630)
    renewed(rig, 635, 800)
    assert rig.versions() == []
    assert "lease/fresh" in atoms(rig, "node/node-0")


def test_nodes_that_are_silent_when_leases_are_seen_again_are_found() -> None:
    rig = lab()
    rig.ticks(90, 600)
    rig.synced(600, LEASES, OK, OF_NODES)
    rig.ticks(605, 630)
    assert rig.open() == {}
    rig.ticks(635, 700)
    assert rig.open()["cluster/-"] == "zone.disruption"


# A watcher that is gone says nothing


def beating(rig: Rig, start: int, stop: int, *silent: str) -> None:
    """A watcher with a pulse; nodes renew their leases, but for the silent ones."""
    for s in range(start, stop + 1, 5):
        for name in NODES if s % 20 == 0 else ():
            if name not in silent:
                rig.lease(s, name)
        rig.synced(s, LEASES, OK, OF_NODES, next_ms=5000)
        rig.tick(s)


def watched() -> Rig:
    rig = six()
    beating(rig, 0, 60)
    return rig


def test_no_node_is_silent_because_the_watcher_is_gone() -> None:
    rig = watched()
    rig.ticks(61, 600, 1)
    assert rig.open() == {}
    beating(rig, 605, 700)
    assert rig.versions() == []


def test_with_a_pulse_silent_nodes_are_found_and_together() -> None:
    rig = watched()
    beating(rig, 65, 120, *NODES)
    assert rig.open()["cluster/-"] == "zone.disruption"


def test_nodes_that_fell_silent_while_the_watcher_was_gone_are_found_by_its_successor() -> None:
    rig = watched()
    rig.ticks(65, 600)
    beating(rig, 605, 635, *NODES)
    assert rig.open() == {}
    beating(rig, 640, 700, *NODES)
    assert rig.open()["cluster/-"] == "zone.disruption"


def test_while_it_is_gone_nothing_is_seen_of_anything_and_then_there_is_time_to_catch_up() -> None:
    sight = Sight()
    told(sight, 0, OK)
    sight.told({"resource": LEASES, "outcome": OK, "next_ms": 5_000}, 1_000, 1_000)
    assert sight.sees("pods", 16_000)
    assert not sight.sees("pods", 16_001)
    sight.told({"resource": LEASES, "outcome": OK, "next_ms": 5_000}, 60_000, 60_000)
    assert not sight.sees("pods", 60_000 + CATCH_UP_MS - 1)
    assert sight.sees("pods", 60_000 + CATCH_UP_MS)


def test_a_watcher_that_may_no_longer_watch_leases_is_not_gone() -> None:
    sight = Sight()
    sight.told({"resource": LEASES, "outcome": OK, "next_ms": 5_000}, 1_000, 1_000)
    sight.told({"resource": LEASES, "outcome": FORBIDDEN}, 3_000, 3_000)
    assert sight.sees("pods", 600_000)
    assert not sight.sees(LEASES, 600_000)


def test_what_was_silent_before_stays_so_until_it_speaks() -> None:
    rig = Rig()
    rig.node(0)
    rig.lease(0)
    rig.ticks(5, 60)
    rig.synced(61, LEASES, FORBIDDEN, OF_NODES)
    rig.ticks(65, 300)
    rig.synced(300, LEASES, OK, OF_NODES)
    rig.ticks(305, 400)
    assert {"lease/late", "lease/stale"} <= atoms(rig, f"node/{NODE}")
    rig.lease(401)
    assert "lease/stale" not in atoms(rig, f"node/{NODE}")


# Other objects that time alone moves


def test_a_node_joins_unseen() -> None:
    rig = Rig()
    rig.node(0, "False")
    rig.synced(10, "nodes", FORBIDDEN)
    rig.ticks(15, 600)
    rig.synced(600, "nodes", OK)
    rig.tick(601)
    assert "object/node.join-slow" not in atoms(rig, f"node/{NODE}")
    rig.node(602)
    rig.ticks(605, 700)
    assert "object/node.join-slow" not in atoms(rig, f"node/{NODE}")


@pytest.mark.parametrize("namespace", ["", "shop"])
def test_a_pod_becomes_ready_unseen(namespace: str) -> None:
    rig = Rig()
    rig.object(0, "pods", pod(phase="Running", containers=[running(ready=False)]))
    rig.synced(10, "pods", FORBIDDEN, namespace)
    rig.ticks(15, 600)
    rig.synced(600, "pods", OK, namespace)
    rig.tick(601)
    assert atoms(rig, POD) == {"object/pod.not-ready"}
    rig.object(602, "pods", pod(phase="Running", ready="True", containers=[running(ready=True)]))
    rig.ticks(605, 700)
    assert atoms(rig, POD) == set()


@pytest.mark.parametrize("namespace", ["", "other"])
def test_a_pod_that_is_still_not_ready_is_found(namespace: str) -> None:
    """After the time to catch up; at once where another namespace is not seen."""
    rig = Rig()
    rig.object(0, "pods", pod(phase="Running", containers=[running(ready=False)]))
    rig.synced(10, "pods", FORBIDDEN, namespace)
    rig.ticks(15, 600)
    assert ("object/pod.unready-long" in atoms(rig, POD)) == (namespace == "other")
    rig.synced(600, "pods", OK, namespace)
    rig.ticks(605, 615)
    assert "object/pod.unready-long" in atoms(rig, POD)


def test_the_silence_of_a_namespace_is_no_evidence_while_none_is_seen() -> None:
    rig = Rig()
    rig.tick(0)
    old = {"metadata": {"name": "old", "deletionTimestamp": "2026-11-23T05:33:20Z"}, "status": {}}
    rig.object(1, "namespaces", old)
    down = {"type": "Available", "status": "False", "reason": "MissingEndpoints"}
    rig.object(2, "apiservices", conditioned("v1beta1.metrics.k8s.io", down))
    rig.synced(3, "namespaces", FORBIDDEN)
    rig.ticks(5, 300)
    assert "object/namespace.apiservice-down" not in atoms(rig, "namespace/old")
    rig.synced(300, "namespaces", OK)
    rig.ticks(305, 315)
    assert "object/namespace.apiservice-down" in atoms(rig, "namespace/old")


def test_of_a_pod_that_is_not_known_nobody_says_that_its_volume_is_elsewhere() -> None:
    rig = Rig()
    rig.tick(0)
    spec = {"nodeName": NODE, "source": {"persistentVolumeName": "pvc-1"}}
    attachment = {"metadata": {"name": "csi-1"}, "status": {"attached": True}, "spec": spec}
    rig.object(1, "volumeattachments", attachment)
    about = {"kind": "Pod", "namespace": "shop", "name": "web-0"}
    rig.event(2, "FailedAttachVolume", 'Multi-Attach error for volume "pvc-1"', **about)
    assert "object/volume.held-elsewhere" not in atoms(rig, POD)

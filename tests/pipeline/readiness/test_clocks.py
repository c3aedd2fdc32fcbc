"""Nodes whose clocks are wrong: nobody else is late for it, and who is silent is found."""

import pytest

from pipeline.contract.state import (
    GROWTH,
    HEALTHZ,
    HOST,
    METRICS,
    MODIFIED,
    OBJECT,
    OK,
    SAMPLE,
    StateEvent,
)
from tests.cases.rig import NODE, Rig, ms

NAMES = [f"node-{n}" for n in range(8)]
DEAD = "node-3"
ALIVE = {"kubelet": {"pid": 1, "state": "S"}, "containerd": {"pid": 2, "state": "S"}}


def said(rig: Rig, s: float, name: str, ahead: float) -> None:
    """What the collector of a node says; its clock is so many seconds ahead."""
    t = ms(s + ahead)
    metrics = {"process_start": 1.0, "relist_count": s + 1, "relist_sum": s / 50,
               "pleg_last_seen": t / 1000 - 1}  # fmt: skip
    for part, values in ((METRICS, metrics), (HEALTHZ, {"failed": []}), (HOST, {"daemons": ALIVE})):
        body = {"node": name, "part": part, "asked_ms": t, "ms": 9, "outcome": OK, "values": values}
        rig.feed(StateEvent(SAMPLE, t, name, f"{name}:{part}:{t}", body))


def renewed(rig: Rig, s: float, name: str) -> None:
    """A renewal that waited for its turn to be written."""
    meta = {"name": name, "namespace": "kube-node-lease", "uid": name, "resourceVersion": f"{s}"}
    body = {"resource": "leases", "type": MODIFIED, "seen_ms": ms(s - 10),
            "object": {"metadata": meta, "spec": {"renewTime": f"{s}"}}}  # fmt: skip
    rig.feed(StateEvent(OBJECT, ms(s), "watch", f"{name}:{s}", body))


def cluster(ahead: float, *, pulse: bool, dies: bool, first: float = 0) -> Rig:
    """The first node's clock is off; one of the others may be silent after 100 s."""
    rig = Rig()
    said(rig, first, NAMES[0], ahead)
    for name in NAMES:
        rig.node(0, name=name)
    for s in range(0, 300, 5):
        for name in NAMES:
            if dies and name == DEAD and s > 100:
                continue
            said(rig, s, name, ahead if name == NAMES[0] else 0)
            if s % 20 == 0:
                renewed(rig, s, name)
        if pulse:
            rig.synced(s, "leases", namespace="kube-node-lease", next_ms=5000)
        rig.tick(s)
    return rig


@pytest.mark.parametrize("pulse", [False, True])
@pytest.mark.parametrize("ahead", [-3600, -20, 20, 90, 3600])
def test_a_wrong_clock_is_no_silence(ahead: float, pulse: bool) -> None:
    assert cluster(ahead, pulse=pulse, dies=False).versions() == []


@pytest.mark.parametrize("pulse", [False, True])
@pytest.mark.parametrize("ahead", [-3600, 0, 90, 3600])
def test_a_silent_node_is_found_beside_one_with_a_wrong_clock(ahead: float, pulse: bool) -> None:
    rig = cluster(ahead, pulse=pulse, dies=True)
    assert rig.open() == {f"node/{DEAD}": "node.unreachable"}
    assert ms(130) < rig.versions()[0]["detected_at"] < ms(150)


@pytest.mark.parametrize("ahead", [-3600, -60, -20, 20])
def test_a_silent_node_is_found_whatever_the_watchers_clock_says(ahead: float) -> None:
    rig = Rig()
    for name in NAMES:
        rig.node(ahead, name=name)
    for s in range(0, 300, 5):
        for name in NAMES if s % 20 == 0 else ():
            if name != DEAD or s <= 100:
                renewed(rig, s + ahead, name)
        rig.synced(s + ahead, "leases", namespace="kube-node-lease", next_ms=5000)
        rig.tick(s)
    assert rig.open() == {f"node/{DEAD}": "node.not-ready"}
    assert {body["entity"] for body in rig.versions()} == {f"node/{DEAD}"}


def test_events_count_although_the_first_word_came_from_the_future() -> None:
    rig = Rig()
    said(rig, 0, NODE, 3600)
    rig.tick(5)
    assert (rig.fold.scene.now, rig.fold.scene.started) == (ms(5), ms(5))


def test_a_pause_of_logs_on_a_node_that_is_behind_is_no_silence() -> None:
    rig = Rig()
    rig.tick(0)
    for behind, silent in ((60, False), (-60, True)):
        t = ms(20 - behind)
        since = t - (20_000 if silent else 3_000)
        values = {"silent": {"since_ms": since, "containers": 3}}
        body = {"node": NODE, "part": GROWTH, "asked_ms": t, "ms": 1, "outcome": OK}
        rig.tick(20 if not silent else 25)
        rig.feed(StateEvent(SAMPLE, t, NODE, f"growth:{t}", body | {"values": values}))
        assert rig.fold.book.has(f"node/{NODE}", "host/logs-silent") is silent

"""Watch streams of real API servers through the core: the committed ones, and all of a directory in
the same layout when KUBELEDGER_RECORDINGS names one."""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from collectors.cluster.known import Known
from collectors.cluster.ports import Ended, Instant, List, Opened
from collectors.cluster.resource import ResourceWatch
from collectors.cluster.resources import RESOURCES, Scope
from pipeline.contract.state import DELETED, OBJECT, StateEvent, decode_state, encode_state

ROOTS = [Path(__file__).parents[2] / "recordings" / "nodes"]
if "KUBELEDGER_RECORDINGS" in os.environ:
    ROOTS.append(Path(os.environ["KUBELEDGER_RECORDINGS"]))
RECORDINGS = sorted(path for root in ROOTS for path in root.iterdir() if path.is_dir())
FILES = {
    "leases": "leases-kube-node-lease",
    "events": "events-core",
    "events.k8s.io": "events-events.k8s.io",
    "configmaps": "configmap-cluster-autoscaler-status",
}
INITIAL_END = "k8s.io/initial-events-end"
SECRET_WORDS = {"env", "envFrom", "command", "args", "managedFields", "caBundle"}


def stream(recording: Path, resource: str) -> list[dict] | None:
    path = recording / f"watch-{FILES.get(resource, resource)}.jsonl.gz"
    if not path.exists():
        return None
    with gzip.open(path, "rt") as lines:
        return [found for text in lines if "event" in (found := json.loads(text))]


def play(resource: str, recorded: list[dict], known: Known) -> Iterator[StateEvent]:
    """What was there at first is the list; the rest is the watch, cut into pieces anywhere."""
    row = next(r for r in RESOURCES if r.name == resource)
    first = [
        number
        for number, found in enumerate(recorded)
        if INITIAL_END in found["event"]["object"]["metadata"].get("annotations", {})
    ]
    cut = first[0] if first else 0
    version = recorded[cut]["event"]["object"]["metadata"]["resourceVersion"] if first else "1"
    start = recorded[0]["t"]
    random = Random(resource)
    watch = ResourceWatch(Scope(row, row.namespace), known, start_s=start, random=random)
    now = Instant.at(start)
    assert isinstance(watch.request(now), List)
    items = [
        {k: v for k, v in found["event"]["object"].items() if k not in ("kind", "apiVersion")}
        for found in recorded[:cut]
    ]
    page = json.dumps({"metadata": {"resourceVersion": version}, "items": items}).encode()
    yield from watch.fed(page, now)
    yield from watch.fed(Ended(), now)
    assert watch.request(now) is not None
    watch.fed(Opened(), now)
    rest = b""
    for found in recorded[cut:]:
        now = Instant.at(max(found["t"], now.mono))
        rest += json.dumps(found["event"]).encode() + b"\n"
        at = random.randrange(len(rest))
        yield from watch.fed(rest[:at], now)
        yield from watch.tick(now)
        rest = rest[at:]
    yield from watch.fed(rest, now)
    yield from watch.tick(Instant.at(now.mono + 60))
    assert not watch.deaf


def words_in(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {word for inner in value.values() for word in words_in(inner)}
    if isinstance(value, list):
        return {word for inner in value for word in words_in(inner)}
    return set()


def last_versions(recorded: list[dict]) -> dict[str, str]:
    """What exists in the end, uid -> version."""
    there: dict[str, str] = {}
    for found in recorded:
        event = found["event"]
        meta = event["object"]["metadata"]
        if event["type"] in ("ADDED", "MODIFIED"):
            there[meta["uid"]] = meta["resourceVersion"]
        elif event["type"] == "DELETED":
            there.pop(meta["uid"], None)
    return there


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.name)
def test_every_recorded_stream(recording: Path) -> None:
    played = 0
    for row in RESOURCES:
        recorded = stream(recording, row.name)
        if not recorded or row.kind == "Event":
            continue
        played += 1
        there: dict[str, str] = {}
        for event in play(row.name, recorded, Known()):
            assert decode_state(encode_state(event)[0]) == event
            if event.kind != OBJECT:
                continue
            meta = event.body["object"]["metadata"]
            assert event.body["object"]["kind"] == row.kind
            assert not SECRET_WORDS & words_in(event.body["object"]), row.name
            if event.body["type"] == DELETED:
                there.pop(meta["uid"])
            else:
                there[meta["uid"]] = meta["resourceVersion"]
        assert there == last_versions(recorded), row.name
    assert played >= 5


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.name)
def test_both_event_apis_say_the_same(recording: Path) -> None:
    bodies = []
    for resource in ("events", "events.k8s.io"):
        recorded = stream(recording, resource) or []
        events = [e for e in play(resource, recorded, Known()) if e.kind == "event"]
        bodies.append({event.id: event.body for event in events})
    core, new = bodies
    both = core.keys() & new.keys()
    assert len(both) >= len(core) * 0.9
    for name in both:
        assert core[name] == new[name]
        assert core[name]["last_ms"] >= core[name]["first_ms"] > 1_700_000_000_000
        assert core[name]["reason"]
        assert core[name]["component"]


def test_twins_that_share_what_is_known_write_each_version_once() -> None:
    recording = next(path for path in RECORDINGS if path.name == "karpenter-reasons")
    known = Known()
    ids = [
        event.id
        for resource in ("events", "events.k8s.io")
        for event in play(resource, stream(recording, resource) or [], known)
        if event.kind == "event"
    ]
    assert len(ids) == len(set(ids)) > 100

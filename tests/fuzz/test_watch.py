"""Watch streams, lists and Leases of an API server, or of what stands in front of one."""

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.cluster.election import Election, Terms
from collectors.cluster.known import Known
from collectors.cluster.ports import Ended, Instant, Opened, Refused, Watch
from collectors.cluster.refusal import message_of, status_of
from collectors.cluster.resource import ResourceWatch
from collectors.cluster.resources import RESOURCES, Scope
from collectors.cluster.wire import MAX_LINE, Lines, Unreadable, parse
from pipeline.contract.state import SYNCED, decode_state, encode_state
from tests.fuzz.hostile import (
    CLASSICS,
    MIB,
    bent,
    examples,
    mistyped,
    only,
    values,
    within,
    written,
)

NOW = Instant.at(1_795_000_000.0)
METADATA = {
    "name": "a", "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": 1,
    "creationTimestamp": "2026-11-23T05:35:00Z", "labels": {"a": "b"}, "annotations": {"c": "d"},
    "managedFields": [{"time": "2026-11-23T05:35:00Z"}], "finalizers": ["f"],
    "ownerReferences": [{"kind": "ReplicaSet", "name": "r", "uid": "o", "controller": True}],
}  # fmt: skip
OBJECT: dict[str, Any] = {
    "kind": "X", "apiVersion": "v1", "metadata": METADATA,
    "spec": {"nodeName": "a", "claimRef": {"name": "c"}, "csi": {"driver": "d"}, "selector": {},
             "renewTime": "2026-11-23T05:35:00.0Z", "containers": [{"name": "c", "image": "i",
             "ports": [{"containerPort": 1}], "resources": {"requests": {"cpu": "1"}}}],
             "template": {"metadata": {}, "spec": {"containers": [{"name": "c"}]}}},
    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
               "containerStatuses": [{"name": "c", "state": {"terminated": {"message": "m"}}}],
               "attachmentMetadata": {}},
    "endpoints": [{"addresses": ["1"], "conditions": {"ready": True}, "targetRef": {"name": "a"}}],
    "webhooks": [{"name": "w", "clientConfig": {"caBundle": "x", "url": "u"}}],
    "data": {"status": "s", "tls.crt": "x"}, "count": 3, "series": {"count": 2},
    "involvedObject": {"kind": "Pod", "name": "a", "fieldPath": "f"}, "source": {"component": "k"},
    "firstTimestamp": "2026-11-23T05:35:00Z", "eventTime": "2026-11-23T05:35:00Z",
    "reason": "R", "message": "m", "type": "Warning",
}  # fmt: skip
CHANGE = {"type": "MODIFIED", "object": OBJECT}
LISTED = {"kind": "List", "metadata": {"resourceVersion": "5"}, "items": [OBJECT]}
FAILURE = {
    "type": "ERROR",
    "object": {
        "kind": "Status",
        "code": 410,
        "reason": "Expired",
        "message": "too old",
        "details": {"retryAfterSeconds": 1},
    },
}
SCOPES = [Scope(resource, resource.namespace) for resource in RESOURCES]
LIST = json.dumps(LISTED).encode()
STREAM = b"\n".join(json.dumps(one).encode() for one in (CHANGE, FAILURE)) + b"\n"


def made(scope: Scope) -> ResourceWatch:
    return ResourceWatch(scope, Known(), start_s=NOW.mono, random=Random(1))


def written_down(events: list[Any]) -> None:
    """What goes on the log is readable again."""
    for event in events:
        decode_state(encode_state(event)[0])


def through(scope: Scope, listed: bytes, stream: bytes, cuts: list[int]) -> ResourceWatch:
    """A list and a watch, cut anywhere; then what the server says next is understood."""
    watch, now = made(scope), NOW
    assert watch.request(now) is not None
    for piece in (listed, Ended()):
        written_down(watch.fed(piece, now))
    now = Instant.at(now.mono + 1000)
    request = watch.request(now)
    if isinstance(request, Watch):
        watch.fed(Opened(), now)
    places = sorted(cut % (len(stream) + 1) for cut in cuts)
    for start, stop in zip([0, *places], [*places, len(stream)], strict=True):
        written_down(watch.fed(stream[start:stop], now))
    watch.fed(Ended(), now)
    written_down(watch.tick(Instant.at(now.mono + 1000)))
    return watch


def works(watch: ResourceWatch) -> None:
    """Whatever came, it asks again, and a good answer counts."""
    now = Instant.at(NOW.mono + 10_000)
    for _ in range(20):
        assert watch.request(now) is not None
        events = watch.fed(LIST, now)
        events += watch.fed(Ended(), now)
        if any(event.kind == SYNCED and event.body["outcome"] == "ok" for event in events):
            return
        now = Instant.at(now.mono + 10_000)
    raise AssertionError("it does not recover")


cuts = st.lists(st.integers(0, 10_000), max_size=5)


@pytest.mark.parametrize("number", range(len(SCOPES)), ids=[scope.name for scope in SCOPES])
def test_objects_of_every_resource(number: int) -> None:
    @examples(12)
    @given(written(mistyped([LISTED])), written(mistyped([CHANGE])), cuts)
    def run(listed: bytes, change: bytes, cuts: list[int]) -> None:
        works(through(SCOPES[number], listed, change + b"\n", cuts))
        works(through(SCOPES[number], LIST, change + b"\n" + STREAM, cuts))

    run()


@examples(100)
@given(bent([LIST]), bent([STREAM]), cuts, st.sampled_from(SCOPES))
def test_bytes(listed: bytes, stream: bytes, cuts: list[int], scope: Scope) -> None:
    works(through(scope, listed, stream, cuts))
    works(through(scope, LIST, stream, cuts))


@pytest.mark.parametrize("text", CLASSICS, ids=lambda text: repr(text[:12]))
def test_classics(text: bytes) -> None:
    only(Unreadable, lambda: parse(text))
    message_of(text)
    for scope in SCOPES[:3]:
        works(through(scope, text, text + b"\n" + STREAM, [1, 5]))
        inside = b'{"type":"ADDED","object":{"metadata":{"uid":"u","resourceVersion":"9","x":'
        works(through(scope, LIST, inside + text + b"}}}\n", [1, 5]))


@examples(100)
@given(values, written(values))
def test_refusals(found: Any, body: bytes) -> None:
    message_of(body)
    for source in (FAILURE["object"], {"code": found, "details": {"retryAfterSeconds": found}}):
        watch = made(SCOPES[0])
        watch.request(NOW)
        refused = status_of(source)
        written_down(watch.fed(Refused(refused.status, body, refused.retry_after_s), NOW))


def test_a_line_without_an_end_takes_bounded_memory() -> None:
    lines = Lines()
    with within(2 * MAX_LINE + 8 * MIB):
        refused = not only(
            Unreadable, lambda: [list(lines.feed(bytes(MIB))) for _ in range(MAX_LINE // MIB + 1)]
        )
    assert refused


@examples(80)
@given(
    st.sampled_from([200, 201, 403, 404, 409, 500, 0]),
    written(mistyped([{"kind": "Lease", **OBJECT}])) | st.sampled_from(CLASSICS),
)
def test_leases(status: int, body: bytes) -> None:
    election = Election("ns", "x", identity="me", terms=Terms(15.0, 10.0, 2.0), random=Random(1))
    now = NOW
    for answer in (status, 200, 409, status):
        election.request(now)
        election.answered(answer, body, now)
        election.leads(now)
        now = Instant.at(now.mono + 60)
    election.release(now)

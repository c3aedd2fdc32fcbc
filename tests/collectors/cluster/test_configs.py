"""Which version of a log configuration counts from when."""

from typing import Any

import pytest

from collectors.cluster.configs import config_version
from collectors.cluster.resources import RESOURCES
from pipeline.contract.configs import decode_config, encode_config
from pipeline.contract.fields import RecordError
from pipeline.contract.state import DELETED, MODIFIED, OBJECT, StateEvent

ROW = next(resource for resource in RESOURCES if resource.name == "logconfigs")
META = {"name": "a", "namespace": "shop", "uid": "u1", "resourceVersion": "7", "generation": 2}


def event(source: dict[str, Any], kind: str = MODIFIED) -> StateEvent:
    body = {"resource": ROW.name, "type": kind, "object": ROW.trimmed(source)}
    return StateEvent(OBJECT, 9_000, "watch", "u1:7", body)


def test_a_version_counts_from_when_its_spec_was_written() -> None:
    fields = [
        {"time": "2026-11-26T02:00:00Z", "operation": "Apply"},
        {"time": "2026-11-26T02:00:05Z", "operation": "Update"},
        {"time": "2026-11-26T03:00:00Z", "operation": "Update", "subresource": "status"},
    ]
    source = {"metadata": {**META, "managedFields": fields}, "spec": {"exclude": "all"},
              "status": {"matchedPods": 3}}  # fmt: skip
    found = config_version(event(source))
    assert found is not None
    assert (found.key, found.since_ms) == (b"u1:2", 1_795_658_405_000)
    assert found.object == {
        "kind": "LogConfig",
        "metadata": {"name": "a", "namespace": "shop"},
        "spec": {"exclude": "all"},
    }
    assert decode_config(encode_config(found)) == found


def test_without_writers_the_creation_counts_once_and_then_what_was_seen() -> None:
    created = {**META, "creationTimestamp": "2026-11-26T01:00:00Z"}
    first = config_version(event({"metadata": {**created, "generation": 1}, "spec": {}}))
    second = config_version(event({"metadata": created, "spec": {}}))
    assert first is not None
    assert second is not None
    assert (first.since_ms, second.since_ms) == (1_795_654_800_000, 9_000)


def test_a_deletion_is_a_version_and_other_objects_are_none() -> None:
    gone = config_version(event({"metadata": META}, DELETED))
    assert gone is not None
    assert (gone.deleted, gone.key, gone.since_ms) == (True, b"u1:deleted", 9_000)
    other = {"resource": "pods", "type": MODIFIED, "object": {"kind": "Pod", "metadata": META}}
    assert config_version(StateEvent(OBJECT, 1, "watch", "x", other)) is None


@pytest.mark.parametrize(
    "value",
    [b"", b"[]", b'{"v":9}', b'{"v":1}', b'{"v":1,"uid":"u","generation":"x","since":0}',
     b'{"v":1,"uid":"u","generation":1,"since":0,"deleted":false,"object":{}}'],
)  # fmt: skip
def test_what_is_no_version_is_said(value: bytes) -> None:
    with pytest.raises(RecordError):
        decode_config(value)

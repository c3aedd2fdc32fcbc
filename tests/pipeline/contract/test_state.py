"""What is no state event is refused, with the reason."""

import json
from typing import Any

import pytest

from pipeline.contract.state import TICK, RecordError, StateEvent, decode_state, encode_state

WHOLE = {"v": 1, "kind": TICK, "t": 5, "by": "test", "id": "i", "body": {}}


def test_there_and_back() -> None:
    event = StateEvent(TICK, 5, "test", "i", {"a": [1, None]})
    assert decode_state(encode_state(event)[0]) == event


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (b"{", "is not JSON"),
        (b"[]", "format 'list' is not known"),
        (b"null", "format 'NoneType' is not known"),
        (b'"v"', "format 'str' is not known"),
        (b"{}", "format None is not known"),
    ],
)
def test_no_event_at_all(value: bytes, says: str) -> None:
    with pytest.raises(RecordError, match=says):
        decode_state(value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"v": 2}, "format 2 is not known"),
        ({"kind": "tock"}, "kind 'tock' is not one of sample, object"),
        ({"kind": []}, r"kind \[\] is not one of"),
        ({"t": 5.0}, "no integer time"),
        ({"t": True}, "no integer time"),
        ({"body": []}, "body is not an object"),
    ],
)
def test_a_field_that_does_not_fit(change: dict[str, Any], says: str) -> None:
    with pytest.raises(RecordError, match=says):
        decode_state(json.dumps(WHOLE | change).encode())


@pytest.mark.parametrize("name", ["kind", "t", "by", "id", "body"])
def test_a_field_that_is_missing(name: str) -> None:
    rest = {key: value for key, value in WHOLE.items() if key != name}
    with pytest.raises(RecordError, match=f"incomplete: '{name}' is missing"):
        decode_state(json.dumps(rest).encode())

"""Conditions where anything may stand."""

from typing import Any

import pytest

from tests.cases.rig import Rig

READY = {"type": "Ready", "status": "True", "reason": None, "message": None}


@pytest.mark.parametrize("resource", ["nodepools", "nodeclaims", "apiservices", "nodes", "pods"])
@pytest.mark.parametrize(
    "conditions",
    [None, "x", 3, {}, [None], ["x", READY], [{}], [{"type": None}], [{"type": 3}, READY],
     [{"type": "Ready"}], [{"type": "Available"}],
     [{"type": "Ready", "status": "False", "reason": 3, "message": ["x"]}]],
    ids=str,
)  # fmt: skip
def test_what_is_no_condition_is_left_out(resource: str, conditions: Any) -> None:
    rig = Rig()
    for status in ({"conditions": conditions}, {"conditions": [READY]}):
        rig.object(1, resource, {"metadata": {"name": "a", "namespace": "b"}, "status": status})
        rig.tick(5)

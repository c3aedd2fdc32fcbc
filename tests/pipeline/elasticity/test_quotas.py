"""Room under ResourceQuotas, from their recorded versions."""

from typing import Any

import pytest

from pipeline.elasticity.quotas import Quotas, need_of

POD: dict[str, Any] = {"spec": {"containers": [
    {"resources": {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"cpu": "1"}}},
    {"resources": {"requests": {"cpu": "200m"}}},
]}}  # fmt: skip
NEED = need_of(POD)


def quota(hard: dict[str, str], used: dict[str, str], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "team"}, "spec": {"hard": hard, **spec},
            "status": {"hard": hard, "used": used}}  # fmt: skip


def room(hard: dict[str, str], used: dict[str, str], **spec: Any) -> int | None:
    quotas = Quotas()
    quotas.see(1.0, False, quota(hard, used, **spec))
    return quotas.room(5.0, NEED)


def test_what_a_pod_needs() -> None:
    assert NEED == {"pods": 1, "requests.cpu": 0.3, "requests.memory": 2**30, "limits.cpu": 1,
                    "limits.memory": 0}  # fmt: skip


@pytest.mark.parametrize(
    ("hard", "used", "pods"),
    [
        ({"pods": "10"}, {"pods": "3"}, 7),
        ({"count/pods": "3"}, {"count/pods": "3"}, 0),
        ({"requests.cpu": "1"}, {"requests.cpu": "100m"}, 3),
        ({"cpu": "1"}, {"cpu": "500m"}, 1),
        ({"memory": "4Gi", "pods": "9"}, {"memory": "1Gi", "pods": "0"}, 3),
        ({"limits.cpu": "2"}, {"limits.cpu": "3"}, 0),
        ({"limits.memory": "1Gi"}, {"limits.memory": "1Gi"}, None),
        ({"services": "1"}, {"services": "1"}, None),
        ({"pods": "10"}, {}, None),
    ],
)
def test_room(hard: dict[str, str], used: dict[str, str], pods: int | None) -> None:
    assert room(hard, used) == pods


def test_scopes_are_left_out_and_named() -> None:
    hard, used = {"pods": "1"}, {"pods": "1"}
    assert room(hard, used, scopes=["BestEffort"]) is None
    quotas = Quotas()
    quotas.see(1.0, False, quota(hard, used, scopeSelector={"matchExpressions": []}))
    quotas.see(2.0, False, quota(hard, used, scopeSelector={"matchExpressions": [{}]}))
    assert (quotas.names(scoped=True), quotas.names(scoped=False)) == (["team"], [])


def test_each_moment_has_its_version() -> None:
    quotas = Quotas()
    quotas.see(1.0, False, quota({"pods": "3"}, {"pods": "3"}))
    quotas.see(2.0, False, quota({"pods": "5"}, {"pods": "3"}))
    quotas.see(3.0, True, quota({"pods": "5"}, {"pods": "3"}))
    assert [quotas.room(t, NEED) for t in (0.5, 1.0, 2.5, 3.0)] == [None, 0, 2, None]

"""Segments of a pod's way: exact numbers, unknown where an end is missing, nothing twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.contract.tables import SCALE_SEGMENTS, SCALE_TIMES
from pipeline.elasticity.scaling.moment import Moment
from pipeline.elasticity.scaling.timeline import (
    READY,
    Timeline,
    longest,
    parts_of,
    segments_of,
)

T = 1_795_412_000_000


def steps(**seconds: float) -> dict[str, Moment]:
    return {name: Moment(T + round(s * 1000), 1, 0, name) for name, s in seconds.items()}


def test_a_pod_on_a_node_that_was_there() -> None:
    found = segments_of(
        steps(decided=0, created=0.5, scheduled=0.6, sandbox=2.6, initialized=12.6, started=13.6,
              ready=33.6), True,
    )  # fmt: skip
    assert found == {
        "decision": 500, "queue": 100, "provision": None, "bringup": None, "scheduling": None,
        "sandbox": 2_000, "init": 10_000, "pull": 1_000, "ready": 20_000,
    }  # fmt: skip


def test_a_pod_that_waited_for_a_node() -> None:
    told = steps(decided=0, created=1, autoscaler=3, node_created=18, node_ready=24, scheduled=26,
                 sandbox=27, initialized=27, started=28, ready=29)  # fmt: skip
    found = segments_of(told, False)
    assert (found["queue"], found["provision"], found["bringup"], found["scheduling"]) == (
        25_000, 15_000, 6_000, 2_000
    )  # fmt: skip
    parts = parts_of(told, segments_of(told, False))
    assert parts["queue"] == 2_000, "until the autoscaler reacted"
    assert longest(parts) == "provision"
    assert sum(parts.values()) == 29_000, "no part is counted twice"


def test_a_pod_that_is_bound_before_its_node_is_ready() -> None:
    told = steps(created=0, autoscaler=1, node_created=16, scheduled=17, node_ready=23)
    assert segments_of(told, None)["scheduling"] == -6_000, "it is negative, and said so"
    assert parts_of(told, segments_of(told, None)) == {
        "queue": 1_000, "provision": 15_000, "bringup": 1_000, "scheduling": 0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("told", "inits", "segment"),
    [
        ({"created": 0}, None, "queue"),
        ({"created": 0, "initialized": 0}, False, "queue"),
        ({"created": 0, "autoscaler": 1}, None, "provision"),
        ({"created": 0, "autoscaler": 1, "node_created": 9}, None, "bringup"),
        ({"created": 0, "node_created": 9, "node_ready": 12}, None, "scheduling"),
        ({"created": 0, "scheduled": 1}, True, "sandbox"),
        ({"created": 0, "scheduled": 1, "initialized": 1}, False, "sandbox"),
        ({"created": 0, "scheduled": 1, "sandbox": 2}, True, "init"),
        ({"created": 0, "scheduled": 1, "sandbox": 2}, False, "pull"),
        ({"created": 0, "scheduled": 1, "initialized": 9}, True, "pull"),
        ({"created": 0, "scheduled": 1, "started": 3}, None, "ready"),
    ],
)
def test_where_a_pod_is(told: dict[str, float], inits: bool | None, segment: str) -> None:
    pod = Timeline("u", "shop", "web-0", T, steps=steps(**told), inits=inits)
    assert pod.waits_in == segment
    pod.status = READY
    assert pod.waits_in is None


def test_a_node_of_which_only_the_creation_is_known() -> None:
    told = steps(created=0, node_created=16, scheduled=20)
    assert parts_of(told, segments_of(told, None)) == {"queue": 16_000, "bringup": 4_000}


def test_missing_is_unknown_and_never_zero() -> None:
    assert set(segments_of({}, None).values()) == {None}
    assert longest(parts_of({}, segments_of({}, None))) is None
    pod = Timeline("u", "shop", "web-0", T, steps=steps(created=1))
    only = pod.document(pod.measured(None))
    assert only["total_ms"] is None
    assert only["ready_at"] is None
    assert only["times"]["decided"] is None


def test_blur_is_not_a_negative_time() -> None:
    told = {"created": Moment(T + 900, 900, 0, "x"), "scheduled": Moment(T + 400, 1, 0, "y")}
    assert segments_of(told, None)["queue"] == 0
    far = {"created": Moment(T + 9_000, 900, 0, "x"), "scheduled": Moment(T + 400, 1, 0, "y")}
    assert segments_of(far, None)["queue"] == -8_600


def test_without_init_containers_initialized_says_nothing() -> None:
    told = steps(scheduled=0, initialized=0.1, sandbox=2, started=5)
    assert segments_of(told, False)["init"] == 0
    assert segments_of(told, False)["pull"] == 3_000


def test_a_sandbox_was_there_before_an_image_was_pulled_for_it() -> None:
    pod = Timeline("u", "shop", "web-0", T, steps=steps(scheduled=0, sandbox=4, started=5))
    pod.work = Moment(T + 1_000, 1, 9, "Event Pulling")
    assert pod.told(None)["sandbox"].t == T + 1_000


def test_a_decision_is_not_later_than_its_pod() -> None:
    pod = Timeline("u", "shop", "web-0", T, steps=steps(created=1, ready=3), status=READY)
    document = pod.document(pod.measured(Moment(T + 1_400, 1_000, 9, "spec.replicas")))
    assert document["times"]["decided"]["t"] == T + 1_000
    assert document["segments"]["decision"] == 0
    assert document["total_ms"] == 2_000


@given(
    st.dictionaries(st.sampled_from(SCALE_TIMES), st.floats(0, 100)),
    st.sampled_from([True, False, None]),
)
def test_parts_are_not_negative_and_lie_within_the_whole(
    seconds: dict[str, float], inits: bool | None
) -> None:
    told = steps(**seconds)
    parts = parts_of(told, segments_of(told, inits))
    assert all(ms >= 0 for ms in parts.values())
    assert set(segments_of(told, inits)) == set(SCALE_SEGMENTS)
    if {"created", "scheduled", "node_created"} <= told.keys():
        waited = sum(parts.get(n, 0) for n in ("queue", "provision", "bringup", "scheduling"))
        assert waited in (0, told["scheduled"].t - told["created"].t)

"""What bounds a time, and how two observations of one thing go together."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.elasticity.scaling.moment import (
    WATCH_LAG_MS,
    Moment,
    not_after,
    observed,
    reported,
    tightened,
)

T = 1_795_412_000_000  # a whole second


def test_a_stamp_of_a_whole_second_and_a_record_soon_after() -> None:
    moment = observed(T, T + 300, 7, "x")
    assert (moment.earliest, moment.t) == (T, T + 300)


def test_a_record_that_came_late_says_nothing_beyond_the_second() -> None:
    moment = observed(T, T + 11_000, 7, "x")
    assert (moment.earliest, moment.t) == (T, T + 999)


def test_a_condition_is_in_force_when_the_api_server_has_it() -> None:
    moment = reported(T, T + 6_000, 7, "x")
    assert (moment.earliest, moment.t) == (T, T + 6_000)


def test_an_exact_stamp() -> None:
    moment = observed(T + 123, T + 900, 7, "x")
    assert (moment.t, moment.uncertainty_ms) == (T + 123, 1)


def test_without_a_stamp_only_the_record_is_there() -> None:
    moment = observed(0, T, 7, "x")
    assert (moment.t, moment.uncertainty_ms, moment.stamped) == (T, WATCH_LAG_MS, False)


def test_a_clock_that_is_ahead_is_not_believed_and_said() -> None:
    moment = observed(T + 5_000, T, 7, "x")
    assert (moment.t, moment.ahead_ms) == (T, 5_000)
    assert moment.document()["ahead_ms"] == 5_000
    assert "ahead_ms" not in observed(T, T, 7, "x").document()


def test_what_must_have_been_earlier() -> None:
    late, effect = observed(T + 3_000, T + 3_500, 7, "x"), observed(T + 1_000, T + 1_200, 8, "y")
    moment = not_after(late, effect)
    assert (moment.t, moment.earliest, moment.offset) == (T + 1_200, T + 1_000, 7)
    assert not_after(effect, late) is effect


def test_observations_that_fit_no_one_time() -> None:
    first, other = observed(T, T + 100, 1, "x"), observed(T + 5_000, T + 5_100, 2, "y")
    assert tightened(first, other) is first
    assert tightened(observed(0, T, 1, "x"), other) is other, "only the other has a stamp"
    assert tightened(None, other) is other


moments = st.builds(
    Moment, st.integers(T, T + 5_000), st.integers(1, 3_000), st.integers(0, 9), st.just("x")
)


@given(moments, moments)
def test_together_they_are_never_vaguer(one: Moment, two: Moment) -> None:
    both = tightened(one, two)
    assert both.uncertainty_ms <= max(one.uncertainty_ms, two.uncertainty_ms)
    assert one.earliest <= both.t <= one.t or two.earliest <= both.t <= two.t

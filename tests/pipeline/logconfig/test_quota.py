"""Quotas of namespaces: which counts, who borrows how much."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.logconfig.complaints import BadSettings
from pipeline.logconfig.objects import read_object
from pipeline.logconfig.quota import fair, quotas_of
from pipeline.logconfig.reading import read_spec
from pipeline.logconfig.spec import Quota


def quota(rate: int, *, borrow: bool = True) -> Quota:
    return Quota(bytes_per_second=rate, borrow=borrow)


@pytest.mark.parametrize(
    ("demand", "quotas", "expected"),
    [
        ({"a": 50}, {"a": quota(100)}, {"a": 50}),
        ({"a": 500}, {"a": quota(100)}, {"a": 100}),
        ({"a": 500, "b": 20}, {"a": quota(100), "b": quota(100)}, {"a": 180, "b": 20}),
        ({"a": 500, "b": 20}, {"a": quota(100, borrow=False), "b": quota(100)},
         {"a": 100, "b": 20}),
        ({"a": 500, "c": 500}, {"a": quota(100), "b": quota(90), "c": quota(200)},
         {"a": 130, "b": 0, "c": 260}),
        ({"a": 110, "c": 500}, {"a": quota(100), "b": quota(90), "c": quota(200)},
         {"a": 110, "b": 0, "c": 280}),
        ({"other": 500}, {"a": quota(100)}, {"a": 0}),
    ],
)  # fmt: skip
def test_who_may_store_how_much(
    demand: dict[str, float], quotas: dict[str, Quota], expected: dict[str, float]
) -> None:
    assert fair(demand, quotas) == pytest.approx(expected)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1e9)),
    st.dictionaries(
        st.sampled_from("abcdef"), st.builds(quota, st.integers(1, 10**9), borrow=st.booleans())
    ),
)
def test_nobody_gets_less_than_its_quota_or_more_than_it_wants(
    demand: dict[str, float], quotas: dict[str, Quota]
) -> None:
    given_ = fair(demand, quotas)
    total = sum(one.bytes_per_second for one in quotas.values())
    assert sum(given_.values()) <= total * (1 + 1e-9) + 1
    for name, one in quotas.items():
        wanted = demand.get(name, 0.0)
        assert min(wanted, one.bytes_per_second) - 1e-6 <= given_[name] <= wanted * (1 + 1e-9) + 1
        unused = total - sum(given_.values()) > 2
        assert not (one.borrow and unused and given_[name] < wanted - 2)


def test_the_smallest_counts_and_names_are_known_before_they_write() -> None:
    def made(name: str, spec: dict[str, object]) -> object:
        return read_object({"kind": "ClusterLogConfig", "metadata": {"name": name}, "spec": spec})

    objects = [
        made("all", {"quota": {"bytesPerSecond": 1000}}),
        made("shops", {"selector": {"namespaces": ["shop*"]}, "quota": {"bytesPerSecond": 10}}),
        made("idle", {"selector": {"namespaces": ["idle"]}, "quota": {"bytesPerSecond": 2000}}),
        made("other", {"parse": {"format": "json"}}),
    ]
    found = quotas_of(objects, ["shop-1", "bank"])  # type: ignore[arg-type]
    rates = {name: one.bytes_per_second for name, one in found.items()}
    assert rates == {"shop-1": 10, "bank": 1000, "idle": 1000}


@pytest.mark.parametrize(
    ("spec", "cluster", "says"),
    [
        ({"quota": {"bytesPerSecond": 1}}, False, "ClusterLogConfig"),
        ({"quota": {"bytesPerSecond": 1}, "selector": {"pods": ["a"]}}, True, "whole namespaces"),
        ({"quota": {"bytesPerSecond": 0}}, True, "greater than"),
    ],
)
def test_what_is_no_quota_is_refused(spec: dict[str, object], cluster: bool, says: str) -> None:
    with pytest.raises(BadSettings, match=says):
        read_spec(spec, cluster=cluster)

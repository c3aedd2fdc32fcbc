"""Names below a log root."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.logs.layout import (
    FileName,
    Kind,
    PodName,
    is_temporary,
    lives,
    log_file,
    pod_directory,
    sibling,
)


@pytest.mark.parametrize(
    ("name", "pod"),
    [
        ("shop_web-1_uid-1", PodName("shop", "web-1", "uid-1")),
        (
            "kube-system_etcd-n1_0123456789abcdef0123456789abcdef",
            PodName("kube-system", "etcd-n1", "0123456789abcdef0123456789abcdef"),
        ),
        (
            "0a1b2c3d-0000-4000-8000-000000000001",
            PodName("", "", "0a1b2c3d-0000-4000-8000-000000000001"),
        ),
        ("lost+found", None),
        ("a_b", None),
        ("a_b_c_d", None),
        ("__", None),
    ],
)
def test_pod_directories(name: str, pod: PodName | None) -> None:
    assert pod_directory(name) == pod


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("0.log", (0, Kind.LIVE, "0.log")),
        ("12.log.20261123-055811", (12, Kind.ROTATED, "12.log.20261123-055811")),
        ("0.log.20261123-055811.gz", (0, Kind.ARCHIVED, "0.log.20261123-055811")),
        ("0.log.20261123-055811.tmp", None),
        ("0.log.gz", None),
        ("main_0.log", None),
        ("app.log", None),
        ("0.logs", None),
        ("-1.log", None),
    ],
)
def test_container_files(name: str, found: tuple[int, Kind, str] | None) -> None:
    name_found = log_file(name)
    assert (name_found and (name_found.restart, name_found.kind, name_found.base)) == found


def test_flat_files_name_their_container() -> None:
    assert log_file("main_3.log", flat=True) == FileName("main", 3, Kind.LIVE, "main_3.log", "~")
    assert log_file("0.log", flat=True) is None


def test_generations_sort_oldest_first() -> None:
    names = ["0.log", "0.log.20261123-055504.gz", "0.log.20261123-055850", "0.log.20261122-235959"]
    orders = sorted((n.order, n.base) for n in map(log_file, names) if n)
    assert [base for _, base in orders] == [
        "0.log.20261122-235959", "0.log.20261123-055504", "0.log.20261123-055850", "0.log",
    ]  # fmt: skip


def test_siblings_sort_oldest_first_numbered_or_dated() -> None:
    numbered = ["x.log", "x.log.1", "x.log.10.gz", "x.log.2.gz"]
    found = sorted((n for n in (sibling(x, "x.log") for x in numbered) if n), key=lambda n: n.order)
    assert [n.base for n in found] == ["x.log.10", "x.log.2", "x.log.1", "x.log"]
    assert sibling("messages-20261123.gz", "messages") == FileName(
        "", 0, Kind.ARCHIVED, "messages-20261123", "20261123"
    )
    assert sibling("messages.old", "messages") is None
    assert sibling("message", "messages") is None


@given(
    live=st.text(st.sampled_from("a.-1²g z\n"), max_size=6),
    rest=st.text(st.sampled_from(".-12x²\ngz"), max_size=7),
    end=st.sampled_from(("", ".gz")),
)
def test_live_names_are_those_that_siblings_have(live: str, rest: str, end: str) -> None:
    name = live + rest + end
    found = {name[:at] for at in range(len(name)) if sibling(name, name[:at])}
    assert sorted(lives(name)) == sorted(found)


def test_half_made_archives_are_passing_by() -> None:
    assert is_temporary("0.log.20261123-055811.tmp")
    assert not is_temporary("0.log")

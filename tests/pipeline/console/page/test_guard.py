"""Who may ask the page."""

import pytest

from pipeline.console.page.guard import is_foreign, is_ours, refuses

HERE = ("127.0.0.1", 7300)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:7300", "localhost:7300", "LOCALHOST:7300", "[::1]:7300", "127.1.2.3:7300"]
)
def test_names_of_loopback_are_ours(host: str) -> None:
    assert is_ours(host, HERE)


@pytest.mark.parametrize(
    "host", [None, "", "evil.example:7300", "127.0.0.1", "127.0.0.1:80", "localhost.evil:7300",
             "127.0.0.1.evil.example:7300", "10.0.0.1:7300"]
)  # fmt: skip
def test_other_names_are_not(host: str | None) -> None:
    assert not is_ours(host, HERE)


def test_other_pages_are_foreign() -> None:
    assert not any(is_foreign(site) for site in (None, "none", "same-origin"))
    assert all(is_foreign(site) for site in ("same-site", "cross-site"))


def test_it_is_served_on_loopback_only() -> None:
    assert refuses("127.0.0.1") is None
    assert refuses("localhost") is None
    assert "no login" in (refuses("0.0.0.0") or "")  # noqa: S104
    assert "no login" in (refuses("node.example") or "")

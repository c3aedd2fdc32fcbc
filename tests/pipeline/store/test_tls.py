"""The client towards a store with TLS: verified, and what is wrong is said."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.base.errors import Unavailable
from pipeline.store.clickhouse import open_store
from tests.pipeline.store.running import Running, changed
from tests.real.authority import Authority
from tests.real.tls_proxy import tls_proxy


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def port(running: Running, authority: Authority) -> Iterator[int]:
    certificate, key = authority.issue("clickhouse", "127.0.0.1")
    with tls_proxy((running.config.host, running.config.port), certificate, key) as found:
        yield found


def ask(running: Running, **settings: Any) -> list[tuple[Any, ...]]:
    store = open_store(changed(running.config, **settings))
    try:
        return list(store.query("SELECT count() FROM numbers(100000)").rows)
    finally:
        store.close()


def test_tls_is_used(running: Running, authority: Authority, port: int) -> None:
    assert ask(running, port=port, secure=True, ca_file=authority.ca) == [(100_000,)]


def test_a_stranger_is_refused(running: Running, port: int, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        ask(running, port=port, secure=True, ca_file=stranger.ca)


def test_another_name_is_refused(running: Running, authority: Authority) -> None:
    certificate, key = authority.issue("elsewhere", "clickhouse.example")
    with (
        tls_proxy((running.config.host, running.config.port), certificate, key) as port,
        pytest.raises(Unavailable, match=r"not valid for '127\.0\.0\.1'"),
    ):
        ask(running, port=port, secure=True, ca_file=authority.ca)


def test_tls_on_one_side_alone_is_said(running: Running, authority: Authority, port: int) -> None:
    with pytest.raises(Unavailable, match="WRONG_VERSION_NUMBER"):
        ask(running, secure=True, ca_file=authority.ca)
    with pytest.raises(Unavailable, match="does not answer"):
        ask(running, port=port)

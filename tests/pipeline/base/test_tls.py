"""Contexts of clients, under the defaults of Python 3.13 (tests/conftest.py), against a server
whose CA has no key identifier and no key usage, as CAs of clusters have it."""

import socket
import ssl
import threading
from pathlib import Path

import pytest

from alerts.receivers.port import Http
from collectors.cluster.api import ApiServer, connector
from collectors.kubelet.client import KubeletClient
from collectors.kubelet.config import KubeletConfig
from dashboards.push import Grafana, PushError
from pipeline.base import tls
from pipeline.base.clock import SystemClock
from pipeline.base.errors import Unavailable
from tests.collectors.cluster.fake_api import FakeApi
from tests.collectors.cluster.fake_store import FakeStore
from tests.collectors.cluster.watcher_rig import PODS
from tests.collectors.kubelet.server import KubeletServer
from tests.real.authority import Authority

HOST = "kubelet.test"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def shake(client: ssl.SSLContext, authority: Authority, name: str = HOST) -> None:
    """Raises what the client says of the server's certificate."""
    server = tls.server_tls(*authority.issue(HOST))
    near, far = socket.socketpair()

    def serve() -> None:
        with far:
            try:
                server.wrap_socket(far, server_side=True).close()
            except OSError:  # the client would not have it
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with near, client.wrap_socket(near, server_hostname=name):
            pass
    finally:
        near.close()
        thread.join()


def test_the_lean_ca_is_refused_by_the_default(authority: Authority) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(?i)key"):
        shake(ssl.create_default_context(cafile=authority.ca), authority)


def test_it_is_enough_here(authority: Authority) -> None:
    shake(tls.client_tls(authority.ca), authority)


def test_name_and_chain_are_verified_all_the_same(authority: Authority, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
        shake(tls.client_tls(authority.ca), authority, "other.test")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(tls.client_tls(Authority(tmp_path / "other").ca), authority)


def test_the_api_server_is_spoken_to(authority: Authority, tmp_path: Path) -> None:
    with FakeApi(FakeStore(), certificate=authority.issue("127.0.0.1")) as api:
        file = api.kubeconfig(tmp_path, ca=authority.ca)
        server = ApiServer(connector(file, "", connections=2), SystemClock())
        assert server.call("GET", PODS, deadline_s=60).status == 200


def test_the_kubelet_is_spoken_to(authority: Authority, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret")
    with KubeletServer(*authority.issue("127.0.0.1")) as kubelet:
        config = KubeletConfig(url=kubelet.url, token_file=token, ca_file=authority.ca)
        KubeletClient(config, SystemClock()).wanted("/healthz", deadline_s=60)
        assert kubelet.requests == [("/healthz", "Bearer s3cret")]


def test_a_receiver_is_spoken_to(authority: Authority) -> None:
    """What answers is no receiver; that it answers is all that is asked here."""
    with (
        KubeletServer(*authority.issue("127.0.0.1")) as web,
        pytest.raises(Unavailable, match="answered 501"),
    ):
        Http(ca_file=authority.ca, timeout_s=60.0).post(f"{web.url}/hook", {})


def test_grafana_is_spoken_to(authority: Authority, tmp_path: Path) -> None:
    with KubeletServer(*authority.issue("127.0.0.1"), body=b"{}") as web:
        Grafana(web.url, "s3cret", tls=tls.client_tls(authority.ca)).get("/folders/a")
        assert web.requests == [("/api/folders/a", "Bearer s3cret")]
        for ca in (Authority(tmp_path / "other").ca, None):
            with pytest.raises(PushError, match="cannot be verified; give its CA"):
                Grafana(web.url, "s3cret", tls=tls.client_tls(ca)).get("/folders/a")
        assert len(web.requests) == 1


def test_every_client_takes_its_context_from_here() -> None:
    """The doors of bus and mail too."""
    root = Path(tls.__file__).parents[2]
    makers = {
        str(path.relative_to(root))
        for folder in ("alerts", "collectors", "dashboards", "pipeline")
        for path in (root / folder).rglob("*.py")
        if "create_default_context(" in path.read_text("utf-8")
    }
    assert makers == {"pipeline/base/tls.py"}

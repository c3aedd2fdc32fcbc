"""The kubelet's client against a real HTTPS server."""

import threading
from pathlib import Path

import pytest

from collectors.pods.config import PodsConfig
from collectors.pods.kubelet import Kubelet, KubeletFailure
from pipeline.base.clock import ManualClock, SystemClock
from tests.collectors.pods.kubelet_server import KubeletServer, make_certificates

PODS = Path(__file__).parents[2] / "recordings" / "healthy" / "pods.json"


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("first\n")
    return path


@pytest.fixture
def config(server: KubeletServer, certificates: tuple[Path, Path], token: Path) -> PodsConfig:
    return PodsConfig(
        kubelet_url=server.url, token_file=token, ca_file=certificates[0], timeout_s=5
    )


def reason(config: PodsConfig) -> tuple[str, str]:
    with pytest.raises(KubeletFailure) as caught:
        Kubelet(config, SystemClock()).fetch()
    return caught.value.reason, str(caught.value)


def test_pods_with_the_token_of_the_moment(
    server: KubeletServer, config: PodsConfig, token: Path
) -> None:
    server.body = PODS.read_bytes()
    kubelet = Kubelet(config, SystemClock())
    assert kubelet.fetch() == PODS.read_text("utf-8")
    token.write_text("rotated")
    kubelet.fetch()
    assert server.requests == [("/pods", "Bearer first"), ("/pods", "Bearer rotated")]


def test_unauthorized_names_the_token_and_the_webhook(
    server: KubeletServer, config: PodsConfig
) -> None:
    server.status, server.body = 401, b"Unauthorized"
    short, text = reason(config)
    assert short == "unauthorized"
    assert str(config.token_file) in text
    assert "authentication.webhook" in text
    assert "first" not in text


@pytest.mark.parametrize(
    "body",
    [
        b"Forbidden (user=system:serviceaccount:k:c, verb=get, resource=nodes, subresource=proxy)",
        b"Forbidden (user=x, verb=get, resource=nodes, subresource(s)=[pods proxy])",
    ],
)
def test_forbidden_names_the_missing_rule(
    server: KubeletServer, config: PodsConfig, body: bytes
) -> None:
    server.status, server.body = 403, body
    short, text = reason(config)
    assert short == "forbidden"
    assert "`get` on `nodes/pods`" in text
    assert "`nodes/proxy`" in text
    assert body.decode() in text


def test_server_error_and_redirect_are_named_not_followed(
    server: KubeletServer, config: PodsConfig
) -> None:
    server.status, server.body = 500, b"runtime is\n down"
    assert reason(config) == ("status", "/pods answered 500: runtime is down")
    server.status = 302
    assert reason(config)[0] == "status"
    assert len(server.requests) == 2


def test_a_certificate_of_another_authority_gets_no_token(
    server: KubeletServer, config: PodsConfig, tmp_path: Path
) -> None:
    stranger, _ = make_certificates(tmp_path)
    short, text = reason(config.model_copy(update={"ca_file": stranger}))
    assert short == "certificate"
    assert "pods.ca_file" in text
    assert server.requests == []


def test_a_certificate_for_another_name(server: KubeletServer, config: PodsConfig) -> None:
    wrong = config.model_copy(update={"server_name": "node-b"})
    assert reason(wrong)[0] == "certificate"
    assert server.requests == []
    right = config.model_copy(update={"server_name": "node-a"})
    assert Kubelet(right, SystemClock()).fetch()


def test_unverified_only_when_asked_for(server: KubeletServer, config: PodsConfig) -> None:
    blind = config.model_copy(update={"ca_file": None})
    assert reason(blind)[0] == "certificate"
    assert Kubelet(blind.model_copy(update={"insecure_skip_verify": True}), SystemClock()).fetch()


def test_a_silent_kubelet_times_out(server: KubeletServer, config: PodsConfig) -> None:
    released = threading.Event()
    server.between = lambda: released.wait(10)
    short, text = reason(config.model_copy(update={"timeout_s": 0.05}))
    released.set()
    assert short == "timeout"
    assert server.url in text


def test_a_trickling_answer_times_out_in_all(server: KubeletServer, config: PodsConfig) -> None:
    clock = ManualClock()
    server.body = [b"x"] * 50
    server.between = lambda: clock.advance(1.0)  # each piece comes in time, the whole does not
    with pytest.raises(KubeletFailure) as caught:
        Kubelet(config, clock).fetch()
    assert caught.value.reason == "timeout"


def test_a_huge_answer_is_refused(server: KubeletServer, config: PodsConfig) -> None:
    server.body = [b"x" * 65536] * 4
    short, text = reason(config.model_copy(update={"max_body_bytes": 100_000}))
    assert short == "too-large"
    assert "pods.max_body_bytes" in text


def test_a_cut_answer_and_bytes_that_are_no_text(server: KubeletServer, config: PodsConfig) -> None:
    server.body = b"\xff\xfe"
    assert reason(config)[0] == "not-json"


def test_nobody_listens(config: PodsConfig, server: KubeletServer) -> None:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{free.getsockname()[1]}"
        short, text = reason(config.model_copy(update={"kubelet_url": url}))
    assert short == "unreachable"
    assert url in text


def test_a_missing_token_and_a_missing_ca(config: PodsConfig, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    assert reason(config.model_copy(update={"token_file": absent}))[0] == "token"
    assert reason(config.model_copy(update={"ca_file": absent}))[0] == "ca-file"
    (tmp_path / "garbage").write_text("no certificate")
    assert reason(config.model_copy(update={"ca_file": tmp_path / "garbage"}))[0] == "ca-file"


@pytest.mark.parametrize("url", ["http://127.0.0.1:10250", "127.0.0.1", "https://u:p@h:10250"])
def test_configuration_refuses_what_would_leak_the_token(url: str) -> None:
    with pytest.raises(ValueError, match="must"):
        PodsConfig(kubelet_url=url)

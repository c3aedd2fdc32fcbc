"""The kubelet's client against a real HTTPS server: every outcome, named."""

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from collectors.kubelet.client import KubeletClient, KubeletFailure, open_kubelet
from collectors.kubelet.config import KubeletConfig
from collectors.pods.config import PodsConfig
from collectors.pods.kubelet import PodList
from pipeline.base.clock import ManualClock, SystemClock
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.contract import state
from tests.collectors.kubelet.server import KubeletServer, Route, make_certificates

PODS = Path(__file__).parents[2] / "recordings" / "healthy" / "pods.json"


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("first\n")
    return path


@pytest.fixture
def config(server: KubeletServer, certificates: tuple[Path, Path], token: Path) -> KubeletConfig:
    return KubeletConfig(url=server.url, token_file=token, ca_file=certificates[0])


def failure(
    config: KubeletConfig, path: str = "/metrics", deadline_s: float = 60, **changes: Any
) -> KubeletFailure:
    client = KubeletClient(config.model_copy(update=changes), SystemClock())
    with pytest.raises(KubeletFailure) as caught:
        client.wanted(path, deadline_s=deadline_s)
    return caught.value


def test_pods_with_the_token_of_the_moment(
    server: KubeletServer, config: KubeletConfig, token: Path
) -> None:
    server.body = PODS.read_bytes()
    pods = PodList(KubeletClient(config, SystemClock()), PodsConfig())
    assert pods.fetch() == PODS.read_text("utf-8")
    token.write_text("rotated")
    pods.fetch()
    assert server.requests == [("/pods", "Bearer first"), ("/pods", "Bearer rotated")]
    server.body = b"\xff\xfe"
    with pytest.raises(KubeletFailure, match="not UTF-8"):
        pods.fetch()


def test_unauthorized_names_the_token_and_the_webhook(
    server: KubeletServer, config: KubeletConfig
) -> None:
    server.status, server.body = 401, b"Unauthorized"
    found = failure(config)
    assert (found.reason, found.outcome) == ("unauthorized", state.FORBIDDEN)
    assert str(config.token_file) in str(found)
    assert "authentication.webhook" in str(found)
    assert "first" not in str(found)


def test_server_error_and_redirect_are_named_not_followed(
    server: KubeletServer, config: KubeletConfig
) -> None:
    server.status, server.body = 500, b"runtime is\n down"
    found = failure(config)
    assert (found.reason, found.outcome) == ("status", state.STATUS)
    assert str(found) == "/metrics answered 500: runtime is down"
    server.status = 302
    assert failure(config).reason == "status"
    assert len(server.requests) == 2


def test_a_certificate_of_another_authority_gets_no_token(
    server: KubeletServer, config: KubeletConfig, tmp_path: Path
) -> None:
    stranger, _ = make_certificates(tmp_path)
    found = failure(config, ca_file=stranger)
    assert (found.reason, found.outcome) == ("certificate", state.CERTIFICATE)
    assert "kubelet.ca_file" in str(found)
    assert server.requests == []


def test_a_certificate_for_another_name(server: KubeletServer, config: KubeletConfig) -> None:
    assert failure(config, server_name="node-b").outcome == state.CERTIFICATE
    assert server.requests == []
    right = config.model_copy(update={"server_name": "node-a"})
    assert KubeletClient(right, SystemClock()).wanted("/pods", deadline_s=60)


def test_a_ca_file_that_is_replaced_is_read_again(
    server: KubeletServer, config: KubeletConfig, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    stranger, _ = make_certificates(tmp_path / "other")
    path = tmp_path / "ca.pem"
    path.write_bytes(stranger.read_bytes())
    client = KubeletClient(config.model_copy(update={"ca_file": path}), SystemClock())
    with pytest.raises(KubeletFailure):
        client.wanted("/pods", deadline_s=60)
    assert config.ca_file is not None
    (tmp_path / "new").write_bytes(config.ca_file.read_bytes())
    (tmp_path / "new").rename(path)
    assert client.wanted("/pods", deadline_s=60)


def test_unverified_only_when_asked_for(server: KubeletServer, config: KubeletConfig) -> None:
    assert failure(config, ca_file=None).reason == "certificate"
    telemetry = RecordingTelemetry()
    blind = config.model_copy(update={"ca_file": None, "insecure_skip_verify": True})
    client = open_kubelet(blind, telemetry=telemetry, clock=SystemClock())
    assert client is not None
    assert client.wanted("/pods", deadline_s=60)
    assert telemetry.names() == ["kubelet-not-verified"]
    assert open_kubelet(KubeletConfig(), telemetry=telemetry, clock=SystemClock()) is None


def test_a_silent_kubelet_times_out(server: KubeletServer, config: KubeletConfig) -> None:
    server.routes["/metrics"] = Route(gate=threading.Event())
    found = failure(config, deadline_s=0.1)
    assert (found.reason, found.outcome) == ("timeout", state.TIMEOUT)
    assert server.url in str(found)


def test_a_port_that_accepts_and_says_nothing_times_out(config: KubeletConfig) -> None:
    """A kubelet that is stopped: the kernel completes the connect, nobody shakes hands."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"https://127.0.0.1:{mute.getsockname()[1]}"
        assert failure(config, url=url, deadline_s=0.1).outcome == state.TIMEOUT


def test_a_trickling_body_times_out_in_all(server: KubeletServer, config: KubeletConfig) -> None:
    clock = ManualClock()
    server.body = [b"x"] * 50
    server.between = lambda: clock.advance(1.0)  # each piece comes in time, the whole does not
    with pytest.raises(KubeletFailure) as caught:
        KubeletClient(config, clock).wanted("/metrics", deadline_s=10)
    assert caught.value.outcome == state.TIMEOUT


def test_headers_that_trickle_time_out_in_all() -> None:
    """Byte by byte, each well within a time-out for single reads."""
    clock = ManualClock()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok":
                    clock.advance(1.0)
                    try:
                        connection.send(bytes([byte]))
                    except OSError:
                        return

        threading.Thread(target=drip, daemon=True).start()
        client = KubeletClient(KubeletConfig(), clock)
        with pytest.raises(KubeletFailure) as caught:
            client.get_plain(f"http://127.0.0.1:{listener.getsockname()[1]}/x", deadline_s=10)
    assert caught.value.outcome == state.TIMEOUT


def test_a_huge_answer_is_refused(server: KubeletServer, config: KubeletConfig) -> None:
    server.body = [b"x" * 65536] * 4
    found = failure(config, max_body_bytes=100_000)
    assert (found.reason, found.outcome) == ("too-large", state.UNREADABLE)
    assert "kubelet.max_body_bytes" in str(found)


def test_an_answer_that_ends_early_is_no_answer(
    server: KubeletServer, config: KubeletConfig
) -> None:
    server.routes["/metrics"] = Route(body=b"kubelet_pleg_last_seen_seconds 1", cut=9)
    found = failure(config)
    assert (found.reason, found.outcome) == ("broken", state.UNREADABLE)
    assert "9 bytes early" in str(found)


def test_clear_text_where_tls_is_spoken_and_the_other_way_round(
    server: KubeletServer, config: KubeletConfig
) -> None:
    with KubeletServer(body=b"ok") as plain:
        url = f"{plain.url}/healthz?verbose"
        client = KubeletClient(config, SystemClock())
        assert client.get_plain(url, deadline_s=60).body == b"ok"
        assert plain.requests == [("/healthz?verbose", "")]  # no token in clear text
        wrong = plain.url.replace("http:", "https:")
        assert failure(config, url=wrong).outcome == state.CERTIFICATE
    with pytest.raises(KubeletFailure) as caught:
        client.get_plain(server.url.replace("https:", "http:") + "/healthz", deadline_s=60)
    assert caught.value.outcome in (state.UNREADABLE, state.UNREACHABLE)


def test_nobody_listens_and_no_such_name(config: KubeletConfig) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{free.getsockname()[1]}"
        found = failure(config, url=url)
    assert (found.reason, found.outcome) == ("refused", state.REFUSED)
    assert url in str(found)
    assert failure(config, url="https://no-such-node.invalid:1").outcome == state.UNREACHABLE


def test_a_missing_token_and_a_missing_ca(config: KubeletConfig, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    assert failure(config, token_file=absent).reason == "token"
    assert failure(config, ca_file=absent).reason == "ca-file"
    (tmp_path / "garbage").write_text("no certificate")
    assert failure(config, ca_file=tmp_path / "garbage").reason == "ca-file"


@pytest.mark.parametrize("url", ["http://127.0.0.1:10250", "127.0.0.1", "https://u:p@h:10250"])
def test_configuration_refuses_what_would_leak_the_token(url: str) -> None:
    with pytest.raises(ValueError, match="must"):
        KubeletConfig(url=url)

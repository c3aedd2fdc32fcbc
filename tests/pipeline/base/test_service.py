"""Telemetry, health and lifecycle of a service."""

import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest

from pipeline.base.clock import ManualClock
from pipeline.base.errors import UsageError
from pipeline.base.health import serve_health
from pipeline.base.lifecycle import Stop
from pipeline.base.ports import free_port
from pipeline.base.telemetry import ServiceTelemetry, fluent_forwarder, service_telemetry
from pipeline.contract import metrics
from tests.journeys.command import wait_for


def get(address: tuple[str, int], path: str) -> tuple[int, str]:
    url = f"http://{address[0]}:{address[1]}{path}"
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_events_are_json_lines_without_secrets() -> None:
    out = io.StringIO()
    telemetry = ServiceTelemetry("collect", stream=out, level="info")
    telemetry.event("kubelet.refused", "warn", status=403, bearer_token="abc", password="x")
    telemetry.event("noise", "debug")
    (line,) = out.getvalue().splitlines()
    event = json.loads(line)
    assert event["event"] == "kubelet.refused"
    assert event["status"] == 403
    assert "abc" not in line
    assert '"x"' not in line


def test_forwarded_events_reach_the_second_sink() -> None:
    sent: list[str] = []
    telemetry = ServiceTelemetry(
        "x", stream=io.StringIO(), forward=lambda name, line: sent.append(name + line["level"])
    )
    telemetry.event("a.b")
    assert sent == ["a.binfo"]


def test_metrics_and_health_over_http() -> None:
    telemetry = ServiceTelemetry("collect", stream=io.StringIO())
    telemetry.count(metrics.GAP_BYTES, 7, reason="deleted")
    telemetry.gauge(metrics.OPEN_FILES, 3)
    wrong: list[str] = []
    with serve_health("127.0.0.1:0", telemetry, lambda: wrong[0] if wrong else None) as address:
        status, text = get(address, "/metrics")
        assert status == 200
        assert 'kubeledger_gap_bytes_total{reason="deleted"} 7.0' in text
        assert "kubeledger_open_files 3.0" in text
        assert get(address, "/healthz") == (200, "ok\n")
        wrong.append("bytes wait, none acknowledged for 61 s")
        assert get(address, "/healthz") == (503, wrong[0] + "\n")
        assert get(address, "/other")[0] == 404


def test_a_probe_that_hangs_up_is_no_news(capsys: pytest.CaptureFixture[str]) -> None:
    asked, answer = threading.Event(), threading.Event()

    def health() -> None:
        asked.set()
        assert answer.wait(60)

    telemetry = ServiceTelemetry("x", stream=io.StringIO())
    others = set(threading.enumerate())  # also those that tests before have left
    with serve_health("127.0.0.1:0", telemetry, health) as address:
        with socket.create_connection(address) as probe:
            probe.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
            assert asked.wait(60)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        answer.set()  # to nobody: the connection was reset
        wait_for(
            lambda: not any("request" in t.name for t in {*threading.enumerate()} - others),
            "the end",
        )
        assert get(address, "/healthz") == (200, "ok\n")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("address", ["9600", "127.0.0.1:", "host:http"])
def test_bad_health_address(address: str) -> None:
    telemetry = ServiceTelemetry("x", stream=io.StringIO())
    with (
        pytest.raises(UsageError, match="HOST:PORT"),
        serve_health(address, telemetry, lambda: None),
    ):
        pass


def test_port_in_use_is_said() -> None:
    telemetry = ServiceTelemetry("x", stream=io.StringIO())
    with serve_health("127.0.0.1:0", telemetry, lambda: None) as (host, port):
        again = serve_health(f"{host}:{port}", telemetry, lambda: None)
        with pytest.raises(UsageError, match="cannot listen"), again:
            pass


@pytest.mark.parametrize(
    "environment", [{"KUBELEDGER_LOG_LEVEL": "loud"}, {"KUBELEDGER_FLUENT": "localhost"}]
)
def test_bad_telemetry_environment(environment: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="is not"):
        service_telemetry("x", environment)


def test_signals_set_the_wish_to_stop_and_old_handlers_return() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Stop().on_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(60)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_between_any_two_steps_of_a_wait_ends_it() -> None:
    """The handler runs on the thread that waits: whatever that one holds, it must not need it."""
    done = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED], timeout=120, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10, "steps at which a signal came"


_INTERRUPTED = """
import sys
from pipeline.base.lifecycle import Stop

def asked_at(place):
    \"""Ask at that step of a wait, as a handler would. False when it has fewer.\"""
    stop, steps = Stop(), 0

    def trace(frame, event, _):
        nonlocal steps
        frame.f_trace_opcodes = True
        if event == "opcode":
            steps += 1
            if steps == place:
                sys.settrace(None)
                stop.set()
        return trace

    sys.settrace(trace)
    stop.wait(0.01)
    sys.settrace(None)
    return steps >= place and stop.wait(60)

place = 1
while asked_at(place):
    place += 1
print(place)
"""


def test_virtual_time_moves_by_hand_and_walls_can_jump() -> None:
    clock = ManualClock(wall_ns=0)
    clock.sleep(2.5)
    clock.jump_wall(-3600)
    assert clock.monotonic() == 1002.5
    assert clock.wall_ns() == int(-3597.5 * 1e9)


def test_metric_names_are_unique_and_well_formed() -> None:
    names = [metric.name for metric in metrics.ALL]
    assert len(set(names)) == len(names)
    for metric in metrics.ALL:
        assert metric.name.startswith("kubeledger_")
        assert (metric.kind == "counter") == metric.name.endswith("_total")
        assert metric.help.endswith(".")


def test_events_reach_a_fluent_forward_endpoint() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        forward = fluent_forwarder("127.0.0.1", server.getsockname()[1], "kubeledger.collect")
        forward("chunk.acked", {"event": "chunk.acked", "bytes": 17})
        server.settimeout(60)
        connection, _ = server.accept()
        with connection:
            connection.settimeout(60)
            received = b""
            while b"chunk.acked" not in received or b"\x11" not in received:
                received += connection.recv(4096)
        forward.close()
    assert b"kubeledger.collect.chunk.acked" in received  # the tag of the Forward protocol


def test_an_absent_fluent_endpoint_stops_nobody() -> None:
    forward = fluent_forwarder("127.0.0.1", free_port(), "kubeledger.collect")
    for number in range(2000):  # more than its queue holds
        forward("noise", {"number": number})
    forward.close()
    assert forward.closed

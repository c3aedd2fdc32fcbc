"""The whole collector, as a service would run it: real clock, a durable bus, a real log tree."""

import gzip
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from collectors import agent
from collectors.config import CollectConfig
from collectors.pods.source import NoPods
from pipeline.base.clock import SystemClock
from pipeline.base.health import serve_health
from pipeline.base.lifecycle import Stop
from pipeline.base.telemetry import ServiceTelemetry
from pipeline.broker.protocol import Broker, TopicPartition
from pipeline.broker.sqlite import SqliteBroker
from pipeline.contract import metrics, topics
from pipeline.contract.record import LogRecord, decode_headers
from tests.collectors.rig import Kubelet, delivered, threads

RECORDED = Path(__file__).parent.parent / "recordings" / "healthy" / "container-logs"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    bus = SqliteBroker(tmp_path / "bus.db")
    admin = bus.admin()
    admin.ensure(topics.topic_specs(4), create=True)
    admin.close()
    yield bus
    bus.close()


@contextmanager
def collecting(config: CollectConfig, broker: Broker) -> Iterator[ServiceTelemetry]:
    stop, telemetry = Stop(), ServiceTelemetry("collect", level="error")
    failed: list[BaseException] = []

    def work() -> None:
        try:
            agent.run(
                config, broker=broker, pods=NoPods(), telemetry=telemetry, stop=stop,
                clock=SystemClock(),
            )  # fmt: skip
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield telemetry
    finally:
        stop.set()
        thread.join(60)
    assert not failed
    assert not thread.is_alive()


def wait_until(condition: Callable[[], bool]) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + 60
    while not condition():
        assert clock.monotonic() < deadline
        clock.sleep(0.02)


def everything(broker: Broker) -> list[tuple[LogRecord, bytes]]:
    reader = broker.reader()
    found = []
    for partition in range(4):
        tp = TopicPartition(topics.LOGS, partition)
        reader.assign([tp])
        while reader.position(tp) < reader.end_offset(tp):
            found += [(decode_headers(r.headers), r.value or b"") for r in reader.poll(1)]
    reader.close()
    return found


def written(root: Path) -> list[bytes]:
    """Every generation below a root, uncompressed; the last line of a live file may be torn."""
    contents = []
    for path in root.rglob("*.log*"):
        data = path.read_bytes()
        contents.append(gzip.decompress(data) if path.suffix == ".gz" else data)
    return sorted(content for content in contents if content)


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded tree is not here")
def test_every_byte_of_a_real_tree_is_on_the_bus_once(tmp_path: Path, broker: Broker) -> None:
    config = CollectConfig(roots=(RECORDED,), state_dir=tmp_path / "state", health="")
    expected = written(RECORDED)
    total = sum(map(len, expected))
    with collecting(config, broker) as telemetry:
        wait_until(lambda: telemetry.value(metrics.ACKED_BYTES) == total)
    files = delivered(everything(broker))
    assert sorted(file.content() for file in files.values()) == expected
    assert sum(len(raw) for file in files.values() for _, raw in file.ranges) == total
    with collecting(config, broker) as telemetry:
        wait_until(lambda: telemetry.value(metrics.OPEN_FILES) > 0)
    again = delivered(everything(broker))
    assert sum(len(raw) for file in again.values() for _, raw in file.ranges) == total


def test_a_line_reaches_the_bus_and_the_endpoints_tell(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "pods"
    root.mkdir()
    bound: list[str] = []

    @contextmanager
    def serving(*args: Any) -> Iterator[tuple[str, int]]:
        with serve_health(*args) as address:
            bound.append("{}:{}".format(*address))
            yield address

    monkeypatch.setattr("pipeline.base.health.serve_health", serving)
    config = CollectConfig(roots=(root,), state_dir=tmp_path / "state", health="127.0.0.1:0")
    before = threads()
    with collecting(config, broker) as telemetry:
        pod = Kubelet(root)
        content = pod.write(100)
        wait_until(lambda: telemetry.value(metrics.ACKED_BYTES) == len(content))
        with urllib.request.urlopen(f"http://{bound[0]}/healthz", timeout=60) as answer:
            assert answer.read() == b"ok\n"
        with urllib.request.urlopen(f"http://{bound[0]}/metrics", timeout=60) as answer:
            text = answer.read().decode()
        assert f"kubeledger_acked_bytes_total {float(len(content))}" in text
    (file,) = delivered(everything(broker)).values()
    assert file.content() == content
    wait_until(lambda: threads() <= before)  # that of the last answer ends by itself

"""What files in volumes need is said at the start; and how wishes come from the bus."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collectors.config import CollectConfig
from collectors.logs.watch import Watch
from collectors.pods.source import NoPods
from collectors.volumes.opening import open_volumes
from pipeline.base.errors import UsageError
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.broker.config import BrokerConfig
from pipeline.broker.door_server import DoorServer
from pipeline.broker.open import open_broker
from pipeline.contract.configs import ConfigVersion, encode_config
from pipeline.contract.topics import CONFIGS, topic_specs
from tests.collectors.cluster.watcher_rig import until
from tests.collectors.volumes.rig import Pods, wished


def test_what_is_missing_is_said() -> None:
    broker: Any = None
    config: Any = CollectConfig.model_construct()
    telemetry = RecordingTelemetry()
    opening = open_volumes(
        config, broker=broker, pods=NoPods(), watch=Watch(telemetry), telemetry=telemetry
    )
    with pytest.raises(UsageError, match=r"kubelet\.url or pods\.files"), opening:
        pass


@pytest.fixture(params=["bus", "door"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """`broker` of a collector beside an embedded bus, or on another node."""
    direct = {"url": f"sqlite:{tmp_path / 'bus.db'}"}
    bus = open_broker(BrokerConfig(**direct))
    bus.admin().ensure(topic_specs(1), create=True)
    if request.param == "bus":
        yield direct
        return
    token = tmp_path / "token"
    token.write_text("t0ken")
    listener, producer = socket.create_server(("127.0.0.1", 0)), bus.producer()
    server = DoorServer(
        listener, producer, reader=bus.reader, tls=None, token_file=token, say=lambda *_: None
    ).start()
    port = listener.getsockname()[1]
    yield {"url": f"kubeledger://127.0.0.1:{port}", "password_file": token}
    server.close()
    producer.close(5)


def test_wishes_come_from_the_bus(way: dict[str, Any]) -> None:
    config = CollectConfig(node="n1", broker=way)
    broker, telemetry = open_broker(config.broker), RecordingTelemetry()
    producer = broker.producer()

    def send(value: bytes) -> None:
        producer.send(CONFIGS, key=b"k", value=value).result(60)

    send(encode_config(wished("/logs/a.log")))
    send(b"no version")
    opening = open_volumes(
        config, broker=broker, pods=Pods(), watch=Watch(telemetry), telemetry=telemetry
    )
    with opening as files:
        feed = files._feed
        until(files._loaded)
        assert [wish.files for wish in feed.wishes()] == [["/logs/a.log"]]
        send(encode_config(wished("/logs/b.log", generation=2)))
        until(lambda: [wish.files for wish in feed.wishes()] == [["/logs/b.log"]])
        send(encode_config(ConfigVersion("c1", 0, 9, deleted=True)))
        send(encode_config(wished("/logs/c.log", generation=3)))  # late
        other = wished("/logs/d.log")
        send(encode_config(replace(other, uid="c2")))
        until(lambda: [wish.files for wish in feed.wishes()] == [["/logs/d.log"]])
    producer.close(5)
    assert "config-bad" in telemetry.names()

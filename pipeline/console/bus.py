"""`kubeledger bus`: the door of an embedded bus, for collectors on other nodes."""

import socket
import ssl
from collections.abc import Mapping
from pathlib import Path

from pipeline.base.address import is_loopback, split_address
from pipeline.base.config import load
from pipeline.base.errors import UsageError
from pipeline.base.health import serve_health
from pipeline.base.lifecycle import Stop
from pipeline.base.telemetry import service_telemetry
from pipeline.base.tls import server_tls
from pipeline.broker.door_config import BusConfig
from pipeline.broker.door_server import DoorServer
from pipeline.broker.open import open_broker
from pipeline.broker.trouble import notices
from pipeline.contract.metrics import DOOR_CONNECTIONS, DOOR_REFUSED

_WATCH_S = 1.0
_CLOSE_S = 5.0


def run_bus(path: Path | None, environment: Mapping[str, str]) -> None:
    """Blocks until SIGTERM or SIGINT."""
    config = load(BusConfig, service="bus", path=path, environment=environment)
    if not config.broker.url.startswith("sqlite:"):
        raise UsageError("broker.url: only an embedded bus (sqlite:PATH) has a door; collectors "
                         "reach Kafka by themselves")  # fmt: skip
    if config.token_file is None:
        raise UsageError("token_file: name a file with the token that collectors must show")
    telemetry = service_telemetry("bus", environment)
    tls = _tls(config)

    def say(what: str, whom: str) -> None:
        telemetry.count(DOOR_REFUSED, why=what)
        telemetry.event(f"door.{what}", "warn", who=whom)

    broker = open_broker(config.broker, notice=notices(telemetry))
    producer = broker.producer()
    listener = _listen(config.listen)
    server = DoorServer(
        listener,
        producer,
        reader=broker.reader,
        tls=tls,
        token_file=config.token_file,
        say=say,
    ).start()
    try:
        with Stop().on_signals() as stop, serve_health(config.health, telemetry, lambda: None):
            telemetry.event("started", listen=config.listen, tls=tls is not None)
            while not stop.wait(_WATCH_S):
                telemetry.gauge(DOOR_CONNECTIONS, server.connections)
            telemetry.event("stopped")
    finally:
        server.close()
        producer.close(_CLOSE_S)
        broker.close()


def _tls(config: BusConfig) -> ssl.SSLContext | None:
    if config.cert_file and config.key_file:
        return server_tls(config.cert_file, config.key_file)
    if config.cert_file or config.key_file:
        raise UsageError("cert_file and key_file go together")
    if not is_loopback(_split(config.listen)[0]):
        raise UsageError(
            f"listen {config.listen} is not loopback: give cert_file and key_file, or the token "
            "would travel in clear text"
        )
    return None


def _split(address: str) -> tuple[str, int]:
    return split_address(address, example="127.0.0.1:9650", what="listen")


def _listen(address: str) -> socket.socket:
    host, port = _split(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        raise UsageError(f"cannot listen on {address}: {error.strerror or error}") from error

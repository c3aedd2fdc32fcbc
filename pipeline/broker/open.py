"""From configuration to a bus. Each backend is imported only when its URL is used: a process on
the embedded bus never loads the Kafka client."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.base.errors import UsageError
from pipeline.broker.protocol import Broker

if TYPE_CHECKING:
    from pipeline.broker.config import BrokerConfig

FORMS = (
    "kafka://HOST:PORT[,HOST:PORT…], sqlite:PATH (for example sqlite:kubeledger-data/bus.db), or "
    "kubeledger://HOST:PORT for collectors of an embedded bus on another node"
)


def open_broker(config: "BrokerConfig", *, notice: Callable[[str], None] | None = None) -> Broker:
    """The bus that `config.url` names; nothing is connected yet. `notice` hears, once each, that
    records have to wait and that they flow again."""
    scheme, _, rest = config.url.partition(":")
    if scheme == "sqlite" and rest and not rest.startswith("//"):
        from pipeline.broker.sqlite import SqliteBroker

        return SqliteBroker(
            Path(rest).expanduser(), session_timeout_s=config.session_timeout_s, notice=notice
        )
    if scheme == "kafka" and rest.startswith("//"):
        from pipeline.broker.kafka import KafkaBroker

        return KafkaBroker(_servers(rest[2:], config.url), config, notice=notice)
    if scheme == "kubeledger" and rest.startswith("//"):
        from pipeline.broker.door_broker import DoorBroker

        servers = _servers(rest[2:], config.url)
        if len(servers) == 1:
            host, _, port = servers[0].rpartition(":")
            return DoorBroker((host.strip("[]"), int(port)), config, notice=notice)
    raise _wrong(config.url)


def _servers(text: str, url: str) -> list[str]:
    servers = text.rstrip("/").split(",")
    for server in servers:
        host, _, port = server.rpartition(":")
        if not host or "@" in host or not port.isdigit() or not 0 < int(port) < 65536:
            raise _wrong(url)
    return servers


def _wrong(url: str) -> UsageError:
    shown = url.rpartition("@")[2]  # whatever stands before an @ may be a password
    return UsageError(f"broker.url {shown!r} is not a bus; expected {FORMS}")

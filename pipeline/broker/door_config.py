"""Settings of the door of an embedded bus (`kubeledger bus`)."""

from pathlib import Path

from pydantic import Field

from pipeline.base.config import Settings
from pipeline.broker.config import BrokerConfig


class BusConfig(Settings):
    """Lets collectors on other nodes write to an embedded bus of this machine."""

    broker: BrokerConfig = Field(
        default_factory=BrokerConfig, description="The embedded bus: sqlite:PATH."
    )
    listen: str = Field(
        "127.0.0.1:9650", description="HOST:PORT for collectors; TLS is required off loopback."
    )
    cert_file: Path | None = Field(None, description="Certificate (chain) of this address, PEM.")
    key_file: Path | None = Field(None, description="Its key, PEM.")
    token_file: Path | None = Field(
        None, description="File with the token that collectors show; read anew for each."
    )
    health: str = Field("127.0.0.1:9605", description="HOST:PORT of /healthz and /metrics.")

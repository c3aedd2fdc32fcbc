"""Which bus, and how to reach it."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from pipeline.base.config import Settings


class BrokerConfig(Settings):
    """`url` decides the backend; the rest concerns Kafka, and the way to kubeledger://…."""

    url: str = Field(
        "sqlite:kubeledger-data/bus.db",
        description="kafka://HOST:PORT[,HOST:PORT…]; sqlite:PATH for the embedded bus; "
        "kubeledger://HOST:PORT for collectors on other nodes than the embedded bus.",
    )
    security: Literal["plaintext", "tls", "sasl_tls"] = Field(
        "plaintext", description="How to connect. `plaintext` is for loopback and labs."
    )
    ca_file: Path | None = Field(None, description="CA bundle; system CAs if absent.")
    cert_file: Path | None = Field(None, description="Kafka: client certificate for mTLS.")
    key_file: Path | None = Field(None, description="Kafka: key of the client certificate.")
    sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = Field(
        "SCRAM-SHA-512", description="Kafka: SASL mechanism when `security` is sasl_tls."
    )
    username: str = Field("", description="Kafka: SASL user.")
    password_file: Path | None = Field(
        None, description="File holding Kafka's SASL password, or the token of kubeledger://…."
    )
    session_timeout_s: float = Field(
        10.0, gt=0, le=300, description="A group member silent for longer loses its partitions."
    )

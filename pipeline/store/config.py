"""Which ClickHouse, and how to reach it."""

from pathlib import Path

from pydantic import Field

from pipeline.base.config import Settings
from pipeline.contract.tables import DATABASE


class StoreConfig(Settings):
    """A ClickHouse server's native port, or an embedded store (`kubeledger store`)."""

    host: str = Field("127.0.0.1", description="Host name or address.")
    port: int = Field(9000, ge=1, le=65535, description="Native protocol port (not HTTP).")
    database: str = Field(
        DATABASE, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="Database of all tables."
    )
    user: str = Field("default", description="User name.")
    password_file: Path | None = Field(None, description="File holding the password.")
    secure: bool = Field(False, description="Use TLS.")
    ca_file: Path | None = Field(None, description="CA bundle for TLS; system CAs if absent.")
    connect_timeout_s: float = Field(5.0, gt=0, le=300, description="For a new connection.")
    send_receive_timeout_s: float = Field(
        120.0, gt=0, le=3600, description="Silence of the server that is taken for its absence."
    )
    min_free_bytes: int = Field(
        512 << 20,
        ge=0,
        description="Inserts wait while the store's disk has less than this free: a disk that "
        "fills up within an insert leaves half a block behind.",
    )
    ttl_days: int = Field(
        14, ge=1, le=3650, description="Rows of logs are deleted after so many days (`migrate`)."
    )
    short_days: int = Field(
        3, ge=1, le=3650, description="The same of rows whose `retention` is short."
    )
    long_days: int = Field(
        90, ge=1, le=3650, description="The same of rows whose `retention` is long."
    )
    cluster: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_-]*$",
        description="Cluster name: replicated and sharded tables, ON CLUSTER. Empty: one node.",
    )

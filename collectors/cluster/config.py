"""Settings of the cluster watcher. Each is documented where it is declared; defaults live here."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from collectors.cluster.resources import NAMES
from pipeline.base.config import Settings
from pipeline.broker.config import BrokerConfig

_NAME = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"
Name = Annotated[str, Field(pattern=_NAME)]


class NamedSecret(Settings):
    """A Secret whose certificates' dates are wanted."""

    namespace: Name = Field(description="Where it is.")
    name: Name = Field(description="Its name. It is asked for alone, never by a list of all.")


class LeaseConfig(Settings):
    """Which of several watchers leads."""

    enabled: bool = Field(
        True, description="False: this is the only watcher, nothing is asked or written."
    )
    namespace: Name = Field("kubeledger", description="Namespace of the Lease; it must exist.")
    name: Name = Field("kubeledger-watch", description="Name of the Lease.")
    identity: str = Field(
        "", max_length=200, description="Of this process; host name and a random part if empty."
    )
    duration_s: float = Field(
        15.0, ge=3, le=600, description="Others take over when it was unchanged for this long."
    )
    renew_s: float = Field(
        10.0, ge=2, le=600, description="Who cannot renew it for this long stops leading."
    )
    retry_s: float = Field(2.0, gt=0, le=60, description="How often it is renewed, or looked at.")

    @model_validator(mode="after")
    def _in_order(self) -> "LeaseConfig":
        if not self.retry_s < self.renew_s < self.duration_s:
            raise ValueError("must be retry_s < renew_s < duration_s, or two could lead at once")
        return self


class WatchLimits(Settings):
    """Bounds, and what is asked of the API server."""

    page: int = Field(500, ge=10, le=10_000, description="Objects in one page of a list.")
    lists_at_once: int = Field(3, ge=1, le=50, description="Lists that run at the same time.")
    start_spread_s: float = Field(
        3.0, ge=0, le=600, description="The first lists are spread over this time."
    )
    lease_every_s: float = Field(
        20.0, ge=1, le=60, description="Each node's lease is written at most so often."
    )
    anew_h: float = Field(
        24.0, gt=0, le=8760, description="Every object is written again after this; keep it "
        "shorter than what kubeledger.state retains."
    )  # fmt: skip
    unacked_records: int = Field(
        2_000, ge=1, description="Records on their way to the bus; at the bound reading stops."
    )
    unacked_bytes: int = Field(16 << 20, ge=1 << 20, description="The same, bytes of their values.")


class WatchConfig(Settings):
    """`kubeledger watch`."""

    cluster: str = Field(
        "-",
        min_length=1,
        max_length=253,
        description="Name of the cluster: the key of its records on kubeledger.state.",
    )
    kubeconfig: Path | None = Field(
        None,
        description="How to reach the API server; without it the service account of this pod, or "
        "~/.kube/config.",
    )
    context: str = Field("", description="Context of the kubeconfig; its current one if empty.")
    namespaces: tuple[Name, ...] = Field(
        (), max_length=50, description="Only these; empty: all. What has no namespace is watched "
        "in any case."
    )  # fmt: skip
    without: tuple[str, ...] = Field(
        (), description="Resources not to watch: " + ", ".join(NAMES) + "."
    )
    secrets: tuple[NamedSecret, ...] = Field(
        (), max_length=50, description="Secrets whose certificates' dates are recorded, never "
        "their data. None unless named."
    )  # fmt: skip
    node_pools: tuple[Name, ...] = Field(
        (), max_length=50, description="Ids of ACK node pools with instant scaling: the stock of "
        "their kinds of machines is read from ConfigMap kube-system/ID-inventory-status. None "
        "unless named: the right to read a ConfigMap is given by its name."
    )  # fmt: skip
    broker: BrokerConfig = Field(BrokerConfig(), description="The bus.")
    health: str = Field(
        "127.0.0.1:9603", description="HOST:PORT of /healthz and /metrics; empty: none."
    )
    lease: LeaseConfig = Field(LeaseConfig(), description="Which of several watchers leads.")
    limits: WatchLimits = Field(WatchLimits(), description="Bounds.")
    log_status_s: float = Field(
        10.0, ge=0, le=3600, description="How often the status of LogConfigs may be written; 0: "
        "never."
    )  # fmt: skip
    stop_timeout_s: float = Field(
        10.0, gt=0, le=300, description="On SIGTERM: wait at most this long for acknowledgements."
    )
    health_bound_s: float = Field(
        120.0, gt=0, description="/healthz is bad when nothing moved for this long that should."
    )

    @field_validator("without")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in NAMES:
                raise ValueError(f"{name!r} is none of {', '.join(NAMES)}")
        return value

"""Configuration of the log processor (`kubeledger process logs`)."""

from typing import Literal

from pydantic import Field

from pipeline.base.config import Settings
from pipeline.broker.config import BrokerConfig
from pipeline.store.config import StoreConfig


class BatchLimits(Settings):
    """When a batch is closed. One batch becomes one block of rows."""

    rows: int = Field(500_000, ge=1, le=1_000_000, description="Lines at most.")
    raw_bytes: int = Field(64_000_000, ge=1, description="Raw bytes of log at most.")
    linger_s: float = Field(
        0.5, gt=0, le=60, description="A batch is closed so long after its first record came."
    )


class LineLimits(Settings):
    """What may stay unfinished, and for how long."""

    row_bytes: int = Field(
        1024 * 1024, ge=1024, le=16 * 1024 * 1024, description="Longer lines become several rows."
    )
    hold_s: float = Field(
        5.0, gt=0, le=3600, description="A line whose rest does not come is stored after this."
    )
    carry_bytes: int = Field(
        32 * 1024 * 1024, ge=1024, description="Unfinished lines held per partition."
    )


class MultilineSetting(Settings):
    """Join stack traces of the containers that match. Pods can ask for themselves with the
    annotation kubeledger.io/multiline (or kubeledger.io/multiline.CONTAINER)."""

    pattern: Literal["java", "python", "go", "dotnet", "auto"] = Field(
        description="What the traces look like."
    )
    namespace: str = Field("*", description="Glob on the namespace.")
    pod: str = Field("*", description="Glob on the pod's name.")
    container: str = Field("*", description="Glob on the container's name.")


class DeadLetterLimits(Settings):
    """Past BOTH limits the processor stops, rather than drain the topic into dead letters."""

    count: int = Field(1000, ge=1, description="Dead letters within the window.")
    share: float = Field(0.1, ge=0, le=1, description="Of all records within the window.")
    window_s: float = Field(600.0, gt=0, description="Length of the window.")


class SignalsSetting(Settings):
    """Named patterns of the diagnosis catalogue, found in rows and sent to the event log."""

    enabled: bool = Field(True, description="Look for them.")
    wait_s: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="Rows wait so long for their signals to be acknowledged; then these become "
        "dead letters.",
    )


class LogProcessorConfig(Settings):
    """Kafka to ClickHouse, exactly once."""

    broker: BrokerConfig = Field(default_factory=BrokerConfig, description="The bus.")
    store: StoreConfig = Field(default_factory=StoreConfig, description="The ClickHouse.")
    health: str = Field("127.0.0.1:9601", description="HOST:PORT of /healthz and /metrics.")
    batch: BatchLimits = Field(default_factory=BatchLimits, description="When a batch is closed.")
    lines: LineLimits = Field(default_factory=LineLimits, description="Bounds of joined lines.")
    multiline: list[MultilineSetting] = Field(
        default_factory=list, description="The first rule that matches a container counts."
    )
    signals: SignalsSetting = Field(
        default_factory=SignalsSetting, description="Signals in log lines."
    )
    pod_wait_s: float = Field(
        2.0, ge=0, le=60, description="Wait for a pod's metadata before storing without it."
    )
    pods_load_s: float = Field(
        30.0, ge=0, le=600, description="Wait for the pods topic to be read on assignment."
    )
    past_days: float = Field(
        7.0, gt=0, le=365, description="Older times are moved to this age; the original is kept."
    )
    future_hours: float = Field(
        1.0, gt=0, le=240, description="Times further ahead are moved; the original is kept."
    )
    dead_letters: DeadLetterLimits = Field(
        default_factory=DeadLetterLimits, description="When to stop."
    )
    dedup_window_h: float = Field(
        0.25,
        gt=0,
        description="How long the store surely remembers tokens; half of it is relied on. Its"
        " memory counts blocks: 100,000 last 15 minutes at 110 inserts a second.",
    )
    held_bytes: int = Field(
        64 * 1024 * 1024, ge=1024 * 1024, description="Records held per partition, compressed."
    )
    stall_s: float = Field(
        120.0, gt=0, description="Unhealthy when records wait and none was stored for so long."
    )

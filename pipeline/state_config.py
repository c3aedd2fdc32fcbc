"""Configuration of the state processor (`kubeledger process state`)."""

from pathlib import Path

from pydantic import Field

from pipeline.base.config import Settings
from pipeline.broker.config import BrokerConfig
from pipeline.logs_config import DeadLetterLimits
from pipeline.store.config import StoreConfig


class StateBatchLimits(Settings):
    """When a batch is closed. One batch becomes one block of rows per table. Facts do not wait
    for it."""

    events: int = Field(5_000, ge=1, le=1_000_000, description="Events at most.")
    raw_bytes: int = Field(8_000_000, ge=1, description="Bytes of their records at most.")
    linger_s: float = Field(
        0.5, gt=0, le=60, description="A batch is closed so long after its first event came."
    )


class SnapshotLimits(Settings):
    """When the state of the folds is written down, whichever comes first. A restart folds again
    what came since."""

    events: int = Field(1_000_000, ge=1, description="So many events after the last one.")
    every_s: float = Field(300.0, gt=0, description="So long after the last one.")


class StateProcessorConfig(Settings):
    """The event log of a cluster: to tables, and through the folds to facts."""

    broker: BrokerConfig = Field(default_factory=BrokerConfig, description="The bus.")
    store: StoreConfig = Field(default_factory=StoreConfig, description="The ClickHouse.")
    health: str = Field("127.0.0.1:9602", description="HOST:PORT of /healthz and /metrics.")
    cluster: str = Field(
        "-", min_length=1, max_length=253, description="Name of the cluster, in every row."
    )
    state_dir: Path = Field(
        Path("kubeledger-data/state"),
        description="Snapshots. Each member may have its own: it is a cache of the event log.",
    )
    batch: StateBatchLimits = Field(
        default_factory=StateBatchLimits, description="When a batch is closed."
    )
    snapshots: SnapshotLimits = Field(
        default_factory=SnapshotLimits, description="When the state is written down."
    )
    refold_h: float = Field(
        26.0,
        gt=0,
        le=24 * 365,
        description="How far back events are folded again when no snapshot can be used, as after"
        " an upgrade of the rules; longer than the watcher takes to write every object anew. No"
        " facts come until that is done.",
    )
    tick_s: float = Field(
        5.0, ge=1, le=60, description="How often time is written into the event log."
    )
    standby: bool = Field(
        True,
        description="A member that waits for its turn folds along, so that it can take over at"
        " once. False: it reads from its last snapshot only then.",
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
        1.0,
        gt=0,
        description="How long the store surely remembers tokens; half of it is relied on. Its"
        " memory counts blocks: 100,000 last 14 hours at 2 inserts a second.",
    )
    held_bytes: int = Field(
        64 * 1024 * 1024,
        ge=1024 * 1024,
        description="Events held while the store is away, bytes of their records. Facts are still"
        " concluded until then; at the bound reading stops.",
    )
    stall_s: float = Field(
        120.0, gt=0, description="Unhealthy when events wait and none was stored for so long."
    )

"""`kubeledger migrate`: topics and tables, created where missing, checked where present."""

from pydantic import Field

from pipeline.base.config import Settings
from pipeline.broker.config import BrokerConfig
from pipeline.broker.open import open_broker
from pipeline.contract.topics import DEFAULT_PARTITIONS, topic_specs
from pipeline.store.clickhouse import open_store
from pipeline.store.config import StoreConfig
from pipeline.store.migrate import migrate


class MigrateConfig(Settings):
    """What `migrate` creates and checks."""

    broker: BrokerConfig = Field(default_factory=BrokerConfig, description="The bus.")
    store: StoreConfig = Field(default_factory=StoreConfig, description="The ClickHouse.")
    partitions: int = Field(
        DEFAULT_PARTITIONS,
        ge=1,
        le=4096,
        description="Partitions of the logs and pods topics; fixed for the life of the topics.",
    )
    replication: int = Field(
        1, ge=1, le=9, description="Kafka replication factor; 3 on a cluster that must not lose."
    )


def run_migrate(settings: MigrateConfig, *, only_check: bool) -> list[str]:
    """Lines saying what was found or done. Raises Fatal on a mismatch, changing nothing of what
    already exists."""
    broker = open_broker(settings.broker)
    admin = broker.admin()
    try:
        specs = topic_specs(settings.partitions, settings.replication)
        lines = admin.ensure(specs, create=not only_check)
    finally:
        admin.close()
        broker.close()
    store = open_store(settings.store)
    try:
        if not only_check:
            lines += migrate(store, settings.store)
        lines += store.check()
    finally:
        store.close()
    return lines

"""The buses that the collector is measured against: embedded always, Apache Kafka where Java and
Maven are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.broker.config import BrokerConfig
from pipeline.broker.open import open_broker
from pipeline.broker.protocol import Broker, Reader, Record, TopicPartition
from pipeline.contract import topics
from tests.real.kafka import start_kafka

EMBEDDED, KAFKA = "embedded", "kafka"
PARTITIONS = 3


class Bus:
    """One bus, and topics that are new for every run where that is cheap."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.broker: Broker = open_broker(BrokerConfig(url=url))

    def prepare(self) -> None:
        admin = self.broker.admin()
        admin.ensure(topics.topic_specs(PARTITIONS), create=True)
        admin.close()

    def follow(self) -> "Follower":
        """Reads from now on."""
        return Follower(self.broker.reader())


class Follower:
    """Records on the logs topic that come after this was made."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        partitions = [TopicPartition(topics.LOGS, number) for number in range(PARTITIONS)]
        reader.assign(partitions)
        for partition in partitions:
            reader.seek(partition, reader.end_offset(partition))

    def poll(self, timeout_s: float) -> list[Record]:
        return self._reader.poll(timeout_s)

    def close(self) -> None:
        self._reader.close()


@contextmanager
def bus(kind: str, directory: Path) -> Iterator[Bus]:
    """Raises RealPartMissing when Kafka is asked for and cannot be had."""
    if kind == EMBEDDED:
        found = Bus(f"sqlite:{directory / 'bus.db'}")
        found.prepare()
        yield found
        return
    node = start_kafka(directory / "kafka")
    try:
        found = Bus(node.url)
        found.prepare()
        yield found
    finally:
        node.stop()

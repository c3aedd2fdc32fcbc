"""Partitions of Apache Kafka read outside any group."""

from collections.abc import Iterable
from typing import Any

from pipeline.base.errors import Unavailable, UsageError
from pipeline.broker.kafka_consumer import ours, record, theirs
from pipeline.broker.kafka_options import foreign_errors
from pipeline.broker.limits import unknown_topic
from pipeline.broker.protocol import Record, TopicPartition

_TIMEOUT_MS = 30_000


class KafkaBusReader:
    """One thread. `client` is a connected KafkaConsumer without a group."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def assign(self, tps: Iterable[TopicPartition]) -> None:
        with foreign_errors("assigning partitions"):
            wanted = list(tps)
            for topic in sorted({tp.topic for tp in wanted}):
                known = self._client.partitions_for_topic(topic) or set()
                if not known.issuperset(tp.partition for tp in wanted if tp.topic == topic):
                    raise unknown_topic(topic)
            self._client.assign([theirs(tp) for tp in wanted])

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._must_read(tp)
        with foreign_errors(f"seeking in {tp.topic}:{tp.partition}"):
            self._client.seek(theirs(tp), offset)

    def poll(self, timeout_s: float) -> list[Record]:
        with foreign_errors("polling"):
            fetched = self._client.poll(timeout_ms=int(timeout_s * 1000))
        return [record(r) for batch in fetched.values() for r in batch]

    def position(self, tp: TopicPartition) -> int:
        self._must_read(tp)
        with foreign_errors(f"asking for the position in {tp.topic}:{tp.partition}"):
            found = self._client.position(theirs(tp), timeout_ms=_TIMEOUT_MS)
        if found is None:
            raise Unavailable(f"Kafka did not say where {tp.topic}:{tp.partition} begins")
        return int(found)

    def beginning_offset(self, tp: TopicPartition) -> int:
        with foreign_errors(f"asking for the beginning of {tp.topic}:{tp.partition}"):
            found = self._client.beginning_offsets([theirs(tp)], timeout_ms=_TIMEOUT_MS)
            return int(found[theirs(tp)])

    def end_offset(self, tp: TopicPartition) -> int:
        with foreign_errors(f"asking for the end of {tp.topic}:{tp.partition}"):
            found = self._client.end_offsets([theirs(tp)], timeout_ms=_TIMEOUT_MS)
            return int(found[theirs(tp)])

    def offset_for_time(self, tp: TopicPartition, timestamp_ms: int) -> int | None:
        with foreign_errors(f"searching {tp.topic}:{tp.partition} by time"):
            found = self._client.offsets_for_times(
                {theirs(tp): timestamp_ms}, timeout_ms=_TIMEOUT_MS
            )[theirs(tp)]
        return None if found is None or found.offset < 0 else int(found.offset)

    def close(self) -> None:
        with foreign_errors("closing a reader"):
            self._client.close(autocommit=False, timeout_ms=5000)

    def _must_read(self, tp: TopicPartition) -> None:
        if tp not in ours(self._client.assignment()):
            raise UsageError(f"{tp.topic}:{tp.partition} is not assigned to this reader")

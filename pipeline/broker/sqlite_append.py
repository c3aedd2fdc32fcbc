"""Writing a batch of records into `bus.db`, inside one transaction.

State: rows of topics that were seen; offsets always come from the file, because other processes
write too. For a compacted topic the record that a newer one replaces is noted in `superseded`
with the time from which it may be removed.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from pipeline.base.errors import KubeledgerError, Rejected
from pipeline.broker.limits import choose_partition, unknown_topic
from pipeline.broker.protocol import Position
from pipeline.broker.sqlite_connection import Connection
from pipeline.broker.sqlite_headers import pack_headers
from pipeline.broker.sqlite_log import read_specs
from pipeline.broker.sqlite_schema import record_id
from pipeline.contract.record import Headers
from pipeline.contract.topics import TopicSpec

COMPACTION_LAG_MS = 600_000  # readers that keep up see every version
TOMBSTONE_MS = 86_400_000  # as Apache Kafka's delete.retention.ms


@dataclass(slots=True)
class Send:
    """One call of `send`. `size` is what it weighs in the queue."""

    future: "Future[Position]"
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int | None
    timestamp_ms: int
    turn: int
    size: int


@dataclass(slots=True)
class _Tail:
    """The end of a partition while a batch is written."""

    end: int
    high_ms: int
    rows: list[tuple[object, ...]] = field(default_factory=list)


Outcome = Position | KubeledgerError


class Appender:
    """Used by one producer's thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._topics: dict[str, tuple[TopicSpec, list[int]]] = {}

    def append(self, sends: Sequence[Send], now_ms: int) -> list[Outcome]:
        """What became of each send; durable on return. An error means that nothing was written."""
        with self._connection.write():
            tails: dict[int, _Tail] = {}
            outcomes = [self._place(send, tails, now_ms) for send in sends]
            for partition, tail in tails.items():
                self._connection.run_many(
                    "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", tail.rows
                )
                self._connection.run(
                    "UPDATE partitions SET end_offset = ?, high_ms = ? WHERE id = ?",
                    (tail.end, tail.high_ms, partition),
                )
        return outcomes

    def _place(self, send: Send, tails: dict[int, _Tail], now_ms: int) -> Outcome:
        try:
            spec, partitions = self._topic(send.topic)
            number = choose_partition(
                send.topic,
                send.key,
                send.partition,
                partitions=spec.partitions,
                turn=send.turn,
            )
            if spec.compacted and send.key is None:
                raise Rejected(f"topic {send.topic} is compacted: its records need a key")
        except KubeledgerError as error:
            return error
        partition = partitions[number]
        tail = tails.get(partition) or tails.setdefault(partition, self._tail(partition))
        tail.high_ms = max(tail.high_ms, send.timestamp_ms)
        row = record_id(partition, tail.end)
        if spec.compacted:
            self._supersede(partition, row, send, now_ms)
        tail.rows.append(
            (
                row,
                send.timestamp_ms,
                tail.high_ms,
                send.key,
                pack_headers(send.headers),
                send.value,
            )
        )
        tail.end += 1
        return Position(number, tail.end - 1)

    def _supersede(self, partition: int, row: int, send: Send, now_ms: int) -> None:
        mark = "INSERT OR REPLACE INTO superseded VALUES (?, ?)"
        older = self._connection.rows(
            "SELECT id FROM latest WHERE partition = ? AND key = ?", (partition, send.key)
        )
        if older:
            self._connection.run(mark, (older[0][0], now_ms + COMPACTION_LAG_MS))
        self._connection.run(
            "INSERT OR REPLACE INTO latest VALUES (?, ?, ?)", (partition, send.key, row)
        )
        if send.value is None:
            self._connection.run(mark, (row, now_ms + TOMBSTONE_MS))

    def _tail(self, partition: int) -> _Tail:
        rows = self._connection.rows(
            "SELECT end_offset, high_ms FROM partitions WHERE id = ?", (partition,)
        )
        return _Tail(*rows[0])

    def _topic(self, topic: str) -> tuple[TopicSpec, list[int]]:
        if topic not in self._topics:
            spec = read_specs(self._connection).get(topic)
            if spec is None:
                raise unknown_topic(topic)
            rows = self._connection.rows(
                "SELECT id FROM partitions WHERE topic = ? ORDER BY number", (topic,)
            )
            self._topics[topic] = spec, [row[0] for row in rows]
        return self._topics[topic]

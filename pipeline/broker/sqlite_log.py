"""Topics, partitions, groups and positions in `bus.db`: the `LogStore` of SQLite.

Holds no state but the connection and the row numbers of partitions, which never change.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

from pipeline.broker.group import Group, dump, parse
from pipeline.broker.limits import unknown_topic
from pipeline.broker.port import Page
from pipeline.broker.protocol import Commit, Record, TopicPartition
from pipeline.broker.sqlite_connection import Connection
from pipeline.broker.sqlite_headers import unpack_headers
from pipeline.broker.sqlite_process import current_process, has_ended
from pipeline.broker.sqlite_schema import offset_of, record_id
from pipeline.contract.topics import TopicSpec


class SqliteStore:
    """One thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ids: dict[TopicPartition, int] = {}

    def specs(self) -> Mapping[str, TopicSpec]:
        return read_specs(self._connection)

    def create(self, spec: TopicSpec) -> None:
        with self._connection.write():
            made = self._connection.run(
                "INSERT OR IGNORE INTO topics VALUES (?, ?, ?, ?)",
                (spec.name, spec.partitions, spec.retention_hours, int(spec.compacted)),
            )
            if made:
                self._connection.run_many(
                    "INSERT INTO partitions (topic, number) VALUES (?, ?)",
                    [(spec.name, number) for number in range(spec.partitions)],
                )

    def bounds(self, tp: TopicPartition) -> tuple[int, int]:
        rows = self._connection.rows(
            "SELECT start_offset, end_offset FROM partitions WHERE id = ?", (self._id(tp),)
        )
        start, end = rows[0]
        return start, end

    def read(self, tp: TopicPartition, offset: int, *, records: int, size: int) -> Page:
        partition = self._id(tp)
        with self._connection.read():
            start, end = self.bounds(tp)
            if offset == end:
                return Page([], end)
            if not start <= offset <= end:
                offset = start
            found: list[Record] = []
            sql = (
                "SELECT id, timestamp_ms, key, value, headers FROM records "
                "WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"
            )
            bounds = (record_id(partition, offset), record_id(partition, end), records)
            with (
                self._connection.errors(),
                closing(self._connection.stream(sql, bounds)) as rows,
            ):
                for number, stamp, key, value, headers in rows:
                    at = offset_of(number)
                    found.append(Record(*tp, at, stamp, key, value, unpack_headers(headers)))
                    size -= len(value or b"")
                    if size <= 0:
                        break
            full = len(found) == records or size <= 0
            return Page(found, found[-1].offset + 1 if full else end)

    def time_offset(self, tp: TopicPartition, timestamp_ms: int) -> int | None:
        """Binary search over `high_ms`, then forward past what compaction has left behind."""
        partition = self._id(tp)
        with self._connection.read():
            low, end = self.bounds(tp)
            high = end
            while low < high:
                middle = (low + high) // 2
                found = self._connection.rows(
                    "SELECT id, high_ms FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT 1",
                    (record_id(partition, middle), record_id(partition, high)),
                )
                if found and found[0][1] < timestamp_ms:
                    low = offset_of(found[0][0]) + 1
                else:
                    high = middle
            rows = self._connection.rows(
                "SELECT id FROM records WHERE id >= ? AND id < ? AND timestamp_ms >= ? "
                "ORDER BY id LIMIT 1",
                (record_id(partition, low), record_id(partition, end), timestamp_ms),
            )
            return offset_of(rows[0][0]) if rows else None

    def peek(self, group: str) -> Group:
        return parse(state) if (state := self._group_state(group)) else Group()

    @contextmanager
    def change(self, group: str) -> Iterator[Group]:
        with self._connection.write():
            before = self._group_state(group)
            changed = parse(before) if before else Group()
            yield changed
            after = dump(changed)
            if after != before:
                self._connection.run(
                    "INSERT INTO groups VALUES (?, ?) "
                    "ON CONFLICT (name) DO UPDATE SET state = excluded.state",
                    (group, after),
                )

    def gone(self, process: str) -> bool:
        return has_ended(process)

    def process(self) -> str:
        return current_process()

    def commit(self, group: str, commits: Mapping[TopicPartition, Commit]) -> None:
        self._connection.run_many(
            "INSERT INTO commits VALUES (?, ?, ?, ?) ON CONFLICT (group_name, partition) "
            "DO UPDATE SET next_offset = excluded.next_offset, metadata = excluded.metadata",
            [
                (group, self._id(tp), commit.offset, commit.metadata)
                for tp, commit in commits.items()
            ],
        )

    def committed(self, group: str, tp: TopicPartition) -> Commit | None:
        rows = self._connection.rows(
            "SELECT next_offset, metadata FROM commits WHERE group_name = ? AND partition = ?",
            (group, self._id(tp)),
        )
        return Commit(*rows[0]) if rows else None

    def wait(self, seconds: float) -> None:
        self._connection.wait(seconds)

    def close(self) -> None:
        self._connection.close()

    def _group_state(self, group: str) -> str | None:
        rows = self._connection.rows("SELECT state FROM groups WHERE name = ?", (group,))
        return str(rows[0][0]) if rows else None

    def _id(self, tp: TopicPartition) -> int:
        known = self._ids.get(tp)
        if known is None:
            rows = self._connection.rows(
                "SELECT id FROM partitions WHERE topic = ? AND number = ?", tuple(tp)
            )
            if not rows:
                raise unknown_topic(tp.topic)
            known = self._ids[tp] = int(rows[0][0])
        return known


def read_specs(connection: Connection) -> dict[str, TopicSpec]:
    rows = connection.rows("SELECT name, partitions, retention_hours, compacted FROM topics")
    return {
        name: TopicSpec(name, partitions, hours, bool(compacted))
        for name, partitions, hours, compacted in rows
    }

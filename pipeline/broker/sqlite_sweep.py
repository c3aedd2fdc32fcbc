"""Retention and compaction of `bus.db`: a bounded amount of work each time.

Only the head of a partition goes by age, as in Apache Kafka: an old timestamp behind a young one
waits for its turn. Pages that become free are used again by later records; the file does not
shrink, and does not grow past what retention needs.
"""

from pipeline.broker.sqlite_connection import Connection
from pipeline.broker.sqlite_schema import offset_of, record_id

HOUR_MS = 3_600_000
STEP_RECORDS = 64


def sweep(connection: Connection, now_ms: int) -> bool:
    """One step. True when there is more to do at once."""
    partitions = connection.rows(
        "SELECT p.id, p.start_offset, p.end_offset, t.retention_hours FROM partitions p "
        "JOIN topics t ON t.name = p.topic WHERE t.retention_hours > 0"
    )
    more = False
    for partition, start, end, hours in partitions:
        first, stop = record_id(partition, start), record_id(partition, end)
        if _old(connection, first, stop, now_ms - hours * HOUR_MS):
            more |= _expire(connection, partition, first, stop, before_ms=now_ms - hours * HOUR_MS)
    return _compact(connection, now_ms) or more


def _old(connection: Connection, first: int, stop: int, before_ms: int) -> list[int]:
    """Ids of the oldest records, up to the first that is young enough."""
    rows = connection.rows(
        "SELECT id, timestamp_ms FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
        (first, stop, STEP_RECORDS),
    )
    found = []
    for row, stamp in rows:
        if stamp >= before_ms:
            break
        found.append(row)
    return found


def _expire(
    connection: Connection, partition: int, first: int, stop: int, *, before_ms: int
) -> bool:
    with connection.write():
        old = _old(connection, first, stop, before_ms)
        if not old:
            return False
        bounds = (first, old[-1])
        connection.run(
            "DELETE FROM latest WHERE partition = ? AND id <= ? AND key IN "
            "(SELECT key FROM records WHERE id BETWEEN ? AND ?)",
            (partition, old[-1], *bounds),
        )
        connection.run("DELETE FROM superseded WHERE id BETWEEN ? AND ?", bounds)
        connection.run("DELETE FROM records WHERE id BETWEEN ? AND ?", bounds)
        rows = connection.rows(
            "SELECT id FROM records WHERE id > ? AND id < ? ORDER BY id LIMIT 1", (old[-1], stop)
        )
        start = offset_of(rows[0][0] if rows else stop)
        connection.run("UPDATE partitions SET start_offset = ? WHERE id = ?", (start, partition))
    return len(old) == STEP_RECORDS


def _compact(connection: Connection, now_ms: int) -> bool:
    due = "SELECT id FROM superseded WHERE due_ms <= ? ORDER BY due_ms LIMIT ?"
    if not connection.rows(due, (now_ms, 1)):
        return False
    with connection.write():
        rows = connection.rows(due, (now_ms, STEP_RECORDS))
        for (row,) in rows:
            connection.run(
                "DELETE FROM latest WHERE (partition, key) = "
                "(SELECT id >> 44, key FROM records WHERE id = ?) AND id = ?",
                (row, row),
            )
            connection.run("DELETE FROM records WHERE id = ?", (row,))
            connection.run("DELETE FROM superseded WHERE id = ?", (row,))
    return len(rows) == STEP_RECORDS

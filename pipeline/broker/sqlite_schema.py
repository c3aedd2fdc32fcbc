"""The tables of `bus.db`, and what is fixed when the file is created.

A record's id is `partition row << 44 | offset`: the table is in (partition, offset) order by
itself and needs no second index. `high_ms` is the greatest timestamp up to and including the
record; it never goes down inside a partition, so seek by time is a binary search.
`latest` and `superseded` exist for compacted topics only: what compaction will remove is known
when the newer record is written, and never searched for.
A group's state is one row (see group.py), read and written under the write lock.
"""

VERSION = 1
APPLICATION_ID = 0x6B6C6462  # "kldb"; file(1) and a wrong file are told apart by it
PAGE_BYTES = 16384
OFFSET_BITS = 44

TABLES = """
CREATE TABLE topics (
    name TEXT PRIMARY KEY,
    partitions INTEGER NOT NULL,
    retention_hours INTEGER NOT NULL,
    compacted INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE partitions (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL REFERENCES topics,
    number INTEGER NOT NULL,
    start_offset INTEGER NOT NULL DEFAULT 0,
    end_offset INTEGER NOT NULL DEFAULT 0,
    high_ms INTEGER NOT NULL DEFAULT 0,
    UNIQUE (topic, number)
);
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    timestamp_ms INTEGER NOT NULL,
    high_ms INTEGER NOT NULL,
    key BLOB,
    headers BLOB NOT NULL,
    value BLOB
);
CREATE TABLE latest (
    partition INTEGER NOT NULL,
    key BLOB NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (partition, key)
) WITHOUT ROWID;
CREATE TABLE superseded (
    id INTEGER PRIMARY KEY,
    due_ms INTEGER NOT NULL
);
CREATE INDEX superseded_due ON superseded (due_ms);
CREATE TABLE groups (
    name TEXT PRIMARY KEY,
    state TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE commits (
    group_name TEXT NOT NULL,
    partition INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    PRIMARY KEY (group_name, partition)
) WITHOUT ROWID;
"""


def record_id(partition: int, offset: int) -> int:
    return partition << OFFSET_BITS | offset


def offset_of(record: int) -> int:
    return record & ((1 << OFFSET_BITS) - 1)

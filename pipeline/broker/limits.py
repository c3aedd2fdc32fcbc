"""What every backend refuses alike, and how much one poll may bring.

Refusals are decided here, before a record reaches a backend, so that a record that one bus takes
is taken by all of them.
"""

from pipeline.base.errors import Fatal, Rejected
from pipeline.contract.record import Headers
from pipeline.contract.topics import MAX_RECORD_BYTES, partition_for

POLL_RECORDS = 256
POLL_BYTES = 8 << 20
METADATA_CHARS = 4096  # Apache Kafka's offset.metadata.max.bytes counts UTF-16 units


def record_bytes(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """What counts against `MAX_RECORD_BYTES`: key, value, header names and values."""
    size = len(key or b"") + len(value or b"")
    for name, content in headers:
        size += len(name) + len(content)
    return size


def refusal(
    topic: str, key: bytes | None, value: bytes | None, *, headers: Headers
) -> Rejected | None:
    """Why no backend takes this record, or None."""
    if key is None and value is None:
        return Rejected(f"a record for {topic} needs a key or a value; it has neither")
    size = record_bytes(key, value, headers)
    if size > MAX_RECORD_BYTES:
        return Rejected(
            f"a record for {topic} has {size:,} bytes; the limit is {MAX_RECORD_BYTES:,}"
        )
    return None


def check_metadata(metadata: str) -> None:
    """Raises Rejected for commit metadata that Apache Kafka would not take."""
    length = len(metadata.encode("utf-16-le")) // 2
    if length > METADATA_CHARS:
        raise Rejected(f"commit metadata has {length:,} characters; the limit is {METADATA_CHARS}")


def unknown_topic(topic: str) -> Fatal:
    return Fatal(
        f"topic {topic} does not exist, or this user may not see it; create it with"
        " `kubeledger migrate`, or allow Describe"
    )


def choose_partition(
    topic: str, key: bytes | None, partition: int | None, *, partitions: int, turn: int
) -> int:
    """Where a record goes: the partition asked for, else by its key, else in turn. Raises
    Rejected for a partition that does not exist."""
    if partition is None:
        return turn % partitions if key is None else partition_for(key, partitions)
    if not 0 <= partition < partitions:
        raise Rejected(f"topic {topic} has {partitions} partitions; there is no {partition}")
    return partition

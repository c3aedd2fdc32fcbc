"""What the state processor asks the store: which rows of a range of records are there already."""

from collections.abc import Set as AbstractSet
from typing import Protocol

from pipeline.contract.tables import (
    CAPACITY_1M,
    DEAD_LETTERS,
    DRAINS,
    EPISODES,
    FACTS,
    HPA_1M,
    SCALE_TIMELINES,
    SCALINGS,
)
from pipeline.store.protocol import Store

Key = tuple[int, str]  # source offset, Row.key


class EventLedger(Protocol):
    """`StoreLedger` asks ClickHouse."""

    def stored(self, table: str, partition: int, first: int, last: int) -> AbstractSet[Key]:
        """Keys of the rows that records [first..last] have in the table."""


_KEYS = {
    FACTS.name: "id",
    DEAD_LETTERS.name: "id",
    EPISODES.name: "concat(id, ':', toString(version))",
    DRAINS.name: "concat(id, ':', toString(version))",
    CAPACITY_1M.name: "pool",
    HPA_1M.name: "concat(namespace, '/', name)",
    SCALINGS.name: "concat(id, ':', toString(version))",
    SCALE_TIMELINES.name: "concat(pod_uid, ':', toString(version))",
}


class StoreLedger:
    """The question as SQL."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def stored(self, table: str, partition: int, first: int, last: int) -> AbstractSet[Key]:
        key = _KEYS.get(table, "toString(toUnixTimestamp64Milli(ts) + ts_shift)")
        answer = self._store.query(
            f"SELECT ko, {key} FROM {table} "
            "WHERE kp = {kp:UInt16} AND ko BETWEEN {first:UInt64} AND {last:UInt64}",
            {"kp": partition, "first": first, "last": last},
        )
        return {(int(ko), str(key)) for ko, key in answer.rows}

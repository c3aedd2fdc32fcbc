"""What the log processor asks the store: which bytes of which files are there already.

`kp` and `ko` (source partition and offset) stand in every row, so "before this batch" is a
condition on them. All questions are asked through parameters.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from pipeline.store.protocol import Store


class StoredRow(NamedTuple):
    """Which bytes a row of `logs` holds."""

    off: int
    stop: int  # byte after its last part
    stream: int
    flags: int


class Ledger(Protocol):
    """The processor's questions. `StoreLedger` asks ClickHouse."""

    def marks(self, file_ids: Sequence[int], *, partition: int, before: int) -> Mapping[int, int]:
        """Per file: the byte after the last one that is accounted for, by rows, gaps, dead
        letters and shed lines, leaving out records of `partition` from offset `before` on."""

    def rows_of_range(
        self, partition: int, first: int, last: int
    ) -> Mapping[int, Sequence[StoredRow]]:
        """Stored rows per file that records [first..last] of a partition completed."""

    def rows_of_file(
        self, file_id: int, start: int, stop: int, *, partition: int, before: int
    ) -> Sequence[StoredRow]:
        """Stored rows that hold bytes of [start, stop), leaving out as `marks` does."""

    def sources(self, table: str, partition: int, first: int, last: int) -> frozenset[int]:
        """Offsets of records [first..last] that have a row in `files`, `gaps` or `shed`."""

    def dead_ids(self, partition: int, first: int, last: int) -> frozenset[str]:
        """Ids of the dead letters of records [first..last] that have a row."""


_IDS_AT_ONCE = 5_000

_MARKS = """
SELECT file_id, max(stop) FROM (
    SELECT file_id, off + nbytes + interleaved AS stop FROM logs
    WHERE file_id IN {ids:Array(UInt64)} AND NOT (kp = {kp:UInt16} AND ko >= {ko:UInt64})
    UNION ALL
    SELECT file_id, stop FROM gaps
    WHERE file_id IN {ids:Array(UInt64)} AND NOT (kp = {kp:UInt16} AND ko >= {ko:UInt64})
    UNION ALL
    SELECT file_id, high AS stop FROM shed
    WHERE file_id IN {ids:Array(UInt64)} AND NOT (kp = {kp:UInt16} AND ko >= {ko:UInt64})
    UNION ALL
    SELECT file_id, off + nbytes AS stop FROM dead_letters
    WHERE file_id IN {ids:Array(UInt64)} AND NOT (kp = {kp:UInt16} AND ko >= {ko:UInt64})
) GROUP BY file_id
"""

_ROWS_OF_RANGE = """
SELECT file_id, off, off + nbytes + interleaved, CAST(stream, 'Int8'), flags FROM logs
WHERE kp = {kp:UInt16} AND ko BETWEEN {first:UInt64} AND {last:UInt64}
"""

_ROWS_OF_FILE = """
SELECT off, off + nbytes + interleaved, CAST(stream, 'Int8'), flags FROM logs
WHERE file_id = {id:UInt64} AND off < {stop:UInt64}
    AND off + nbytes + interleaved > {start:UInt64}
    AND NOT (kp = {kp:UInt16} AND ko >= {ko:UInt64})
"""

_SOURCES = {
    table: f"SELECT DISTINCT ko FROM {table} "
    "WHERE kp = {kp:UInt16} AND ko BETWEEN {first:UInt64} AND {last:UInt64}"
    for table in ("files", "gaps", "shed")
}

_DEAD_IDS = """
SELECT DISTINCT id FROM dead_letters
WHERE kp = {kp:UInt16} AND ko BETWEEN {first:UInt64} AND {last:UInt64}
"""


class StoreLedger:
    """The questions as SQL."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def marks(self, file_ids: Sequence[int], *, partition: int, before: int) -> Mapping[int, int]:
        found: dict[int, int] = {}
        for ids in _some(file_ids):
            answer = self._store.query(_MARKS, {"ids": ids, "kp": partition, "ko": before})
            found.update((int(file_id), int(stop)) for file_id, stop in answer.rows)
        return found

    def rows_of_range(
        self, partition: int, first: int, last: int
    ) -> Mapping[int, Sequence[StoredRow]]:
        answer = self._store.query(
            _ROWS_OF_RANGE, {"kp": partition, "first": max(first, 0), "last": max(last, 0)}
        )
        found: dict[int, list[StoredRow]] = {}
        for file_id, *row in answer.rows:
            found.setdefault(int(file_id), []).append(StoredRow(*map(int, row)))
        return found

    def rows_of_file(
        self, file_id: int, start: int, stop: int, *, partition: int, before: int
    ) -> Sequence[StoredRow]:
        answer = self._store.query(
            _ROWS_OF_FILE,
            {"id": file_id, "start": start, "stop": stop, "kp": partition, "ko": before},
        )
        return [StoredRow(*map(int, row)) for row in answer.rows]

    def sources(self, table: str, partition: int, first: int, last: int) -> frozenset[int]:
        answer = self._store.query(
            _SOURCES[table], {"kp": partition, "first": max(first, 0), "last": max(last, 0)}
        )
        return frozenset(int(row[0]) for row in answer.rows)

    def dead_ids(self, partition: int, first: int, last: int) -> frozenset[str]:
        answer = self._store.query(
            _DEAD_IDS, {"kp": partition, "first": max(first, 0), "last": max(last, 0)}
        )
        return frozenset(str(row[0]) for row in answer.rows)


def _some(file_ids: Sequence[int]) -> Iterable[list[int]]:
    """Parts of a size that fits into a query."""
    for first in range(0, len(file_ids), _IDS_AT_ONCE):
        yield list(file_ids[first : first + _IDS_AT_ONCE])

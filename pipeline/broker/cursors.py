"""Where reading stands in each of a set of partitions, and fair reading from them.

State: a position and a paused flag per partition, and whose turn is first. Each fetch starts
with the next partition, and no partition takes more than its share while others have records.
"""

from collections.abc import Callable, Iterable

from pipeline.broker.limits import POLL_BYTES, POLL_RECORDS
from pipeline.broker.port import LogStore
from pipeline.broker.protocol import Partitions, Record, TopicPartition

Start = Callable[[TopicPartition], int]


class Cursors:
    """`start` says where a partition without a position begins."""

    def __init__(self, store: LogStore, start: Start) -> None:
        self._store = store
        self._start = start
        self._positions: dict[TopicPartition, int | None] = {}
        self._paused: set[TopicPartition] = set()
        self._turn = 0

    def assign(self, tps: Iterable[TopicPartition]) -> None:
        """Read these; those that were read before keep position and pause."""
        self._positions = {tp: self._positions.get(tp) for tp in sorted(tps)}
        self._paused &= self._positions.keys()

    def clear(self) -> None:
        self._positions.clear()
        self._paused.clear()

    def assigned(self) -> Partitions:
        return frozenset(self._positions)

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._positions[tp] = offset

    def pause(self, tps: Iterable[TopicPartition]) -> None:
        self._paused |= self._positions.keys() & set(tps)

    def resume(self, tps: Iterable[TopicPartition]) -> None:
        self._paused -= set(tps)

    def position(self, tp: TopicPartition) -> int:
        known = self._positions[tp]
        if known is None:
            known = self._positions[tp] = self._start(tp)
        return known

    def fetch(self) -> list[Record]:
        """Next records, within the bounds of one poll; empty when there are none."""
        active = [tp for tp in self._positions if tp not in self._paused]
        if not active:
            return []
        self._turn += 1
        first = self._turn % len(active)
        found: list[Record] = []
        size = 0
        for left, tp in zip(
            range(len(active), 0, -1), active[first:] + active[:first], strict=True
        ):
            records = (POLL_RECORDS - len(found)) // left
            budget = (POLL_BYTES - size) // left
            if records < 1 or budget < 1:
                break
            page = self._store.read(tp, self.position(tp), records=records, size=budget)
            self._positions[tp] = page.next_offset
            found += page.records
            size += sum(len(record.value or b"") for record in page.records)
        return found

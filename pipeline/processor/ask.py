"""Questions to the ledger on behalf of one partition, asked patiently."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pipeline.contract.record import Chunk
from pipeline.processor.link import Link
from pipeline.processor.partition import Partition
from pipeline.store.ledger import Ledger, StoredRow

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asker:
    """`before`: the first record of the batch; what the batch itself may have stored is left
    out, so that an attempt and its repetition see the same."""

    ledger: Ledger
    link: Link
    partition: Partition
    before: int

    def _ask(self, question: Callable[[], T]) -> T:
        lost = self.partition
        return self.link.patiently("asking the store", question, ours=lambda: not lost.lost)

    def marks(self, file_ids: Sequence[int]) -> Mapping[int, int]:
        kp = self.partition.tp.partition
        return self._ask(lambda: self.ledger.marks(file_ids, partition=kp, before=self.before))

    def rows_of_chunk(self, chunk: Chunk) -> Sequence[StoredRow]:
        kp, stop = self.partition.tp.partition, chunk.offset + chunk.raw_length
        return self._ask(
            lambda: self.ledger.rows_of_file(
                chunk.file_id, chunk.offset, stop, partition=kp, before=self.before
            )
        )

    def rows_of_range(self, first: int, last: int) -> Mapping[int, Sequence[StoredRow]]:
        kp = self.partition.tp.partition
        return self._ask(lambda: self.ledger.rows_of_range(kp, first, last))

    def sources(self, table: str, first: int, last: int) -> frozenset[int]:
        kp = self.partition.tp.partition
        return self._ask(lambda: self.ledger.sources(table, kp, first, last))

    def dead_ids(self, first: int, last: int) -> frozenset[str]:
        kp = self.partition.tp.partition
        return self._ask(lambda: self.ledger.dead_ids(kp, first, last))

"""What to do with a partition that has just become ours.

The group's commit says where to go on, what is needed for the carry, and whether a batch was
declared and not confirmed. Such a range is finished first, under the very same boundaries:

- declared a short while ago: built again and inserted under the same token. If the first
  attempt arrived, the store recognises it. That its rows are there is looked at, too
  (deliver.py): if not, it goes on with the next way.
- declared longer ago than half the deduplication window, or stored in parts, or built again
  with another shape (the configuration changed): the rows that are there are read, their bytes
  are left out, and only what is missing is inserted.
- its records are gone (retention): nothing can be built again. A dead letter says which
  offsets, and what the store has of them; the audit shows the bytes.
"""

from dataclasses import dataclass, replace

from pipeline.base.clock import Clock
from pipeline.base.errors import Fatal
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Commit, Consumer, Reader
from pipeline.contract.metrics import RECOVERED
from pipeline.processor.ask import Asker
from pipeline.processor.dead import records_gone
from pipeline.processor.link import Link
from pipeline.processor.metadata import CarryNote, Declared, Progress, read_progress
from pipeline.processor.partition import Partition
from pipeline.store.ledger import Ledger


@dataclass(slots=True)
class Recovery:
    """Reads commits and positions partitions."""

    consumer: Consumer
    reader: Reader
    ledger: Ledger
    link: Link
    clock: Clock
    telemetry: Telemetry
    dedup_window_ms: int

    def start(self, partition: Partition, *, careful: bool = False) -> None:
        """Make the partition ready. `careful`: leave out what is stored of the open range."""
        tp = partition.tp
        oldest, end, found = self.link.patiently(
            "reading the group's position",
            lambda: (
                self.reader.beginning_offset(tp),
                self.reader.end_offset(tp),
                self.consumer.committed(tp),
            ),
            ours=lambda: not partition.lost,
        )
        progress = Progress(oldest, CarryNote(oldest))
        if found is not None:
            progress = read_progress(tp, found)
        if progress.offset > end:
            raise Fatal(
                f"{tp.topic}:{tp.partition} ends at {end}, but the group stands at"
                f" {progress.offset}: the topic was made anew. If that was meant, delete the"
                " group's offsets; new records are then read from the beginning"
            )
        if progress.open is not None and oldest > progress.open.last:
            progress = self._all_gone(partition, progress, progress.open, oldest)
        self._position(partition, progress, oldest)
        if progress.open is not None:
            careful = careful or oldest > progress.carry.need
            self._reopen(partition, progress, progress.open, careful=careful)
        partition.ready = True

    def _position(self, partition: Partition, progress: Progress, oldest: int) -> None:
        partition.start, partition.carry, partition.open = (
            progress.offset,
            progress.carry,
            progress.open,
        )
        entries = progress.carry.entries()
        partition.refinery.expect(entries)
        partition.restoring = bool(entries)
        partition.next = progress.carry.need if entries else progress.offset
        if partition.next < oldest:
            self._gone(partition, partition.next, oldest - 1, "before they were read again")
            partition.next = oldest
        self.consumer.seek(partition.tp, partition.next)

    def _reopen(
        self, partition: Partition, progress: Progress, batch: Declared, *, careful: bool
    ) -> None:
        """Show that the range is ours to finish: only an owner can commit."""
        now_ms = self.clock.wall_ns() // 1_000_000
        old = abs(now_ms - batch.declared_ms) > self.dedup_window_ms // 2
        careful = careful or old or batch.split
        if careful and not batch.split:
            batch = replace(batch, split=True)
        progress = replace(progress, open=batch)
        partition.open = batch
        commit(self.consumer, self.link, partition, progress.commit())
        if careful:
            asker = Asker(self.ledger, self.link, partition, batch.first)
            partition.leave_out(asker.rows_of_range(progress.carry.need, batch.last))
        self.telemetry.count(RECOVERED, how="careful" if careful else "token")
        self.telemetry.event(
            "recovering",
            partition=partition.tp.partition,
            first=batch.first,
            last=batch.last,
            careful=careful,
        )

    def _all_gone(
        self, partition: Partition, progress: Progress, batch: Declared, oldest: int
    ) -> Progress:
        asker = Asker(self.ledger, self.link, partition, batch.first)
        rows = asker.rows_of_range(batch.first, batch.last)
        stored = sum(len(found) for found in rows.values())
        self._gone(
            partition,
            min(progress.carry.need, batch.first),
            oldest - 1,
            f"of the open batch {batch.first}-{batch.last}, {stored} of {batch.rows} rows are"
            " stored",
        )
        return Progress(oldest, CarryNote(oldest))

    def restored(self, partition: Partition) -> None:
        """The carry is rebuilt as far as its records are still there."""
        missing = partition.refinery.restored()
        partition.restoring = False
        if missing:
            self.telemetry.event(
                "carry.gone", "error", partition=partition.tp.partition, lines=missing
            )

    def lost_records(self, partition: Partition, first: int, stop: int) -> None:
        """The bus gave no records [first, stop)."""
        self._gone(partition, first, stop - 1, "before they were read")

    def _gone(self, partition: Partition, first: int, last: int, detail: str) -> None:
        partition.gone.append(records_gone(partition.tp, first, last, detail))
        self.telemetry.event(
            "records.gone",
            "error",
            partition=partition.tp.partition,
            first=first,
            last=last,
            detail=detail,
        )


def commit(consumer: Consumer, link: Link, partition: Partition, what: Commit) -> None:
    """Commit for one partition; Fenced if it is not ours."""
    link.patiently(
        "committing",
        lambda: consumer.commit({partition.tp: what}),
        ours=lambda: not partition.lost,
    )

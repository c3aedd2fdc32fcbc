"""A prepared batch -> the store: signals acknowledged, one block of log rows under the batch's
token, dead letters acknowledged, a block each for files, gaps and dead letters under tokens made
from it.

Order: everything here happens after the declaration and before the confirmation, so a crash at
any point repeats all of it, and every part knows its repetition.

A token alone does not prove that rows are stored: ClickHouse (26.9, tables that are not
replicated) notes it some 80 us before it renames the part, and one that is killed in between
says of a repetition that it is there. So what was not stored at the first attempt is looked at.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from pipeline.base.block import Block
from pipeline.base.clock import Clock
from pipeline.base.errors import Fatal, Rejected
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Broker
from pipeline.contract.metrics import INSERT_RETRIES, INSERT_SECONDS
from pipeline.processor.ask import Asker
from pipeline.processor.dead import Dead, DeadLetters, acknowledged
from pipeline.processor.link import Link
from pipeline.processor.partition import Item, Partition
from pipeline.processor.prepare import Prepared
from pipeline.processor.refused import bisect, read_again, refused_row
from pipeline.processor.side import dead_block, files_block, gaps_block, shed_block
from pipeline.processor.signals import SignalSender
from pipeline.stages.assemble import Window, assemble
from pipeline.store.protocol import Store


class Stale(Exception):
    """The store was away for so long that it may have forgotten the token."""


@dataclass(slots=True)
class Deliverer:
    """Writes to the store and to the dead-letter topic. Keeps nothing between batches."""

    broker: Broker
    store: Store
    letters: DeadLetters
    signals: SignalSender
    link: Link
    clock: Clock
    telemetry: Telemetry
    window: Window

    def deliver(
        self,
        partition: Partition,
        batch: Prepared,
        token: str,
        *,
        careful: bool,
        again: bool,
        look: Asker | None,
        deadline_ms: int | None = None,
    ) -> bool:
        """Store it all. `careful`: rows that are refused become dead letters; otherwise the
        refusal is raised. Past `deadline_ms` (wall clock) a retry raises Stale. `again`: another
        attempt was made before. False: it was taken, and something of it is not there; `look` is
        who is asked, None: nobody."""
        sure = not again

        def insert(table: str, part: Block, name: str) -> None:
            nonlocal sure
            sure &= self._insert(partition, table, part, name, deadline_ms)

        unsent = self.signals.send(partition, batch)  # before `block` moves times into the window
        if unsent:
            self._dead(partition, batch, unsent, f"{token}:signals", insert)
        block = self.block(partition, batch)
        refused: list[Dead] = []

        @cache
        def earlier() -> Sequence[Item]:
            return self.link.patiently(
                "reading records again",
                lambda: read_again(self.broker, partition.tp, partition.carry.need, batch.first),
                ours=lambda: not partition.lost,
            )

        if len(block):
            try:
                insert("logs", block, token)
            except Rejected as error:
                if not careful:
                    raise
                places = bisect(block, token, insert, error)
                refused = [
                    refused_row(partition.tp, batch, block, at, why=why, earlier=earlier)
                    for at, why in places
                ]
        if not (look is None or sure or refused) and batch.lacks_rows(look, partition.carry.need):
            return False  # before it is said what was shed
        self._side(partition, batch, [*batch.dead, *refused], token, insert)
        return look is None or sure or not batch.lacks_side(look)

    def block(self, partition: Partition, batch: Prepared) -> Block:
        """The batch's rows, clamped and sorted."""
        return assemble(
            batch.rows,
            batch.origins,
            partition=partition.tp.partition,
            now_ms=batch.now_ms,
            window=self.window,
        )

    def _side(
        self,
        partition: Partition,
        batch: Prepared,
        dead: list[Dead],
        token: str,
        insert: Callable[[str, Block, str], None],
    ) -> None:
        kp = partition.tp.partition
        low, high = self.window.edges(batch.now_ms)
        edges = low // 1_000_000, high // 1_000_000
        try:
            if batch.files:
                insert("files", files_block(batch.files, kp, edges), f"{token}:files")
            if batch.gaps:
                insert("gaps", gaps_block(batch.gaps, kp, edges), f"{token}:gaps")
        except Rejected as error:
            raise _refused(partition, batch, error) from error
        if dead:
            self._dead(partition, batch, dead, f"{token}:dead", insert)
        if batch.shed:  # last: see Preparer
            try:
                insert("shed", shed_block(batch.shed, kp, edges), f"{token}:shed")
            except Rejected as error:
                raise _refused(partition, batch, error) from error

    def _dead(
        self,
        partition: Partition,
        batch: Prepared,
        dead: list[Dead],
        token: str,
        insert: Callable[[str, Block, str], None],
    ) -> None:
        """Dead letters on their topic, acknowledged, and in their table."""
        self.letters.send(
            dead,
            lambda future: self.link.patiently(
                "sending a dead letter",
                lambda: acknowledged(future, 0.5),
                ours=lambda: not partition.lost,
            ),
        )
        try:
            insert("dead_letters", dead_block(dead, partition.tp.partition, batch.now_ms), token)
        except Rejected as error:
            raise _refused(partition, batch, error) from error

    def _insert(
        self, partition: Partition, table: str, block: Block, token: str, deadline_ms: int | None
    ) -> bool:
        """Was it taken at the first attempt?"""
        failures = 0

        def failed() -> None:
            nonlocal failures
            failures += 1
            self.telemetry.count(INSERT_RETRIES)

        def attempt() -> None:
            if deadline_ms is not None and self.clock.wall_ns() // 1_000_000 > deadline_ms:
                raise Stale
            self.store.insert(table, block, token=token)

        started = self.clock.monotonic()
        self.link.patiently(
            f"inserting into {table}",
            attempt,
            ours=lambda: not partition.lost,
            retried=failed,
        )
        self.telemetry.count(INSERT_SECONDS, self.clock.monotonic() - started)
        return not failures


def _refused(partition: Partition, batch: Prepared, error: Rejected) -> Fatal:
    return Fatal(
        f"{partition.tp.topic}:{partition.tp.partition} records {batch.first}-{batch.last}: the"
        f" store refuses rows that are not log lines: {error}. Compare the tables with"
        " `kubeledger migrate`"
    )

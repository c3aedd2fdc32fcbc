"""A batch: contiguous records, as rows by table. And how it gets into the store.

The token of a table's block is made from the declared range, so a repetition is recognised. A
batch that is delivered with care (declared long ago, or built otherwise than it was declared)
asks first what is there, and brings the rest. So does one that was not stored at the first attempt
and lacks rows: a store killed in the middle of an insert may know the token and not have the rows
(pipeline/processor/deliver.py).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from hashlib import blake2b

from pipeline.base.block import Block
from pipeline.base.clock import Clock
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Position
from pipeline.contract.metrics import INSERT_SECONDS
from pipeline.contract.tables import DEAD_LETTERS
from pipeline.eventlog.blocks import table_block
from pipeline.eventlog.ledger import EventLedger, Key
from pipeline.eventlog.machine import Item
from pipeline.eventlog.rows import Row, fact_rows
from pipeline.processor.dead import Dead, DeadLetters
from pipeline.processor.metadata import LOOKS, rest_token
from pipeline.processor.side import dead_block
from pipeline.stages.assemble import Window
from pipeline.store.protocol import Store

Wait = Callable[["Future[Position]"], None]


@dataclass(slots=True)
class Batch:
    """`keys`: what tells the rows of each table apart. `done`: tables that have their rows, and
    dead letters once they are on their topic."""

    first: int
    last: int
    rows: dict[str, list[Row]]
    dead: list[Dead]
    keys: dict[str, list[Key]]
    done: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, items: Sequence[Item]) -> "Batch":
        rows: dict[str, list[Row]] = {}
        dead: list[Dead] = []
        for item in items:
            if item.row is not None:
                rows.setdefault(item.row.table, []).append(item.row)
            for row in fact_rows(item.facts, item.offset):
                rows.setdefault(row.table, []).append(row)
            dead += item.dead
        keys = {table: [(row.ko, row.key) for row in found] for table, found in rows.items()}
        if dead:
            keys[DEAD_LETTERS.name] = [(letter.offset, letter.id) for letter in dead]
        return cls(items[0].offset, items[-1].offset, rows, dead, keys)

    def empty(self) -> bool:
        """Nothing to store: ticks that nothing followed from."""
        return not self.keys

    def count(self) -> int:
        return sum(map(len, self.keys.values()))

    def shape(self) -> str:
        """Which rows these are. The same records under other rules may give other facts."""
        return _digest(sorted(self.keys.items()))


@dataclass(slots=True)
class Deliverer:
    """Writes to the store and to the dead-letter topic. Keeps nothing between batches."""

    store: Store
    ledger: EventLedger
    letters: DeadLetters
    clock: Clock
    telemetry: Telemetry
    window: Window
    cluster: str

    def deliver(
        self,
        batch: Batch,
        token: str,
        *,
        partition: int,
        now_ms: int,
        careful: bool,
        wait: Wait,
    ) -> None:
        """Store what is not `done`. Unavailable: call again. Rejected: the store refuses rows."""
        if batch.dead and "letters" not in batch.done:
            self.letters.send(batch.dead, wait)
            batch.done.add("letters")
        for table, keys in batch.keys.items():
            if table in batch.done:
                continue
            name = f"{token}:{table}"
            if careful:
                self._bring_rest(batch, table, name, partition=partition, now_ms=now_ms)
            else:
                every = range(len(keys))
                self._insert(table, self._block(batch, table, every, partition, now_ms), name)
            batch.done.add(table)

    def _bring_rest(
        self, batch: Batch, table: str, token: str, *, partition: int, now_ms: int
    ) -> None:
        """What is not there, until it is: a token alone does not prove that. Not for ever, since
        rows may also be missing because they are older than the store keeps any."""
        keys = batch.keys[table]
        for look in range(LOOKS + 1):
            stored = self.ledger.stored(table, partition, batch.first, batch.last)
            missing = [at for at, key in enumerate(keys) if key not in stored]
            if not missing:
                return
            name = rest_token(token, _digest([keys[at] for at in missing]), look)
            self._insert(table, self._block(batch, table, missing, partition, now_ms), name)

    def lacks(self, batch: Batch, partition: int) -> bool:
        """Is a row of it not in the store, though all was taken?"""
        first, last = batch.first, batch.last
        return any(
            not set(keys) <= self.ledger.stored(table, partition, first, last)
            for table, keys in batch.keys.items()
        )

    def _block(
        self, batch: Batch, table: str, wanted: Sequence[int], partition: int, now_ms: int
    ) -> Block:
        if table == DEAD_LETTERS.name:
            return dead_block([batch.dead[at] for at in wanted], partition, now_ms)
        low, high = self.window.edges(now_ms)
        return table_block(
            [batch.rows[table][at] for at in wanted],
            cluster=self.cluster,
            partition=partition,
            edges=(low // 1_000_000, high // 1_000_000),
        )

    def _insert(self, table: str, block: Block, token: str) -> None:
        started = self.clock.monotonic()
        self.store.insert(table, block, token=token)
        self.telemetry.count(INSERT_SECONDS, self.clock.monotonic() - started)


def _digest(value: object) -> str:
    return blake2b(repr(value).encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()

"""One partition that is ours: what was received and not processed, and where we are.

State lives as long as the ownership. It is dropped whole when the partition is lost, and made
again from the group's commit (recovery.py). Records are received in order; anything below
`next` is a repetition and is ignored.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.broker.protocol import Record, TopicPartition
from pipeline.contract.record import Chunk, LogRecord
from pipeline.processor.dead import Dead
from pipeline.processor.metadata import CarryNote, Declared
from pipeline.stages.cover import Cover, StoredRow
from pipeline.stages.decode import Undecodable, decode_event
from pipeline.stages.refine import Refinery
from pipeline.stages.shed import Limiter

_USUAL_LINE = 128  # bytes, for a guess; the batch is counted when it is unpacked (prepare.py)


@dataclass(frozen=True, slots=True)
class Item:
    """A record, its headers read."""

    record: Record
    event: LogRecord | Undecodable

    @property
    def lines(self) -> int:
        """About how many: a collector need not count."""
        if not isinstance(self.event, Chunk):
            return 1
        return 1 + (self.event.lines or self.event.raw_length // _USUAL_LINE)

    @property
    def raw(self) -> int:
        return self.event.raw_length if isinstance(self.event, Chunk) else 0


@dataclass(slots=True, eq=False)
class Partition:
    """`start` is the first record that is in no batch yet. `stored`: rows of an
    earlier attempt, per file, that are to be left out; set, with the `covers` made of them,
    while an open range is finished with care."""

    tp: TopicPartition
    refinery: Refinery
    carry: CarryNote
    start: int = 0
    next: int = 0  # offset of the next record to receive
    ready: bool = False  # the commit was read and the position set
    lost: bool = False
    restoring: bool = False
    open: Declared | None = None
    stored: Mapping[int, Sequence[StoredRow]] | None = None
    covers: Mapping[int, Cover] | None = None
    looks: int = 0  # how often rows of the open range were brought with care, and were not there
    unconfirmed_since: float | None = None
    first_seen: float | None = None  # when the oldest buffered record came
    pods_since: float | None = None  # waiting for pod metadata since then
    paused: bool = False
    held: int = 0
    items: deque[Item] = field(default_factory=deque)
    gone: list[Dead] = field(default_factory=list)
    limiter: Limiter = field(default_factory=Limiter)
    replayed: dict[str, None] = field(default_factory=dict)  # dead letters put back, seen here

    def receive(self, record: Record, now: float) -> int:
        """Take a record. Returns how many records are missing before it."""
        if record.offset < self.next:
            return 0
        missing = record.offset - self.next
        self.next = record.offset + 1
        self.items.append(Item(record, decode_event(record.headers)))
        self.held += len(record.value or b"")
        if self.first_seen is None:
            self.first_seen = now
        return missing

    def leave_out(self, stored: Mapping[int, Sequence[StoredRow]]) -> None:
        """Rows that the open range has in the table already."""
        self.stored = stored
        self.covers = {file_id: Cover.of(rows) for file_id, rows in stored.items()}

    def rows_before(self, file_id: int) -> Sequence[StoredRow]:
        return self.stored.get(file_id, ()) if self.stored is not None else ()

    def take(self, count: int, now: float) -> list[Item]:
        """The oldest records, out of the buffer."""
        taken = [self.items.popleft() for _ in range(count)]
        self.held -= sum(len(item.record.value or b"") for item in taken)
        self.first_seen = now if self.items else None
        return taken

    def put_back(self, items: Sequence[Item], now: float) -> None:
        """Records that were taken and are not wanted yet, in front again."""
        self.items.extendleft(reversed(items))
        self.held += sum(len(item.record.value or b"") for item in items)
        if self.items:
            self.first_seen = now

    def closed(self, rows: int, raw: int) -> tuple[int, bool]:
        """How many buffered records make the next batch, and whether a limit says that no more
        may join it. An open range is a batch of exactly its own records."""
        if self.open is not None:
            last = self.open.last
            count = sum(item.record.offset <= last for item in self.items)
            return count, self.next > last
        lines = size = 0
        for count, item in enumerate(self.items):
            lines += item.lines
            size += item.raw
            if count and (lines > rows or size > raw):
                return count, True
            if lines >= rows or size >= raw:
                return count + 1, True
        return len(self.items), False

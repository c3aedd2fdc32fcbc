"""What to do when the partition has just become ours.

The group's commit says up to where all is stored, and whether a range was declared and not
confirmed. The machine must be at or before that offset, to build the very same rows and facts
from there: it stays where it is if its backlog reaches back so far, else it becomes the newest
snapshot that is not beyond, else it begins some hours before, or at the oldest record that is left.
"""

from dataclasses import dataclass, replace

from pipeline.base.checksum import crc32c
from pipeline.base.clock import Clock
from pipeline.base.errors import Fatal
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Commit, Consumer, Reader, TopicPartition
from pipeline.contract.metrics import RECOVERED, STATE_GONE
from pipeline.eventlog.backlog import Backlog
from pipeline.eventlog.holding import Holding
from pipeline.eventlog.keeper import Keeper
from pipeline.eventlog.machine import Machine
from pipeline.eventlog.outbox import Outbox
from pipeline.eventlog.snapshots import Head
from pipeline.processor.link import Link
from pipeline.processor.metadata import CarryNote, Declared, Progress, read_progress

_LOOKS, _LOOK_S = 20, 0.5  # at the record before a snapshot


@dataclass(slots=True)
class Takeover:
    """Reads commits, positions the machine. `window_ms`: how long the store knows tokens.
    `refold_ms`: how far back events are folded again when there is no snapshot."""

    machine: Machine
    backlog: Backlog
    outbox: Outbox
    keeper: Keeper
    consumer: Consumer
    reader: Reader
    link: Link
    clock: Clock
    telemetry: Telemetry
    window_ms: int
    refold_ms: int

    def start(self, holding: Holding) -> None:
        """Make the holding ready."""
        tp = holding.tp
        oldest, end, found = self.link.patiently(
            "reading the group's position",
            lambda: (
                self.reader.beginning_offset(tp),
                self.reader.end_offset(tp),
                self.consumer.committed(tp),
            ),
            ours=lambda: not holding.lost,
        )
        progress = self._progress(holding, found, oldest, end)
        self.link.patiently(
            "reading the event log",
            lambda: self._position(tp, progress.offset, oldest),
            ours=lambda: not holding.lost,
        )
        self.consumer.seek(tp, self.machine.next)
        holding.start = progress.offset
        if progress.open is not None:
            self._reopen(holding, progress.open, oldest)
        self.telemetry.event(
            "working", start=holding.start, folded=self.machine.next, end=end, oldest=oldest
        )
        holding.ready = True

    def _progress(self, holding: Holding, found: Commit | None, oldest: int, end: int) -> Progress:
        tp = holding.tp
        if found is None:
            holding.doubtful = end
            return Progress(oldest, CarryNote(oldest))
        progress = read_progress(tp, found)
        if progress.offset > end:
            raise Fatal(
                f"{tp.topic}:{tp.partition} ends at {end}, but the group stands at"
                f" {progress.offset}: the topic was made anew. If that was meant, delete the"
                " group's offsets; new records are then read from the beginning"
            )
        if progress.offset >= oldest:
            return progress
        self.telemetry.count(STATE_GONE, oldest - progress.offset, before="stored")
        self.telemetry.event(
            "events.gone", "error", before="stored", first=progress.offset, last=oldest - 1
        )
        if progress.open is not None and progress.open.last < oldest:
            progress = replace(progress, open=None)
        return replace(progress, offset=oldest)

    def _position(self, tp: TopicPartition, start: int, oldest: int) -> None:
        """The machine at or before `start`, with all that it folded from there in the backlog."""
        machine, backlog = self.machine, self.backlog
        backlog.drop_below(start, self.clock.monotonic())
        kept = machine.next if backlog.first is None else backlog.first
        if machine.next > start and kept > start:
            backlog.clear()
            self.outbox.forget()
            machine.start_at(0)
        self.catch_up_from(tp, start, oldest)

    def catch_up_from(self, tp: TopicPartition, upto: int, oldest: int) -> None:
        """Take a snapshot if that saves folding, and look what retention has removed."""
        machine = self.machine
        if machine.next < upto:
            self.keeper.load(upto, lambda head: self._fits(tp, head, oldest))
        if machine.fresh and machine.next < upto:
            machine.start_at(self._beginning(tp, upto, oldest))
            self.telemetry.event("folding-again", first=machine.next, upto=upto, oldest=oldest)
        elif machine.next < oldest:
            machine.skip_to(oldest)

    def _beginning(self, tp: TopicPartition, upto: int, oldest: int) -> int:
        """Without a snapshot: not the whole log, but so much of it."""
        since = self.clock.wall_ns() // 1_000_000 - self.refold_ms
        found = self.reader.offset_for_time(tp, since)
        return min(max(oldest, upto if found is None else found), upto)

    def _fits(self, tp: TopicPartition, head: Head, oldest: int) -> bool:
        at = head.offset - 1
        if head.record is None or at < oldest:
            return True
        self.reader.assign([tp])
        self.reader.seek(tp, at)
        for _ in range(_LOOKS):
            for record in self.reader.poll(_LOOK_S):
                if record.offset >= at:
                    return record.offset == at and crc32c(record.value or b"") == head.record
        return False

    def _reopen(self, holding: Holding, declared: Declared, oldest: int) -> None:
        """Show that the range is ours to finish: only an owner can commit."""
        careful = declared.split or declared.first < oldest or self.stale(declared)
        holding.open, holding.again = replace(declared, split=careful), True
        self.commit(holding)
        self.telemetry.count(RECOVERED, how="careful" if careful else "token")
        self.telemetry.event(
            "recovering", first=declared.first, last=declared.last, careful=careful
        )

    def stale(self, declared: Declared) -> bool:
        """May the store have forgotten the range's token?"""
        now_ms = self.clock.wall_ns() // 1_000_000
        return abs(now_ms - declared.declared_ms) > self.window_ms // 2

    def commit(self, holding: Holding) -> None:
        """All before `start` is stored, `open` is being stored. Fenced if it is not ours."""
        progress = Progress(holding.start, CarryNote(holding.start), holding.open)
        self.link.patiently(
            "committing",
            lambda: self.consumer.commit({holding.tp: progress.commit()}),
            ours=lambda: not holding.lost,
        )
        holding.unconfirmed_since = None

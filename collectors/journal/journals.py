"""Journals of a node on their way to kubeledger.logs: the same promises as for files.

Each log (a unit, systemd, the kernel) is a row of virtual files, one after the other: a new boot,
or a size, begins the next one. Only the first of the row is sent; the next begins when the end
record of the one before it is acknowledged, so at any time one file per log is open.

Where reading goes on after a restart is in the positions: per log the cursor behind which nothing
is acknowledged. A log that is silent gets the cursor that was read last, now and then, so that a
restart neither reads days again nor takes it for lost. Reading begins at the smallest of them;
what a log has acknowledged already is passed over.

When the entry to go on at is gone (vacuumed, overwritten), every log that may have lost entries
ends with a gap `rotated-away` whose length nobody knows: one byte at least, `exact` = 0.

State: the files, the last cursor read, the cursors up to which each log is passed over.
"""

from collections import deque
from collections.abc import Iterator
from functools import cmp_to_key
from typing import TYPE_CHECKING, Protocol

from collectors.journal.entries import Entry, Lost, compare, cursor_parts
from collectors.journal.virtual import VirtualFile, source_of
from collectors.logs.identity import file_id
from collectors.logs.positions import Position, Positions
from collectors.ship import Shipper
from collectors.virtual import ship_due
from pipeline.base.clock import Clock
from pipeline.base.telemetry import Telemetry
from pipeline.contract import metrics
from pipeline.contract.record import JOURNAL, ROTATED_AWAY

if TYPE_CHECKING:
    from collectors.config import CollectConfig

ROTATED = "rotated"  # reason of end records
_STEP_BYTES = 1 << 20  # of the journal's own text, read in one tick
_BUSY_S = 3.0
_KEEP_S = 1.0
_LONG_AGO_S = 3600.0  # longer than any linger


class EntrySource(Protocol):
    """journald.py or kmsg.py."""

    def begin(self, cursor: str) -> None: ...

    def read(self, size: int) -> Iterator[Entry | Lost]: ...

    def close(self) -> None: ...


class Journals:
    """Drive it with `step`. Single-threaded."""

    def __init__(
        self,
        config: "CollectConfig",
        source: EntrySource,
        *,
        ship: Shipper,
        positions: Positions,
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
        self._config = config
        self._source = source
        self._ship = ship
        self._positions = positions
        self._telemetry = telemetry
        self._clock = clock
        self._files: dict[str, deque[VirtualFile]] = {}
        self._passed: dict[str, str] = {}  # log -> mark up to which entries are passed over
        self._read = ""  # cursor of the last entry
        self._lost = ""  # why entries are missing before the next one
        self._grown_at = self._next_keep = self._next_mark = float("-inf")

    @property
    def busy(self) -> bool:
        """Entries come, or wait to be sent or acknowledged."""
        young = self._clock.monotonic() - self._grown_at < _BUSY_S
        return young or self._held() > 0

    @property
    def trouble(self) -> str | None:
        return self._positions.trouble

    def begin(self) -> None:
        """Where an earlier life stopped."""
        for found, position in self._positions.items():
            if position.mark:
                self._pass_over(position.source.container, position.mark)
            if not position.ended:
                self._continue(found, position)
        marks = [m for program in self._files if (m := self._passed.get(program))]
        # What is open must be read again from its mark on; what has ended is acknowledged.
        if marks:
            start = min(marks, key=_ORDER)
        else:
            start = max(self._passed.values(), key=_ORDER, default="")
        self._source.begin(_cursor(start))

    def _pass_over(self, program: str, mark: str) -> None:
        old = self._passed.get(program)
        if old is None or _before(old, mark) < 0:
            self._passed[program] = mark

    def _continue(self, found: int, position: Position) -> None:
        boot = cursor_parts(_cursor(position.mark)).get("b", "")
        file = VirtualFile(position.source, found, boot=boot, base=position.acked)
        file.size = max(position.size, position.acked)
        file.exact = not (position.acked and position.mark.startswith("<"))  # its last was a gap
        self._files.setdefault(position.source.container, deque()).append(file)

    def step(self, now: float) -> None:
        """One tick of the agent's loop."""
        self._ship.settle()
        for row in self._files.values():
            for file in row:
                file.settle()
        if self._ship.room() and self._held() < self._config.journal.held_bytes:
            for found in self._source.read(_STEP_BYTES):
                self._take(found, now)
        for row in self._files.values():
            self._send(row, now)
        if now >= self._next_keep:
            self._next_keep = now + _KEEP_S
            self._keep(now)

    def drain(self, timeout_s: float) -> None:
        """Send what is held; wait for acknowledgements, but not for ever."""
        deadline = self._clock.monotonic() + timeout_s
        self._source.close()
        while True:
            self._ship.settle()
            for row in self._files.values():
                for file in row:
                    file.settle()
                self._send(row, self._clock.monotonic() + _LONG_AGO_S)
            left = deadline - self._clock.monotonic()
            if left <= 0 or not (self._held() or self._ship.in_flight):
                break
            self._clock.sleep(min(left, 0.01))
        self._next_mark = float("-inf")
        self._keep(self._clock.monotonic())

    def _held(self) -> int:
        return sum(file.held for row in self._files.values() for file in row)

    # -- entries -----------------------------------------------------------------------------

    def _take(self, found: Entry | Lost, now: float) -> None:
        if isinstance(found, Lost):
            self._lost = found.why
            return
        if self._lost:
            self._missing(found)
        self._read, self._grown_at = found.cursor, now
        passed = self._passed.get(found.program)
        if passed is not None:
            behind = compare(found.cursor, _cursor(passed))
            if behind < 0 or (behind == 0 and not passed.startswith("<")):
                return
            del self._passed[found.program]
        self._telemetry.count(metrics.JOURNAL_ENTRIES, log=found.program)
        self._file_for(found).add(found)

    def _file_for(self, entry: Entry) -> VirtualFile:
        row = self._files.setdefault(entry.program, deque())
        file = row[-1] if row else None
        if file is not None and not file.finished:
            same_boot = not file.boot or file.boot == entry.boot
            if same_boot and file.end < self._config.journal.file_bytes:
                return file
            file.finished = True
        source = source_of(self._config.node, entry)
        row.append(VirtualFile(source, self._new_id(entry), boot=entry.boot))
        row[-1].first = entry.cursor
        return row[-1]

    def _new_id(self, entry: Entry) -> int:
        epoch = 0
        while True:
            found = file_id(self._config.node, entry.program, 0, entry.cursor.encode(), epoch)
            if self._positions.get(found) is None:
                return found
            epoch += 1

    def _missing(self, entry: Entry) -> None:
        """Entries before this one are gone. Of which logs, nobody knows: of those that had not
        been read beyond it."""
        for program, row in self._files.items():
            seen = [_cursor(self._passed.get(program, "")), self._read]
            beyond = any(cursor and compare(cursor, entry.cursor) >= 0 for cursor in seen)
            if row and not row[-1].finished and not beyond:
                row[-1].finished, row[-1].lost = True, f"<{entry.cursor}"
        self._telemetry.event(
            "journal-entries-lost", level="warn", why=self._lost, before=entry.cursor
        )
        self._lost = ""

    # -- sending -----------------------------------------------------------------------------

    def _send(self, row: "deque[VirtualFile]", now: float) -> None:
        while row:
            file = row[0]
            self._open(file)
            ship_due(file, self._ship, self._config.reading, now)
            if not (file.finished and self._concluded(file)):
                return
            row.popleft()

    def _open(self, file: VirtualFile) -> None:
        """The journal of positions knows it before the broker does."""
        if self._positions.get(file.lane.file_id) is None:
            self._positions.opened(file.lane.file_id, file.lane.source, format=JOURNAL)
            self._positions.marked(file.lane.file_id, f"<{file.first}")
            self._positions.sync()

    def _concluded(self, file: VirtualFile) -> bool:
        """Send the end record of a file that is sent and acknowledged; True once that is."""
        lane = file.lane
        if file.ending:
            return lane.ended
        if file.sent < file.end or not lane.idle:
            return False
        file.ending = True
        if file.lost:
            stop = max(file.size, file.end + 1)
            self._ship.gap(lane, file.end, stop, reason=ROTATED_AWAY, exact=False, mark=file.lost)
            self._ship.end(lane, stop, reason=ROTATED, exact=False)
        else:
            self._ship.end(lane, file.end, reason=ROTATED, exact=file.exact)
        return False

    # -- positions ---------------------------------------------------------------------------

    def _keep(self, now: float) -> None:
        for row in self._files.values():
            if row:
                self._positions.saw(row[0].lane.file_id, max(row[0].size, row[0].end))
        if now >= self._next_mark and self._read:
            self._next_mark = now + self._config.journal.mark_s
            self._mark_silent_logs()
        self._positions.sync()

    def _mark_silent_logs(self) -> None:
        """Everything of them up to the last entry read is acknowledged."""
        kept: dict[str, tuple[int, Position]] = {}
        for found, position in self._positions.items():
            program = position.source.container
            rival = kept.get(program)
            if rival is None:
                kept[program] = found, position
            elif rival[1].ended and _newer(position, rival[1]):
                self._positions.forget(rival[0])
                kept[program] = found, position
            elif position.ended:
                self._positions.forget(found)
        for program, (found, _) in kept.items():
            row = self._files.get(program)
            quiet = not row or (len(row) == 1 and row[0].lane.idle and not row[0].held)
            passed = self._passed.get(program)
            if quiet and (passed is None or compare(_cursor(passed), self._read) < 0):
                self._positions.marked(found, self._read)


def _cursor(mark: str) -> str:
    return mark.removeprefix("<")


def _before(one: str, other: str) -> int:
    """Marks in order; the one before an entry is before the one behind it."""
    behind = (not one.startswith("<")) - (not other.startswith("<"))
    return compare(_cursor(one), _cursor(other)) or behind


_ORDER = cmp_to_key(_before)


def _newer(position: Position, than: Position) -> bool:
    return not position.ended or _before(than.mark, position.mark) < 0

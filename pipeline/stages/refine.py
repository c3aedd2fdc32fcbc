"""Records of one partition, in order -> rows, batch by batch. Pure: no clock, no I/O.

State: `files` (how far each file was read, and what is unfinished of it) and the piece that is
being filled. Between two batches everything that is not a row yet is in the carry, which can
be written down (`carry`) and rebuilt (`expect`, `restore`).

Given the same state, records and `now`, the rows are the same: that is what lets a batch be
rebuilt after a crash and inserted under the same token.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pipeline.contract.record import STARTS_MID_LINE, UNTERMINATED, Chunk, FileEvent
from pipeline.stages.carry import CarryEntry, FileState, entries, pack
from pipeline.stages.cover import Cover, StoredRow, drop_before, uncovered
from pipeline.stages.join import join
from pipeline.stages.lines import STDERR, STDOUT
from pipeline.stages.middle import expect, expect_rest, follow_middle
from pipeline.stages.pieces import PIECE_BYTES, Piece, PieceChunk, lead_of
from pipeline.stages.rows import Origins, PodView, Rows, concat
from pipeline.stages.weaver import Weaver


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of what may stay unfinished."""

    row_bytes: int = 1024 * 1024
    hold_ms: int = 5_000  # after its last part, an unfinished row is stored as partial
    remember_ms: int = 60_000  # how long a line that was cut is recognised again
    carry_bytes: int = 32 * 1024 * 1024
    carry_text: int = 3_600  # characters in the commit metadata
    files: int = 50_000


class Refinery:
    """One partition's way from raw bytes to rows."""

    def __init__(self, bounds: Bounds) -> None:
        self.files: dict[int, FileState] = {}
        self.origins = Origins()
        self.trimmed = 0  # bytes that were stored before, in this batch
        self._bounds = bounds
        self._weaver = Weaver(bounds.row_bytes)
        self._piece: Piece | None = None
        self._parts: list[Rows] = []
        self._held: dict[int, FileState] = {}
        self._expected: dict[int, list[CarryEntry]] = {}
        self._ages: list[tuple[FileState, CarryEntry]] = []

    @property
    def partial(self) -> int:
        """Rows stored as partial so far."""
        return self._weaver.partial

    def begin(self, now_ms: int) -> None:
        """A new batch; `now_ms` decides what has been unfinished for too long."""
        if not self._parts:
            self.origins = Origins()
        self.trimmed = 0
        self._weaver.now_ms = now_ms

    def file(self, event: FileEvent) -> FileState:
        """The state of a record's file."""
        state = self.files.get(event.file_id)
        if state is None:
            state = self.files[event.file_id] = FileState(event.file_id, event.source)
        return state

    def known(self, event: Chunk) -> bool:
        """Is all of the chunk below the file's mark? Then it is left out, and counted."""
        known = event.offset + event.raw_length <= self.file(event).next
        if known:
            self.trimmed += event.raw_length
        return known

    def chunk(
        self, rec: int, event: Chunk, raw: bytes, pod: PodView, cover: Cover | None = None
    ) -> None:
        """The next chunk of a file. What is below the file's mark is cut off. With `cover`, the
        lines that it knows to be stored are left out as well."""
        file = self.file(event)
        skip = max(file.next - event.offset, 0)
        if skip >= len(raw):
            self.trimmed += len(raw)
            return
        self.trimmed += skip
        self._add(file, rec, event, raw, pod, cover, skip)

    def replayed(
        self,
        rec: int,
        event: Chunk,
        raw: bytes,
        pod: PodView,
        cover: Cover,
        stream: int | None = None,
    ) -> list[StoredRow]:
        """A chunk out of its order, put back from the dead letters: it stands alone. With
        `stream` it is one refused row, and only lines of that stream are meant. Returns which
        bytes its rows hold."""
        self._flush()
        before = len(self._parts)
        file = FileState(event.file_id, event.source, next=event.offset)
        if stream is not None:
            cover = cover.only(stream)
            if stream in (STDOUT, STDERR) and event.flags & STARTS_MID_LINE:
                expect_rest(file, rec, event, stream)
        if raw:
            self._add(file, rec, event, raw, pod, cover, 0)
        self._flush()
        self._close(file, rec)
        self._held.pop(event.file_id, None)
        kept = self.files.get(event.file_id)
        if kept is not None:
            self._note(kept)
        return [row for part in self._parts[before:] for row in part.stored()]

    def _add(
        self,
        file: FileState,
        rec: int,
        event: Chunk,
        raw: bytes,
        pod: PodView,
        cover: Cover | None,
        skip: int,
    ) -> None:
        data = raw[skip:] if skip else raw
        inside = raw[skip - 1] != 10 if skip else bool(event.flags & STARTS_MID_LINE)
        waits = self._piece is not None and file.file_id in self._piece.files
        changes = inside or file.pod != pod or file.next < event.offset
        if waits and (changes or file.middle() is not None):
            self._flush()
        if file.next < event.offset:  # bytes are missing: nothing may be joined across
            self._close(file, rec)
        middle = file.middle()
        if middle is not None and not inside:
            self._close(file, rec)
        file.pod = pod
        chunk = PieceChunk(file, rec, event, event.offset + skip, data, data[-1] != 10)
        chunk.lead = lead_of(file) if inside else None
        chunk.cover = cover
        chunk.origin = self._origin(file)
        if self._piece is not None and self._piece.format != event.format:
            self._flush()
        if self._piece is None:
            self._piece = Piece(event.format)
        self._piece.add(chunk)
        file.next = event.offset + len(raw)
        if chunk.torn or self._piece.size >= PIECE_BYTES:
            self._flush()
        if chunk.torn and event.flags & UNTERMINATED:
            self._close(file, rec)

    def end(self, rec: int, event: FileEvent) -> None:
        """The file is finished: nothing will complete what is open."""
        file = self.files.get(event.file_id)
        if file is not None:
            self._flush()
            self._close(file, rec)
            file.ended = True

    def gap(self, rec: int, event: FileEvent, stop: int) -> bool:
        """Bytes before `stop` will not come. False if that was known."""
        file = self.file(event)
        self._flush()
        if stop <= file.next:
            return False
        self._close(file, rec)
        file.next = stop
        return True

    def skip(self, rec: int, event: Chunk) -> None:
        """A chunk that was put aside: its bytes are accounted for elsewhere."""
        self.gap(rec, event, event.offset + event.raw_length)

    def finish(self, now_ms: int, first: int, ko: int) -> Rows:
        """The rows of the batch [first..ko]. What is unfinished for too long, or too much, comes
        out too, as completed by `ko`."""
        self._flush()
        for file in [self._held[key] for key in sorted(self._held)]:
            for entry in entries(file):
                self._expire(file, entry, now_ms, ko)
            self._note(file)
        self._relieve(now_ms, ko)
        self._parts.append(self._weaver.out.take())
        rows = concat([part for part in self._parts if len(part)])
        self._parts = []
        rows.ko = np.maximum(rows.ko, min(first, ko))
        self._forget()
        return rows

    def _expire(self, file: FileState, entry: CarryEntry, now_ms: int, ko: int) -> None:
        stream = entry.stream
        line = file.open.get(stream)
        for held in (line, file.groups.get(stream)):
            if held is not None:
                held.last_ms = min(entry.last_ms, now_ms)
        age = now_ms - entry.last_ms
        if line is not None and not line.nbytes and stream not in file.groups:
            if age >= self._bounds.remember_ms:
                del file.open[stream]
        elif age >= self._bounds.hold_ms:
            self._weaver.close_stream(file, stream, ko, self._origin(file))

    def _relieve(self, now_ms: int, ko: int) -> None:
        """Put out the oldest while the carry is over a bound."""
        while self._held:
            carry = self.carry()
            held = sum(file.held() for file in self._held.values())
            text = len(pack(carry, need=min(e.rec for e in carry), base_ms=now_ms))
            if held <= self._bounds.carry_bytes and text <= self._bounds.carry_text:
                return
            oldest = sorted(
                (entry.last_ms, entry.rec, entry.pos, entry.stream, key)
                for key, file in self._held.items()
                for entry in entries(file)
            )
            for *_, stream, key in oldest[: max(len(oldest) // 8, 1)]:
                file = self._held[key]
                self._weaver.close_stream(file, stream, ko, self._origin(file))
                file.open.pop(stream, None)
            for *_, key in oldest:
                if key in self._held:
                    self._note(self._held[key])

    def carry(self) -> list[CarryEntry]:
        """What is unfinished, in a form that can be written down."""
        return [entry for key in sorted(self._held) for entry in entries(self._held[key])]

    def due_ms(self) -> int | None:
        """When the oldest unfinished row must be put out."""
        ages = [
            entry.last_ms
            for file in self._held.values()
            for entry in entries(file)
            if entry.stream in file.groups or file.open[entry.stream].nbytes
        ]
        return min(ages) + self._bounds.hold_ms if ages else None

    def expect(self, carry: Iterable[CarryEntry]) -> None:
        """Start from a carry that was written down: `restore` is called next, with the records
        from the smallest one named up to where the carry was taken."""
        for entry in carry:
            self._expected.setdefault(entry.rec, []).append(entry)

    def restores(self, rec: int, event: Chunk) -> bool:
        """Does the carry need this chunk from before the batch?"""
        file = self.files.get(event.file_id)
        return rec in self._expected or (file is not None and file.only is not None)

    def restore(
        self, rec: int, event: Chunk, raw: bytes, pod: PodView, cover: Cover | None = None
    ) -> None:
        """A chunk from before the batch that the carry needs."""
        for entry in self._expected.pop(rec, ()):
            file = self.file(event)
            expect(file, event, entry)
            self._ages.append((file, entry))
        state = self.files.get(event.file_id)
        if state is not None and state.only is not None and raw:
            self.chunk(rec, event, raw, pod, cover)

    def restored(self) -> int:
        """The carry is complete, with the ages that were written down. Returns how many entries
        named a record that is gone."""
        self._flush()
        for file, entry in self._ages:
            for held in (file.open.get(entry.stream), file.groups.get(entry.stream)):
                if held is not None:
                    held.last_ms = entry.last_ms
            file.only = None
            self._note(file)
        self._ages = []
        missing, self._expected = self._expected, {}
        return sum(len(group) for group in missing.values())

    def _flush(self) -> None:
        """Parse and join the piece."""
        piece, self._piece = self._piece, None
        if piece is None:
            return
        lines = piece.parse()
        for chunk in piece.chunks:
            if chunk.file.only is not None:
                drop_before(lines, chunk.lines, chunk.file.only)
            if chunk.cover is not None:
                uncovered(lines, chunk.lines, chunk.cover)
        if not lines.size.all():
            lines = lines.select(lines.size > 0)
        self._parts.append(join(lines, piece.chunks, self._weaver))
        for chunk in piece.chunks:
            follow_middle(chunk, self._weaver.now_ms)
        for chunk in piece.chunks:
            self._note(chunk.file)

    def _close(self, file: FileState, rec: int) -> None:
        if file.open or file.groups:
            self._weaver.close_file(file, rec, self._origin(file))
            self._parts.append(self._weaver.out.take())
            self._note(file)

    def _origin(self, file: FileState) -> int:
        return self.origins.index(file.file_id, file.source, file.pod)

    def _note(self, file: FileState) -> None:
        if file.open or file.groups:
            self._held[file.file_id] = file
        else:
            self._held.pop(file.file_id, None)

    def _forget(self) -> None:
        """Files that ended, and the oldest above a bound; the store remembers them."""
        for key in [k for k, f in self.files.items() if f.ended and k not in self._held]:
            del self.files[key]
        if len(self.files) > self._bounds.files:
            spare = [key for key in self.files if key not in self._held]
            for key in spare[: len(self.files) - self._bounds.files]:
                del self.files[key]

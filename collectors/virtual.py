"""A file that is on no disk: what the ledger calls lines that came from somewhere else.

Its offsets count the bytes of its lines. Bytes are held from their coming to their
acknowledgement, so they can be cut again when the broker refuses them. Whoever fills it bounds it.

Invariants: base <= sent <= end; everything before `base` is acknowledged, the bytes from `base` to
`end` are held.
"""

from typing import TYPE_CHECKING

from collectors.bounds import MAX_CHUNK_RAW
from collectors.logs.tail import Piece
from collectors.ship import Lane, Shipper
from pipeline.contract.record import Source

if TYPE_CHECKING:
    from collectors.config import ReadingConfig


class HeldFile:
    """`base` is acknowledged, `sent` is on its way, `end` is there. Subclasses say where a chunk
    may stop."""

    def __init__(self, source: Source, file_id: int, *, form: str, base: int = 0) -> None:
        self.lane = Lane(source, file_id, form, acked=base, owner=self)
        self.base = self.sent = base
        self.announced = base > 0
        self.finished = False  # nothing will be added
        self.exact = True  # no gap of unknown length in it
        self.ending = False  # its end record is on the way
        self._held = bytearray()
        self._limit = MAX_CHUNK_RAW
        self._shipped_at = float("-inf")

    @property
    def end(self) -> int:
        return self.base + len(self._held)

    @property
    def held(self) -> int:
        return len(self._held)

    def settle(self) -> None:
        """Let go of what is acknowledged."""
        acked = self.lane.acked
        if acked > self.base:
            del self._held[: acked - self.base]
            self.base = acked
            self.sent = max(self.sent, acked)

    def due(self, now: float, *, target: int, linger: float) -> bool:
        """Is there something to ship now?"""
        unsent = self.end - self.sent
        if not unsent or self.lane.halted or self.ending:
            return False
        return unsent >= target or self.finished or now - self._shipped_at >= linger

    def cut(self, now: float, *, target: int) -> Piece:
        """The next chunk: what belongs together, up to about `target` bytes, at least one."""
        bound = self.sent + min(target, self._limit)
        stop, mark = self._stop(bound)
        # What cannot be cut smaller becomes a gap if it is refused again.
        self.lane.owner = None if stop > bound and self._limit < target else self
        offset, self.sent = self.sent, stop
        self._shipped_at = now
        raw = memoryview(bytes(self._held[offset - self.base : stop - self.base]))
        return Piece(offset=offset, raw=raw, flags=0, first_ts="", last_ts="", mark=mark)

    def _stop(self, bound: int) -> tuple[int, str]:
        """Where the chunk that begins at `sent` stops, at `bound` or before if it can; and the
        mark of that place."""
        raise NotImplementedError

    def reread(self, offset: int, *, limit: int) -> None:
        """The broker did not take what starts there: again, smaller (0: as large as before)."""
        self.sent = max(offset, self.base)
        self.announced = self.announced and offset > 0
        self._limit = limit or self._limit


def ship_due(file: HeldFile, ship: Shipper, reading: "ReadingConfig", now: float) -> None:
    """Chunks of the file that are due, as long as there is room."""
    while ship.room() and file.due(now, target=reading.chunk_bytes, linger=reading.linger_s):
        if not file.announced:
            ship.open(file.lane)
            file.announced = True
        piece = file.cut(now, target=min(reading.chunk_bytes, MAX_CHUNK_RAW))
        ship.chunk(file.lane, piece, pod_version=0)

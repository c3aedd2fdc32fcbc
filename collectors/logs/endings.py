"""How files end, and every place where bytes can be lost: each loss gets a name here.

A file ends with an `end` record behind its last chunk, sent only when all before it is
acknowledged. Bytes that will not come are named in a `gap` record in front of it:

  truncated     the file became shorter than what had been seen of it
  held-limit    deleted files held open grew beyond the bound: the oldest is given up
  unreadable    read errors, a damaged archive
  rotated-away, deleted    found missing at start: gone while no collector ran

A lane that leaves its file (given up, truncated, missing) stays claimed until its end record is
acknowledged, so that nothing else can take its id or its position.
"""

import os
from collections.abc import Iterable

from collectors.logs.positions import Position
from collectors.logs.reader import Archive
from collectors.logs.registry import Registry
from collectors.logs.stream import DELETED, REPLACED, ROTATED, TRUNCATED, Stream
from collectors.logs.tail import Tail
from collectors.ship import Lane, Shipper
from pipeline.base.telemetry import Telemetry
from pipeline.contract import metrics, record

_RETRY_S = 5.0
_TRIES = 3


class Endings:
    def __init__(self, ship: Shipper, registry: Registry, *, telemetry: Telemetry) -> None:
        self._ship = ship
        self._registry = registry
        self._telemetry = telemetry
        self._leaving: list[tuple[Lane, Tail]] = []

    def conclude(self, stream: Stream, tail: Tail) -> bool:
        """Send the end record of a file that is finished, read and acknowledged; close it once
        that is acknowledged. True when closed."""
        lane = tail.lane
        if lane is None or not tail.complete:
            return False
        if tail.ending:
            return lane.ended and self._close(stream, tail, lane)
        if tail.drained and lane.idle:
            self._end(tail, lane)
        return False

    def _end(self, tail: Tail, lane: Lane) -> None:
        reader, size, exact = tail.reader, tail.offset, True
        if isinstance(reader, Archive) and reader.damage:
            known = self._registry.positions.get(lane.file_id)
            size, exact = max(reader.expected, size, known.size if known else 0), False
            self._ship.gap(lane, tail.offset, size, reason=record.UNREADABLE, exact=False)
            self._telemetry.event(
                "archive-damaged", level="warn", path=tail.entry.path, offset=tail.offset,
                reason=reader.damage,
            )  # fmt: skip
        lane.retired = _is_history(tail)
        self._ship.end(lane, size, reason=tail.finish or ROTATED, exact=exact)
        tail.ending = True

    def _close(self, stream: Stream, tail: Tail, lane: Lane) -> bool:
        if not isinstance(tail.reader, Archive) and os.fstat(tail.reader.fd).st_size > tail.offset:
            # Written to after all: it goes on, and will get a second end record.
            tail.ending = lane.ended = False
            return False
        self._registry.release(lane.file_id, tail)
        stream.close(tail, file_id=lane.file_id)
        return True

    def truncated(self, tail: Tail, *, seen: int) -> None:
        """The file starts anew below what was read; `seen` is how large it had been. What
        follows is another file, from offset 0."""
        lane = tail.lane
        if lane is not None and not lane.ended:
            self._leave(tail, lane, seen, gap=record.TRUNCATED, end=TRUNCATED)
        tail.start_over()

    def give_up_held(self, streams: Iterable[Stream], limit: int) -> None:
        """Files that have no name any more use up the disk until they are closed: past the
        limit the oldest go."""
        held = [(s, t) for s in streams for t in s.tails if t.unlinked]
        held.sort(key=lambda pair: pair[1].grown_at)
        total = sum(tail.size for _, tail in held)
        self._telemetry.gauge(metrics.HELD_BYTES, total)
        for stream, tail in held:
            if total <= limit:
                break
            if tail.lane is None:
                tail.expect_no_more(tail.finish or DELETED)
                stream.identify(tail)
            total -= tail.size
            if tail.lane is not None:
                lane, end = tail.lane, tail.finish or DELETED
                if tail.ending:
                    self._leaving.append((lane, tail))
                else:
                    self._leave(tail, lane, tail.size, gap=record.HELD_LIMIT, end=end)
                stream.close(tail, file_id=lane.file_id)

    def unreadable(self, tail: Tail, error: OSError, *, now: float) -> None:
        """A read failed. Try again a few times, then name the rest of what is there."""
        tail.failures += 1
        tail.retry_at = now + _RETRY_S
        self._telemetry.event(
            "read-error", level="error", path=tail.entry.path, offset=tail.offset,
            reason=error.strerror, attempt=tail.failures,
        )  # fmt: skip
        if tail.failures >= _TRIES and tail.lane is not None and tail.size > tail.offset:
            self._ship.gap(tail.lane, tail.offset, tail.size, reason=record.UNREADABLE, exact=False)
            tail.skip_to(tail.size)
            tail.failures = 0

    def missing(self, file_id: int, position: Position, *, siblings: bool) -> None:
        """A file of an earlier life that is nowhere: name what was never acknowledged.
        `siblings`: other files of its container are still there, so rotation took it."""
        lane = Lane(position.source, file_id, position.format, acked=position.acked)
        gap, end = (record.ROTATED_AWAY, ROTATED) if siblings else (record.DELETED, DELETED)
        size = max(position.size, position.acked)
        if size > position.acked:
            self._ship.gap(lane, position.acked, size, reason=gap, exact=False)
        self._ship.end(lane, size, reason=end, exact=False)

    def release_left(self) -> None:
        """Lanes whose end record is acknowledged give their ids back."""
        for lane, tail in [pair for pair in self._leaving if pair[0].ended]:
            self._registry.release(lane.file_id, tail)
        self._leaving = [pair for pair in self._leaving if not pair[0].ended]

    def _leave(self, tail: Tail, lane: Lane, size: int, *, gap: str, end: str) -> None:
        if size > tail.offset:
            self._ship.gap(lane, tail.offset, size, reason=gap, exact=False)
        lane.retired = _is_history(tail)
        self._ship.end(lane, max(size, tail.offset), reason=end, exact=False)
        lane.owner = None
        self._leaving.append((lane, tail))


def _is_history(tail: Tail) -> bool:
    """Was it deleted under its own name, and says no time that makes its bytes unique? Then a file
    with the same bytes is the next run of a program that begins with the same words each time."""
    deleted = tail.unlinked and tail.finish in (DELETED, REPLACED)
    return deleted and (tail.plain or not tail.source.uid)

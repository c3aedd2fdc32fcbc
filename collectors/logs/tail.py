"""One open file: how much of it there is, how much was read, and the next chunk of it.

A tail never looks at names: it is told what became of its name (`finish`). It works on the open
descriptor, so renames and deletion do not touch it. State is `offset` (read so far) and `before`
(the 64 bytes in front of it): every read of a plain file includes those bytes and compares them,
so a file that was truncated and has grown past the offset again is noticed too.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

from collectors.bounds import MAX_CHUNK_RAW
from collectors.logs.identity import BEFORE, HEAD, mark
from collectors.logs.layout import Entry, Kind
from collectors.logs.positions import RETIRED, Position
from collectors.logs.reader import Archive, Plain
from collectors.ship import Lane
from pipeline.contract.record import CRI, ENDS_MID_LINE, STARTS_MID_LINE, UNTERMINATED, Source

Opener = Callable[[str], int]  # a path -> a descriptor; raises OSError


class Rewritten(Exception):
    """The bytes in front of the offset are not those that were read: the file was truncated.
    `seen` is how large it had been, as far as that is known."""

    def __init__(self, seen: int) -> None:
        super().__init__(seen)
        self.seen = seen


class Piece(NamedTuple):
    """Raw bytes of one chunk. `raw` is a view into the shared window: use it before the next
    read. `mark` covers the bytes in front of its end."""

    offset: int
    raw: memoryview
    flags: int
    first_ts: str
    last_ts: str
    mark: str


class Window:
    """The one buffer that everything is read into."""

    def __init__(self) -> None:
        self.data = bytearray(BEFORE + MAX_CHUNK_RAW)
        self.view = memoryview(self.data)


class Tail:
    """An open file of a container run (`source`)."""

    def __init__(
        self, source: Source, entry: Entry, reader: Plain | Archive, *, plain: bool = False
    ) -> None:
        self.source = source
        self.plain = plain  # lines as a program writes them, of no runtime's format
        self.reader = reader
        self.entry = entry  # the name it was last seen under
        self.dev, self.ino = entry.dev, entry.ino
        self.size = reader.size if isinstance(reader, Archive) else entry.size
        self.offset = 0
        self.before = b""
        self.opening = b""  # the line it was identified by, until the first chunk is read
        self.limit = MAX_CHUNK_RAW
        self.lane: Lane | None = None  # None: not identified yet
        self.finish = ""  # why nothing more is expected, or "" while more may come
        self.quiet = 0  # sweeps without growth since `finish` was set
        self.swept_size = -1
        self.history = not source.uid and entry.kind is not Kind.LIVE  # see Stream.identify
        self.archived = False  # its archive was seen, so rotation took its name
        self.listed = True  # its name is in its directory
        self.unlinked = False  # it has no name at all any more
        self.failures = 0  # read errors in a row
        self.retry_at = 0.0  # after a read error: not before
        self.tried = -1  # size at which no whole line was found
        self.shipped_at = float("-inf")
        self.grown_at = float("-inf")
        self.unread_since: float | None = None
        self.announced = False  # its open record was sent, now or in an earlier life
        self.ending = False  # its end record is on the way

    def measure(self, now: float) -> int:
        """Look at the size: bytes grown since the last look, negative if it shrank."""
        status = os.fstat(self.reader.fd)
        self.unlinked = status.st_nlink == 0
        if isinstance(self.reader, Archive):
            self.size = self.reader.size
            return 0
        grown = status.st_size - self.size
        if grown:
            self.size = status.st_size
            self.grown_at = now
            if self.unread_since is None and self.size > self.offset:
                self.unread_since = now
        return grown

    @property
    def unread(self) -> int:
        return max(0, self.size - self.offset)

    @property
    def drained(self) -> bool:
        """Every byte there is has been read."""
        if isinstance(self.reader, Archive):
            return self.reader.finished and self.offset >= self.reader.size
        return self.offset >= self.size

    @property
    def complete(self) -> bool:
        """Nothing more will come; what is left without a newline is its last line."""
        return isinstance(self.reader, Archive) or (bool(self.finish) and self.quiet >= 2)

    @property
    def at_rest(self) -> bool:
        """There is nothing to do for it until it is written to."""
        settled = self.lane is None or self.lane.idle
        read = not self.unread or self.tried == self.size
        return settled and read and not self.ending and not self.finish

    def due(self, now: float, *, target: int, linger: float) -> bool:
        """Is there something to ship now?"""
        if self.ending or self.lane is None or self.lane.halted or self.drained:
            return False
        if self.failures and now < self.retry_at:
            return False
        if isinstance(self.reader, Archive):
            return True
        if self.tried == self.size and not self.complete:
            return False
        return self.unread >= target or self.complete or now - self.shipped_at >= linger

    def head(self, window: Window) -> bytes:
        """The first bytes, for identification."""
        count = self.reader.read(window.view[:HEAD], 0)
        self.reader.keep_from(0)
        return bytes(window.view[:count])

    def matches(self, position: Position) -> bool:
        """Does the file hold, in front of the acknowledged offset, what was acknowledged?"""
        if position.mark == RETIRED:
            return False
        promise = self.reader.expected if isinstance(self.reader, Archive) else None
        if position.ended and promise == position.size & 0xFFFF_FFFF:
            return True  # without decompressing all of it
        before = self._bytes_before(position.acked)
        return before is not None and (not position.mark or mark(before) == position.mark)

    def go_to(self, offset: int) -> None:
        """Continue there, after a restart."""
        self.before = self._bytes_before(offset) or b""
        self.offset = offset
        self.announced = offset > 0
        self.tried = -1

    def reread(self, offset: int, *, limit: int) -> None:
        """The broker did not take what starts there: again, in chunks of at most `limit` (0: as
        large as before)."""
        self.go_to(offset)
        self.limit = limit or self.limit

    def skip_to(self, offset: int) -> None:
        """What lies in between was named in a gap."""
        self.offset, self.before, self.tried = offset, b"", -1

    def expect_no_more(self, reason: str) -> None:
        """Decided, not observed: what is there is all."""
        self.finish, self.quiet = reason, 2

    def start_over(self) -> None:
        """The same descriptor, but another file: it was truncated."""
        self.skip_to(0)
        self.opening = b""
        self.lane = None
        self.announced = self.ending = False
        self.quiet = 0
        self.swept_size = -1

    def _bytes_before(self, offset: int) -> bytes | None:
        buffer = bytearray(min(BEFORE, offset))
        count = self.reader.read(memoryview(buffer), offset - len(buffer)) if buffer else 0
        return bytes(buffer) if count == len(buffer) else None

    def take(self, window: Window, *, target: int, now: float) -> Piece | None:
        """The next chunk: whole lines up to about `target` bytes. None: no whole line yet."""
        lead = len(self.before) if self.reader.changes else 0
        count, cut = self._look(window, lead, min(target, self.limit))
        flags = STARTS_MID_LINE if self.offset and self.before[-1:] != b"\n" else 0
        if not cut and count:
            if count >= self.limit:
                flags |= ENDS_MID_LINE
            elif self.complete:
                flags |= UNTERMINATED
            cut = lead + count if flags & (ENDS_MID_LINE | UNTERMINATED) else 0
        if not cut:
            self.tried = self.offset + count
            return None
        return self._cut(window, lead, cut, flags=flags, now=now)

    def _look(self, window: Window, lead: int, target: int) -> tuple[int, int]:
        """Read; bytes beyond `lead`, and where the last whole line ends in the window (0: there
        is none). A line longer than the target gets a second, longer look."""
        count = cut = 0
        for want in (target, self.limit):
            got = self.reader.read(window.view[: lead + want], self.offset - lead)
            if lead and (got < lead or window.view[:lead] != self.before):
                shrunk = os.fstat(self.reader.fd).st_size < self.size
                raise Rewritten(self.size if shrunk else self.offset)
            if not self.offset and window.data[: len(self.opening)] != self.opening:
                raise Rewritten(0)
            count = got - lead
            cut = window.data.rfind(b"\n", lead, lead + count) + 1
            if cut or count < want:
                break
        return count, cut

    def _cut(self, window: Window, lead: int, cut: int, *, flags: int, now: float) -> Piece:
        raw = window.view[lead:cut]
        first, last = ("", "")
        if self.lane is not None and self.lane.format == CRI:
            first, last = _times(window.data, lead, cut, whole=not flags & STARTS_MID_LINE)
        offset = self.offset
        self.before = (self.before + bytes(window.view[max(lead, cut - BEFORE) : cut]))[-BEFORE:]
        self.offset += len(raw)
        self.reader.keep_from(self.offset)
        self.opening = b""
        self.shipped_at = now
        self.unread_since = now if self.unread else None
        return Piece(
            offset=offset,
            raw=raw,
            flags=flags,
            first_ts=first,
            last_ts=last,
            # After a skip too few bytes are at hand for a mark that could be verified.
            mark=mark(self.before) if len(self.before) == min(BEFORE, self.offset) else "",
        )


def _times(data: bytearray, start: int, stop: int, *, whole: bool) -> tuple[str, str]:
    """First words of the first and the last line; "" where they are not at hand."""

    def word(at: int) -> str:
        space = data.find(b" ", at, min(at + 40, stop))
        return data[at:space].decode("ascii", "replace") if space > at else ""

    last = data.rfind(b"\n", start, stop - 1) + 1 or start
    return (word(start) if whole else ""), (word(last) if whole or last > start else "")


def open_any(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def opened(source: Source, entry: Entry, open_: Opener = open_any, *, plain: bool = False) -> Tail:
    """Open a file that a scan found. Raises OSError. The descriptor rules: between the scan and
    now the name may have gone to another file."""
    fd = open_(entry.path)
    status = os.fstat(fd)
    entry = entry._replace(
        dev=status.st_dev, ino=status.st_ino, size=status.st_size, mtime_ns=status.st_mtime_ns
    )
    reader = Archive(fd) if entry.kind is Kind.ARCHIVED else Plain(fd)
    return Tail(source, entry, reader, plain=plain)

"""How far each file is acknowledged: an append-only journal, kept in memory as a table.

State: `positions.log` in the state directory. First line `kubeledger-positions 1`; then one line
per update, a CRC-32 in hex, a space and a JSON array:

  ["f", id, source…, format]       a file, once, before its first position
  ["p", id, acked, mark, size]     acknowledged offset, mark of the bytes before it, last seen size
  ["e", id, size]                  ended: its end record is acknowledged
  ["x", id]                        forgotten: it is on no disk any more

Invariants: a position may lag behind what the broker has, never lead. `sync` (each second, and at
stop) writes what changed and fsyncs. A torn last line (killed while writing) is cut off. When the
journal has grown far beyond its content it is replaced: temporary file, fsync, rename, fsync of
the directory. While the disk is full everything goes on in memory, `trouble` says so, and the
next `sync` tries again with all that is missing.
"""

import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from pipeline.base.alone import alone
from pipeline.base.errors import UsageError
from pipeline.base.telemetry import Telemetry
from pipeline.contract.record import Source

RETIRED = "-"  # a mark that no bytes have

_HEADER = b"kubeledger-positions 1\n"
_COMPACT_AT = 1 << 20  # never compact below this
_COMPACT_RATIO = 4  # … nor below this many times the content


@dataclass(frozen=True, slots=True)
class Position:
    """Where a file stands. `size` is the last size seen, so that a gap can be named when the
    file has gone; of an ended file it is the final size."""

    source: Source
    format: str
    acked: int = 0
    mark: str = ""
    size: int = 0
    ended: bool = False


def _line(fields: list[Any]) -> bytes:
    body = json.dumps(fields, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


class Positions:
    """Use as a context manager: it holds the journal open and locked."""

    def __init__(self, directory: Path, telemetry: Telemetry) -> None:
        self._directory = directory
        self._path = directory / "positions.log"
        self._telemetry = telemetry
        self._table: dict[int, Position] = {}
        self._known: set[int] = set()  # ids whose "f" line is in the journal
        self._dirty: dict[int, None] = {}
        self.news = False  # files that the journal does not know of yet
        self._fd = self._lock = -1
        self._good = 0  # length of the journal that is known to be whole
        self.trouble: str | None = None

    def __enter__(self) -> "Positions":
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            self._take_lock()
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            self._load()
        except OSError as error:
            self._close()
            raise UsageError(
                f"{self._path}: cannot keep positions here: {error.strerror}; "
                "set `state_dir` to a directory that this user can write"
            ) from error
        except UsageError:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self.sync()
        self._close()

    # -- the table ---------------------------------------------------------------------------

    def get(self, file_id: int) -> Position | None:
        return self._table.get(file_id)

    def items(self) -> Iterator[tuple[int, Position]]:
        return iter(list(self._table.items()))

    def opened(self, file_id: int, source: Source, *, format: str, size: int = 0) -> None:  # noqa: A002
        """A file that is `size` bytes long now. `sync` before anything of it is sent: else, if
        this process is killed and the file deleted, nobody would miss the rest."""
        self._put(file_id, Position(source, format, size=size))
        self.news = True

    def moved(self, file_id: int, acked: int, mark: str) -> None:
        """The broker has everything before `acked`; `mark` covers the bytes in front of it."""
        old = self._table[file_id]
        size = max(old.size, acked)
        self._put(file_id, replace(old, acked=acked, mark=mark, size=size, ended=False))

    def marked(self, file_id: int, mark: str) -> None:
        """The same place by another mark: for what is read by marks, not by offsets."""
        old = self._table[file_id]
        if old.mark != mark:
            self._put(file_id, replace(old, mark=mark))

    def saw(self, file_id: int, size: int) -> None:
        """The file is that large now."""
        old = self._table.get(file_id)
        if old is not None and not old.ended and old.size != size:
            self._put(file_id, replace(old, size=size))

    def ended(self, file_id: int, size: int, *, retired: bool = False) -> None:
        """`retired`: no file may ever be taken for this one again (truncated, or deleted)."""
        old = self._table[file_id]
        mark = RETIRED if retired else old.mark
        self._put(file_id, replace(old, size=size, mark=mark, ended=True))

    def forget(self, file_id: int) -> None:
        """The file is on no disk any more and owes nothing."""
        if self._table.pop(file_id, None) is not None:
            self._dirty[file_id] = None

    def forget_ended(self, file_id: int) -> None:
        """As `forget`, but only a file that ended in peace."""
        old = self._table.get(file_id)
        if old is not None and old.ended and old.mark != RETIRED:
            self.forget(file_id)

    def _put(self, file_id: int, position: Position) -> None:
        self._table[file_id] = position
        self._dirty[file_id] = None

    # -- the journal -------------------------------------------------------------------------

    def sync(self) -> None:
        """Make the table durable. Never raises for a full or broken disk; see `trouble`."""
        if not self._dirty and self.trouble is None:
            return
        try:
            self._append(b"".join(self._updates()))
            self._known.update(i for i in self._dirty if i in self._table)
            self._known.difference_update(i for i in self._dirty if i not in self._table)
            self._dirty.clear()
            self.news = False
            if self._good > max(_COMPACT_AT, _COMPACT_RATIO * 200 * len(self._table)):
                self._compact()
        except OSError as error:
            self._say(f"positions cannot be written to {self._path}: {error.strerror}")
        else:
            self._say(None)

    def _updates(self) -> Iterator[bytes]:
        for file_id in self._dirty:
            position = self._table.get(file_id)
            if position is None:
                if file_id in self._known:
                    yield _line(["x", f"{file_id:016x}"])
                continue
            yield from self._entry(file_id, position, first=file_id not in self._known)

    @staticmethod
    def _entry(file_id: int, position: Position, *, first: bool) -> Iterator[bytes]:
        name = f"{file_id:016x}"
        if first:
            yield _line(["f", name, *astuple(position.source), position.format])
        yield _line(["p", name, position.acked, position.mark, position.size])
        if position.ended:
            yield _line(["e", name, position.size])

    def _append(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._fd, data) :]
            os.fsync(self._fd)
            self._good = os.fstat(self._fd).st_size
        except OSError:
            os.ftruncate(self._fd, self._good)  # no torn line between good ones
            raise

    def _compact(self) -> None:
        temporary = self._path.with_suffix(".tmp")
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            with os.fdopen(os.dup(fd), "wb") as out:
                out.write(_HEADER)
                for file_id, position in self._table.items():
                    out.writelines(self._entry(file_id, position, first=True))
            os.fsync(fd)
            temporary.replace(self._path)
        except OSError:
            os.close(fd)
            raise
        os.close(self._fd)
        self._fd, self._good, self._known = fd, os.fstat(fd).st_size, set(self._table)
        self._sync_directory()

    def _sync_directory(self) -> None:
        folder = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _load(self) -> None:
        data = self._path.read_bytes()
        if not data or (len(data) < len(_HEADER) and _HEADER.startswith(data)):
            os.ftruncate(self._fd, 0)
            self._append(_HEADER)
            self._sync_directory()
            return
        header, _, rest = data.partition(b"\n")
        if header + b"\n" != _HEADER:
            raise UsageError(
                f"{self._path}: not a positions journal that this version knows (found "
                f"{header[:40]!r}); move it away to start anew: what is still on disk is sent "
                "again and recognised as duplicate"
            )
        whole, _, torn = rest.rpartition(b"\n")
        self._good = len(data) - len(torn)
        damaged = sum(not self._replay(line) for line in whole.split(b"\n") if line)
        if torn:
            os.ftruncate(self._fd, self._good)
        if damaged:
            self._telemetry.event("positions-damaged", level="warn", lines=damaged)
        self._known = set(self._table)

    def _replay(self, line: bytes) -> bool:
        """Apply one line; False if it is damaged (then the position before it stands)."""
        try:
            crc, body = line[:8], line[9:]
            if int(crc, 16) != zlib.crc32(body):
                return False
            kind, name, *rest = json.loads(body)
            file_id = int(name, 16)
            if kind == "f":
                self._table[file_id] = Position(Source(*rest[:7]), rest[7])
            elif kind == "x":
                self._table.pop(file_id, None)
            elif kind == "p":
                acked, mark, size = rest
                old = self._table[file_id]
                self._table[file_id] = replace(old, acked=acked, mark=mark, size=size, ended=False)
            elif kind == "e":
                self._table[file_id] = replace(self._table[file_id], size=rest[0], ended=True)
        except (ValueError, KeyError, TypeError, IndexError):
            return False
        return True

    def _take_lock(self) -> None:
        if not alone(self._lock):
            raise UsageError(
                f"{self._directory}: another collector keeps its positions here; stop it, or "
                "give this one a `state_dir` of its own"
            )

    def _say(self, trouble: str | None) -> None:
        if trouble and not self.trouble:
            self._telemetry.event("positions-lag", level="error", reason=trouble)
        elif self.trouble and not trouble:
            self._telemetry.event("positions-caught-up")
        self.trouble = trouble

    def _close(self) -> None:
        for fd in (self._fd, self._lock):
            if fd >= 0:
                os.close(fd)
        self._fd = self._lock = -1

"""The generations of one container run: which are open, in what order, and what became of each.

`reconcile` compares a directory listing with the open descriptors. A descriptor is found again by
(device, inode), which is exact while it is open; a file that is not open is identified by its
content. `done` remembers finished files that are still on disk, so that a sweep does not open them
again: by inode, size and modification time, because an inode alone may be another file by now.
"""

import os
from typing import NamedTuple

from collectors.logs.layout import Entry, Kind
from collectors.logs.registry import Registry
from collectors.logs.tail import Opener, Tail, Window, open_any, opened
from collectors.ship import Lane
from pipeline.base.telemetry import Telemetry
from pipeline.contract import metrics
from pipeline.contract.record import Source

# Why a file is finished, header `reason` of its end record.
ROTATED, DELETED, TRUNCATED, REPLACED = "rotated", "deleted", "truncated", "replaced"


class Done(NamedTuple):
    size: int
    mtime_ns: int
    file_id: int


class Stream:
    """One container run (host files: one path)."""

    def __init__(
        self,
        source: Source,
        *,
        registry: Registry,
        window: Window,
        telemetry: Telemetry,
        open_: Opener = open_any,
        plain: bool = False,
    ) -> None:
        self.source = source
        self._open = open_
        self._plain = plain
        self.tails: list[Tail] = []  # oldest first
        self.done: dict[tuple[int, int], Done] = {}
        self.gone = False  # its directory is no more: it ends with its last tail
        self.unreadable: set[str] = set()
        self._nameless: set[int] = set()  # finished files that no name is known to lead to
        self.deficit = 0  # bytes it may still read in this turn
        self.queued = False
        self._registry = registry
        self._window = window
        self._telemetry = telemetry

    @property
    def unsure(self) -> bool:
        """Something is here that is not identified: it may be a file that is missed elsewhere."""
        return bool(self.unreadable) or any(t.lane is None and t.size for t in self.tails)

    def reconcile(self, entries: list[Entry], *, gone: bool, newer: bool) -> list[Tail]:
        """Bring the open files in line with what is on disk; the tails that are new. `newer`:
        a later run of the container exists, so this one is written to no more."""
        self.gone = gone
        known = {(tail.dev, tail.ino): tail for tail in self.tails}
        for tail in self.tails:
            tail.listed = False
        plain = {entry.path for entry in entries if entry.kind is not Kind.ARCHIVED}
        fresh: list[Tail] = []
        for entry in entries:
            same = known.get((entry.dev, entry.ino))
            if same is not None:
                self._renamed(same, entry)
            elif not self._passed_over(entry, plain):
                other = self.done.pop((entry.dev, entry.ino), None)
                if other is not None:  # had this inode before, or was shorter
                    self._nameless.add(other.file_id)
                for tail in self._adopt(entry):
                    known[tail.dev, tail.ino] = tail  # two names may be one file
                    fresh.append(tail)
        self._judge(entries, gone=gone, newer=newer)
        self._prune(entries)
        return fresh

    def identify(self, tail: Tail) -> None:
        """Give a tail its lane, or close it when nothing of it is left to do."""
        self._identify(tail)
        self._forget_nameless()

    def _identify(self, tail: Tail) -> None:
        identity = self._registry.identify(tail, self._window)
        if identity is None:
            if tail.complete and not tail.size:
                self.close(tail, file_id=0)  # an empty file: no byte to account for
            return
        position = identity.position
        done = position is not None and position.ended and tail.size <= position.size
        if identity.alias:
            holder = self._registry.claimed[identity.file_id]
            holder.archived = True
            holder.finish = holder.finish and ROTATED
        # Older generations of a host file are history, unless an earlier life began them.
        if identity.alias or done or (tail.history and position is None):
            self.close(tail, file_id=identity.file_id)
            return
        lane = Lane(self.source, identity.file_id, identity.format, owner=tail)
        if position is None:
            tail.opening = identity.line
            self._registry.positions.opened(
                identity.file_id, self.source, format=identity.format, size=tail.size
            )
        else:
            lane.source, lane.format, lane.acked = position.source, position.format, position.acked
            tail.go_to(position.size if position.ended else position.acked)
        tail.lane = lane
        self._registry.claim(identity.file_id, tail)

    def close(self, tail: Tail, *, file_id: int) -> None:
        """Let go of a file: all of it is acknowledged, or it was given up by name."""
        status = os.fstat(tail.reader.fd)
        self.done[tail.dev, tail.ino] = Done(status.st_size, status.st_mtime_ns, file_id)
        self.tails.remove(tail)
        tail.reader.close()

    def _renamed(self, tail: Tail, entry: Entry) -> None:
        if tail.entry.kind is Kind.LIVE and entry.kind is Kind.ROTATED:
            self._telemetry.count(metrics.ROTATIONS)
        tail.entry, tail.listed = entry, True

    def _passed_over(self, entry: Entry, plain: set[str]) -> bool:
        if entry.kind is Kind.ARCHIVED and entry.base in plain:
            return True  # made from a file that is still there
        done = self.done.get((entry.dev, entry.ino))
        if done is not None and (done.size, done.mtime_ns) == (entry.size, entry.mtime_ns):
            return True
        return not self.source.uid and entry.kind is not Kind.LIVE and not self._owed()

    def _owed(self) -> bool:
        return any(p.source.path == self.source.path for _, p in self._registry.owed())

    def _adopt(self, entry: Entry) -> list[Tail]:
        try:
            tail = opened(self.source, entry, self._open, plain=self._plain)
        except FileNotFoundError:
            return []
        except OSError as error:
            if entry.path not in self.unreadable:
                self.unreadable.add(entry.path)
                self._telemetry.event(
                    "cannot-open-log", level="error", path=entry.path, reason=error.strerror,
                    hint="run as root or in the group of the file; raise the open-files limit",
                )  # fmt: skip
            return []
        self.unreadable.discard(entry.path)
        self.tails.append(tail)
        return [tail]

    def _judge(self, entries: list[Entry], *, gone: bool, newer: bool) -> None:
        """What became of each open file. A renamed file is finished only once its successor is
        there: until the runtime has reopened its log it goes on writing to the renamed one, and
        the kubelet renames it back if that fails."""
        live = any(entry.kind is Kind.LIVE for entry in entries)
        for tail in self.tails:
            if not tail.listed:
                tail.unlinked = os.fstat(tail.reader.fd).st_nlink == 0
            reason = _fate(tail, gone=gone, newer=newer, live=live)
            if bool(reason) is not bool(tail.finish):
                tail.quiet = 0
            tail.finish = reason
        self.tails.sort(key=lambda tail: (tail.entry.order, tail.entry.kind))

    def _prune(self, entries: list[Entry]) -> None:
        """Forget what is on disk no more."""
        listed = {(entry.dev, entry.ino) for entry in entries}
        lost = [inode for inode in self.done if inode not in listed]
        self._nameless.update(self.done.pop(inode).file_id for inode in lost)
        self._forget_nameless()
        self.unreadable &= {entry.path for entry in entries}

    def _forget_nameless(self) -> None:
        """An id is kept while any name still leads to it, or may: a file that is not identified
        yet, or cannot be opened now, can be the archive of one that is gone. Ids of host files
        are kept for good, because their first lines need not be unique; those of files in volumes
        for as long as their pod is known."""
        unknown = bool(self.unreadable) or any(tail.lane is None for tail in self.tails)
        if unknown or not self._nameless:
            return
        named = {done.file_id for done in self.done.values()}
        named.update(tail.lane.file_id for tail in self.tails if tail.lane is not None)
        lasting = self._plain or not self.source.uid
        for file_id in () if lasting else self._nameless - named:
            self._registry.positions.forget_ended(file_id)
        self._nameless.clear()

    def leave(self) -> None:
        """Its directory and all its tails are gone: nothing will ask for its files again."""
        self._nameless.update(done.file_id for done in self.done.values())
        self.done.clear()
        self._forget_nameless()


def _fate(tail: Tail, *, gone: bool, newer: bool, live: bool) -> str:
    if gone:
        return DELETED
    kind = tail.entry.kind
    if tail.listed:
        if kind is Kind.LIVE:
            return REPLACED if newer else ""
        return ROTATED if live or newer else ""
    if kind is not Kind.LIVE or tail.archived or not tail.unlinked:
        return ROTATED
    return REPLACED if live else DELETED

"""The virtual file (collectors/virtual.py) of lines made from entries of one log of a journal.

Its id is made from the first entry's cursor; the journal itself is the buffer for everything
beyond what is held.

The mark of its position is the cursor of the last entry before it: that is where reading goes on
after a restart. `<CURSOR` is a mark before its entry: none of the file is acknowledged yet.
"""

from collections import deque

from collectors.journal.entries import Entry
from collectors.virtual import HeldFile
from pipeline.contract.record import JOURNAL, Source


def source_of(node: str, entry: Entry) -> Source:
    unit = entry.program if entry.program == "systemd" else entry.unit
    return Source(node, "", "", "", entry.program, 0, f"journal:{unit}")


class VirtualFile(HeldFile):
    """A chunk is whole entries."""

    def __init__(self, source: Source, file_id: int, *, boot: str, base: int = 0) -> None:
        super().__init__(source, file_id, form=JOURNAL, base=base)
        self.boot = boot
        self.size = base  # largest that an earlier life saw
        self.lost = ""  # entries that should have been are gone: mark of the next one there is
        self.first = ""  # cursor of its first entry, if it began in this life
        self._ends: deque[tuple[int, str]] = deque()  # of each entry held: end offset, cursor

    def add(self, entry: Entry) -> None:
        self._held += entry.data
        self._ends.append((self.end, entry.cursor))

    def settle(self) -> None:
        super().settle()
        while self._ends and self._ends[0][0] <= self.base:
            self._ends.popleft()

    def _stop(self, bound: int) -> tuple[int, str]:
        stop, cursor = 0, ""
        for end, at in self._ends:
            if end > self.sent:
                if stop and end > bound:
                    break
                stop, cursor = end, at
        return stop, cursor

"""From a file's first line to its identity and its position: new, continued, or done already.

`claimed` maps each file id to the open tail that carries it: two files that are there at once
are never taken for one, whatever their first lines say.
"""

from typing import NamedTuple

from collectors.logs.identity import detect_format, file_id, first_line
from collectors.logs.layout import Kind
from collectors.logs.positions import Position, Positions
from collectors.logs.tail import Tail, Window


class Identity(NamedTuple):
    file_id: int
    format: str
    line: bytes  # that identifies it
    position: Position | None  # None: never seen
    alias: bool  # the archive of a file that is still open: nothing of its own


class Registry:
    def __init__(self, positions: Positions) -> None:
        self.positions = positions
        self.claimed: dict[int, Tail] = {}

    def identify(self, tail: Tail, window: Window) -> Identity | None:
        """None while too little of the file is there."""
        head = tail.head(window)
        line = first_line(head, complete=tail.complete)
        if line is None:
            if not (tail.complete and tail.entry.kind is Kind.ARCHIVED):
                return None
            line = b"\0" + tail.entry.base.encode("utf-8", "surrogateescape")  # damaged at once
        source = tail.source
        format_ = detect_format(head, host=tail.plain or not source.uid)
        who = f"{source.uid}:{source.file}" if source.file else source.uid or source.node
        epoch = 0
        while True:
            found = file_id(who, source.container, source.restart, line, epoch)
            holder = self.claimed.get(found)
            if holder is not None and _made_from(tail, holder):
                return Identity(found, format_, line, None, alias=True)
            position = self.positions.get(found)
            if holder is None and (position is None or tail.matches(position)):
                return Identity(found, format_, line, position, alias=False)
            epoch += 1  # this id belongs to other bytes

    def claim(self, found: int, tail: Tail) -> None:
        self.claimed[found] = tail

    def release(self, found: int, tail: Tail) -> None:
        if self.claimed.get(found) is tail:
            del self.claimed[found]

    def owed(self) -> list[tuple[int, Position]]:
        """Files of an earlier life that are not ended and that no open file continues."""
        return [
            (found, position)
            for found, position in self.positions.items()
            if not position.ended and found not in self.claimed
        ]


def _made_from(tail: Tail, holder: Tail) -> bool:
    """Is this the archive of that open file, whose name is gone since?"""
    archive = tail.entry.kind is Kind.ARCHIVED and holder.source == tail.source
    return archive and (holder.unlinked or not holder.listed)

"""The virtual file (collectors/virtual.py) of lines that clients sent, and who waits for them.

A chunk may stop at any line. The mark of its position says whether every client asks for
acknowledgements, and so sends again what this process had not acknowledged when it was killed
(ASKED), or whether some do not: then what was in memory is lost, and nobody knows how much (SOME).
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from collectors.virtual import HeldFile
from pipeline.contract.record import CRI, Source

ASKED, SOME = "asked", "some"


@dataclass(slots=True, eq=False)
class Ticket:
    """A message that was taken. `done` is called once all its lines are acknowledged."""

    done: Callable[[], None]
    parts: int = 0  # files that have not acknowledged theirs

    def part(self) -> None:
        self.parts -= 1
        if not self.parts:
            self.done()


class ForwardFile(HeldFile):
    """Of one tag and pod. `lost`: bytes that follow its end, of a message that was refused."""

    def __init__(self, source: Source, file_id: int, *, mark: str, base: int = 0) -> None:
        super().__init__(source, file_id, form=CRI, base=base)
        self.mark = mark
        self.lost = 0
        self.used_at = float("-inf")
        self._tickets: deque[tuple[int, Ticket]] = deque()  # where the part ends

    def add(self, lines: bytes | bytearray, ticket: Ticket) -> None:
        self._held += lines
        ticket.parts += 1
        self._tickets.append((self.end, ticket))

    def settle(self) -> None:
        super().settle()
        while self._tickets and self._tickets[0][0] <= self.base:
            self._tickets.popleft()[1].part()

    def _stop(self, bound: int) -> tuple[int, str]:
        stop = self._held.rfind(b"\n", self.sent - self.base, bound - self.base) + 1
        if not stop:
            stop = self._held.index(b"\n", bound - self.base) + 1
        return self.base + stop, self.mark

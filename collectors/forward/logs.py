"""Lines of clients on their way to kubeledger.logs: the same promises as for files.

Each log (tag and pod) is a virtual file in the ledger. It begins with its first event and ends when
it is silent, large, one too many, or when this process stops; what comes later is a new file, with
an id that was never used. An acknowledgement goes to a client when the bus has acknowledged every
byte of its message (or, for good, a gap record in their place).

After a kill the next life ends what it finds open, at what was acknowledged. If all clients of a
file ask for acknowledgements, they send the rest again, and the end is exact.

A refused message whose sender asks for no acknowledgement is lost for certain: it is a gap of its
length in the log of its tag, which ends that file.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from collectors.forward.held import ASKED, SOME, ForwardFile, Ticket
from collectors.forward.message import Batch
from collectors.forward.origin import Origin, of_tag
from collectors.logs.identity import file_id
from collectors.logs.positions import Positions
from collectors.ship import Shipper
from collectors.virtual import ship_due
from pipeline.contract.record import CRI, REFUSED

if TYPE_CHECKING:
    from collectors.config import CollectConfig

_KEEP_S = 1.0
_ENDED = "rotated"  # reason of end records


class ForwardLogs:
    """Drive it with `step`. Single-threaded. `life` is different in each life of the process."""

    def __init__(
        self, config: "CollectConfig", *, ship: Shipper, positions: Positions, life: str
    ) -> None:
        self._config = config
        self._ship = ship
        self._positions = positions
        self._life = life
        self._count = 0  # of files in this life
        self._open: dict[tuple[str, Origin], ForwardFile] = {}  # the longest silent first
        self._ending: list[ForwardFile] = []
        self._active: dict[ForwardFile, None] = {}  # open ones with bytes to be acknowledged
        self._new: list[ForwardFile] = []
        self._next_keep = float("-inf")
        self.held = 0  # bytes that are not acknowledged

    @property
    def busy(self) -> bool:
        return self.held > 0 or bool(self._ending) or self._ship.in_flight > 0

    @property
    def last_ack(self) -> float:
        return self._ship.last_ack

    def begin(self) -> None:
        """End what an earlier life left open."""
        for found, position in self._positions.items():
            if position.ended:
                self._positions.forget(found)
                continue
            file = ForwardFile(position.source, found, mark=position.mark, base=position.acked)
            file.finished, file.exact = True, position.mark == ASKED
            self._ending.append(file)

    def take(self, batch: Batch, done: Callable[[], None], now: float) -> None:
        """Lines of a message; `done` when the bus has them."""
        ticket = Ticket(done, 1)  # 1: this call, so that it is not done before all is added
        for origin, lines in batch.lines.items():
            file = self._file(batch.tag, origin, asked=bool(batch.chunk), now=now)
            file.add(lines, ticket)
            self._active[file] = None
            self.held += len(lines)
        ticket.part()

    def lose(self, tag: str, size: int, now: float) -> None:
        """A message of this tag will never come."""
        origin = of_tag(tag, self._config.node)
        file = self._file(tag, origin, asked=True, now=now)
        file.lost = size
        self._finish((tag, origin))

    def step(self, now: float) -> None:
        self._ship.settle()
        self._silent(now)
        self._register()
        for file in (*self._active, *self._ending):
            self._send(file, now)
        self._ending = [file for file in self._ending if not self._concluded(file)]
        self._active = {file: None for file in self._active if file.held and not file.finished}
        self.held = sum(file.held for file in (*self._active, *self._ending))
        if now >= self._next_keep:
            self._next_keep = now + _KEEP_S
            self._positions.sync()

    def finish(self) -> None:
        """Nothing more will come."""
        for key in list(self._open):
            self._finish(key)

    # -- files -------------------------------------------------------------------------------

    def _file(self, tag: str, origin: Origin, *, asked: bool, now: float) -> ForwardFile:
        key = (tag, origin)
        file = self._open.get(key)
        if file is not None and file.end >= self._config.forward.file_bytes:
            self._finish(key)
            file = None
        if file is None:
            if len(self._open) >= self._config.forward.files:
                self._finish(next(iter(self._open)))
            file = self._begun(tag, origin, ASKED if asked else SOME)
        elif not asked and file.mark == ASKED:
            file.mark = SOME
            self._new.append(file)
        self._open.pop(key, None)
        self._open[key] = file
        file.used_at = now
        return file

    def _begun(self, tag: str, origin: Origin, mark: str) -> ForwardFile:
        self._count += 1
        source = origin.source(tag)
        seed = f"{self._life}/{self._count}/{tag}".encode()
        found = file_id(source.uid or source.node, source.container, 0, seed)
        file = ForwardFile(source, found, mark=mark)
        self._new.append(file)
        return file

    def _finish(self, key: tuple[str, Origin]) -> None:
        file = self._open.pop(key)
        file.finished = True
        self._ending.append(file)

    def _silent(self, now: float) -> None:
        while self._open:
            key, file = next(iter(self._open.items()))
            if now - file.used_at < self._config.forward.quiet_s:
                return
            self._finish(key)

    def _register(self) -> None:
        """The journal of positions knows a file before the broker does."""
        if not self._new:
            return
        for file in self._new:
            if self._positions.get(file.lane.file_id) is None:
                self._positions.opened(file.lane.file_id, file.lane.source, format=CRI)
            self._positions.marked(file.lane.file_id, file.mark)
        self._new.clear()
        self._positions.sync()

    # -- sending -----------------------------------------------------------------------------

    def _send(self, file: ForwardFile, now: float) -> None:
        file.settle()
        ship_due(file, self._ship, self._config.reading, now)

    def _concluded(self, file: ForwardFile) -> bool:
        """Send the end record of a file that is sent and acknowledged; True once that is."""
        lane = file.lane
        if file.ending:
            if lane.ended:
                self._positions.forget(lane.file_id)
            return lane.ended
        if file.sent < file.end or not lane.idle:
            return False
        file.ending = True
        if not file.announced:
            self._ship.open(lane)
        stop = file.end + file.lost
        if file.lost:
            self._ship.gap(lane, file.end, stop, reason=REFUSED, exact=True, mark=file.mark)
        self._ship.end(lane, stop, reason=_ENDED, exact=file.exact)
        return False

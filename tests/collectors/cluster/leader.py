"""One leader in virtual time: real ResourceWatches, answers of a FakeStore, faults on request.

What the leader wrote and the bus has not acknowledged is in `out`; `acknowledge` moves it to the
log. A leader that is killed loses it, one that was only slow has it arrive late.
"""

from dataclasses import dataclass, field
from random import Random

from collectors.cluster.known import Known
from collectors.cluster.ports import Broken, Ended, Instant, List, Opened, Refused, Watch
from collectors.cluster.resource import ResourceWatch
from collectors.cluster.resources import EVENTS, RESOURCES, Scope
from pipeline.contract.state import StateEvent
from tests.collectors.cluster.fake_store import FakeStore, Reply, change_line, error_line

WATCHED = ("pods", "nodes", "leases", *EVENTS)
SCOPES = tuple(Scope(r, r.namespace) for r in RESOURCES if r.name in WATCHED)


@dataclass
class Stream:
    """An open watch: what the server has written and the client has not read."""

    path: str
    at: int
    closed: bool = False
    pending: bytearray = field(default_factory=bytearray)


class Leader:
    def __init__(self, store: FakeStore, now: Instant, *, seed: int = 1, page: int = 3) -> None:
        random, events = Random(seed), Known()
        self.store = store
        self.out: list[StateEvent] = []
        self.relists = 0
        self.streams: dict[int, Stream] = {}
        self.watches = [
            ResourceWatch(
                scope,
                events if scope.resource.name in EVENTS else Known(),
                start_s=now.mono,
                random=random,
                page=page,
            )
            for scope in SCOPES
        ]

    def open(self, number: int, now: Instant, fault: Refused | Broken | None = None) -> None:
        """The next request, if it is time for one; `fault` is the answer, if there is one."""
        watch = self.watches[number]
        request = watch.request(now)
        if request is None:
            return
        if fault is not None:
            self._feed(number, fault, now)
            return
        params = dict(request.params)
        if isinstance(request, List):
            self.relists += "continue" not in params
            self._answer(number, self.store.listed(request.path, params), now)
            return
        assert isinstance(request, Watch)
        version = int(params["resourceVersion"])
        refused = self.store.refuses_watch(request.path, version)
        if refused is not None:
            self._answer(number, refused, now)
            return
        self.streams[number] = Stream(request.path, version)
        self._feed(number, Opened(), now)

    def _answer(self, number: int, reply: Reply, now: Instant) -> None:
        if reply.status != 200:
            self._feed(number, Refused(reply.status, reply.body), now)
            return
        half = len(reply.body) // 2
        for piece in (reply.body[:half], reply.body[half:], Ended()):
            self._feed(number, piece, now)

    def written(self, number: int) -> None:
        """The server writes what has happened since. One that has forgotten some of it closes."""
        stream = self.streams[number]
        if stream.at < self.store.compacted:
            stream.closed = True
            return
        for change in self.store.after(stream.path, stream.at):
            stream.pending += change_line(change)
            stream.at = change.version

    def pull(self, number: int, now: Instant, most: int = 1 << 30) -> None:
        """At most so many bytes arrive."""
        stream = self.streams.get(number)
        if stream is None:
            return
        self.written(number)
        piece = bytes(stream.pending[:most])
        del stream.pending[:most]
        if piece:
            self._feed(number, piece, now)
        if stream.closed and not stream.pending:
            self.drop(number, now, Ended())

    def bookmark(self, number: int) -> None:
        if number in self.streams:
            self.written(number)
            stream = self.streams[number]
            if not stream.closed:
                stream.pending += self.store.bookmark(stream.path)
                stream.at = self.store.version

    def error(self, number: int, reply: Reply, now: Instant) -> None:
        """The server says within the stream that it cannot go on, and closes it."""
        if number in self.streams:
            self.pull(number, now)
            self._feed(number, error_line(reply), now)
            self.drop(number, now, Ended())

    def drop(self, number: int, now: Instant, end: Ended | Broken) -> None:
        """The stream is over; what was written and not read is lost."""
        if self.streams.pop(number, None) is not None:
            self._feed(number, end, now)

    def tick(self, now: Instant) -> None:
        for watch in self.watches:
            self.out += watch.tick(now)

    def _feed(self, number: int, piece: object, now: Instant) -> None:
        self.out += self.watches[number].fed(piece, now)  # type: ignore[arg-type]

    def calm(self, now: Instant, *, seconds: int = 60) -> Instant:
        """Nothing goes wrong for a while: all that can arrive arrives."""
        for second in range(seconds):
            now = Instant.at(now.mono + 1)
            for number in range(len(self.watches)):
                for _ in range(30):  # a list may have many pages
                    if self.watches[number].due > now.mono or number in self.streams:
                        break
                    self.open(number, now)
                if second % 10 == 0:
                    self.bookmark(number)
                self.pull(number, now)
            self.tick(now)
        return now

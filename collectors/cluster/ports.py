"""What a `ResourceWatch` and whoever drives it say to each other.

`ResourceWatch` (resource.py) is a pure state machine in the time that it is given: one resource of
the API, or one namespace of it. Whoever drives it (term.py with threads and sockets, or a replay
with recorded streams in virtual time) does, over and over:

    request = watch.request(now)         List, Watch, or None: nothing before watch.due
    watch.fed(piece, now)                for all that comes back, in order -> state events
    watch.tick(now)                      at watch.due, request or not -> state events held back

The answer to a request is any number of pieces and then exactly one that ends it:

    Opened       the headers of a 200 are there (may be left out: bytes say as much)
    bytes        of the body of a 200, cut anywhere; the core puts them together
    Ended        the response is complete (a watch: the server closed it)
    Refused      any other status than 200, with its body
    Broken       no answer, or the connection broke in the middle of one

After the end `request` has the next one, at `due` or later. When `watch.deaf` is true the rest of
the answer does not matter: drop the connection, feed Ended. State events come in the order in which
they belong on kubeledger.state; `due` is monotonic seconds.
"""

from dataclasses import dataclass
from typing import NamedTuple

Params = tuple[tuple[str, str], ...]  # of the query, not yet quoted


class Instant(NamedTuple):
    """Now, by both clocks: deadlines and pauses use the first, records carry the second."""

    mono: float  # seconds, never goes back
    wall_ms: int  # Unix milliseconds

    @classmethod
    def at(cls, unix_s: float) -> "Instant":
        """Virtual time in which both clocks agree."""
        return cls(unix_s, round(unix_s * 1000))


@dataclass(frozen=True, slots=True)
class List:
    """GET one page of a list: the body is one JSON object, a Kubernetes List."""

    path: str
    params: Params
    deadline_s: float  # for the whole answer


@dataclass(frozen=True, slots=True)
class Watch:
    """GET a stream of watch events, one JSON object a line, from `resourceVersion` on. A stream
    that is silent for longer than `quiet_s` is dead, whatever TCP says: Broken(TIMEOUT)."""

    path: str
    params: Params
    open_s: float  # for the headers
    quiet_s: float


Request = List | Watch


@dataclass(frozen=True, slots=True)
class Opened:
    """Status 200; the body follows."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The response is over, and HTTP found it complete."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer with another status than 200. `body` is a Kubernetes Status, or anything."""

    status: int
    body: bytes = b""
    retry_after_s: float | None = None  # the header, if there was one


@dataclass(frozen=True, slots=True)
class Broken:
    """No (whole) answer. `outcome` is one of pipeline.contract.state.OUTCOMES."""

    outcome: str
    detail: str = ""


Piece = bytes | Opened | Ended | Refused | Broken

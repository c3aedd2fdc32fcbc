"""The fold: state', facts = fold(state, event). What a fold must be, and several folds as one.

A fold is deterministic: no clock, no randomness, no I/O. The same events in the same order give
the same facts, byte for byte, also when it was dumped and restored between any two of them.
Whoever runs a fold relies on this to repeat work after a crash.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from pipeline.base.errors import UsageError
from pipeline.base.seen import Seen
from pipeline.contract.facts import Fact
from pipeline.contract.state import KINDS, SYNCED, StateEvent

_SEEN = "seen"  # among the parts of a dump, beside the folds


class Fold(Protocol):
    """State is inside; nothing is shared between folds."""

    @property
    def KINDS(self) -> frozenset[str]:  # noqa: N802 - a constant of the class, read-only here
        """Of the events that it reads; others do not reach it."""

    def apply(self, event: StateEvent, offset: int, gone: Sequence[StateEvent] = ()) -> list[Fact]:
        """Facts that follow from this event. `offset` is its place on kubeledger.state; `gone` is
        what a `synced` event says does not exist any more, as deletions."""

    def dump(self) -> bytes:
        """All state. The same state is the same bytes."""

    def restore(self, data: bytes) -> None:
        """Continue from a dump."""


Tripped = Callable[[str, StateEvent, int, Exception], None]


class Folds:
    """Several folds as one: each sees every event of its kinds, in the order in which they were
    given, and with `seen` each event once.

    An event over which a fold trips must not keep the others from it, nor end the service: it
    would trip again at every start. `tripped` hears of it (name, event, offset, error). What the
    fold had half done is then brought into the form that a restart would find, so that a member
    that went on and one that restarted still agree.
    """

    def __init__(
        self,
        folds: Mapping[str, Fold],
        tripped: Tripped | None = None,
        *,
        seen: Seen | None = None,
    ) -> None:
        """Without `tripped` the error is raised. Without `seen` repeats are the folds' own matter:
        each of ours relies on it."""
        self._folds = dict(folds)
        self._tripped = tripped
        self._seen = seen
        self._readers = {
            kind: [(name, fold, fold.apply) for name, fold in folds.items() if kind in fold.KINDS]
            for kind in KINDS
        }

    def apply(self, event: StateEvent, offset: int) -> list[Fact]:
        gone: Sequence[StateEvent] = ()
        kind, seen = event.kind, self._seen
        if seen is not None:
            try:
                if seen.repeats(event):
                    return []
                if kind == SYNCED:
                    gone = seen.gone(event)
            except Exception as error:  # a body that is not as the contract says
                if self._tripped is None:
                    raise
                self._tripped(_SEEN, event, offset, error)
                return []
        facts: list[Fact] = []
        for name, fold, apply in self._readers[kind]:
            try:
                facts += apply(event, offset, gone) if gone else apply(event, offset)
            except Exception as error:  # the border to whatever rules a fold has; told by `tripped`
                if self._tripped is None:
                    raise
                fold.restore(fold.dump())
                self._tripped(name, event, offset, error)
        return facts

    def dump(self) -> bytes:
        return b"".join(pack(self.parts()))

    def restore(self, data: bytes) -> None:
        """Raises ValueError unless the dump is of these very folds."""
        self.restore_parts(unpack(data))

    def parts(self) -> dict[str, bytes]:
        """The dump of each fold. A large one should not be copied more often than it must."""
        return {name: part.dump() for name, part in self._parts().items()}

    def restore_parts(self, parts: Mapping[str, bytes]) -> None:
        """Raises ValueError unless the parts are of these very folds."""
        mine = self._parts()
        if parts.keys() != mine.keys():
            raise ValueError(f"the dump is of {', '.join(parts)}, not of {', '.join(mine)}")
        for name, part in mine.items():
            part.restore(parts[name])

    def _parts(self) -> dict[str, Fold | Seen]:
        return self._folds | ({_SEEN: self._seen} if self._seen is not None else {})


def versioned(document: Mapping[str, Any], version: int) -> Mapping[str, Any]:
    """The document of a fold's dump, which has a `version`. Raises UsageError unless it is this."""
    if document.get("version") != version:
        raise UsageError(
            f"snapshot version {document.get('version')!r} is not known "
            f"(this reads {version}); fold again from the beginning"
        )
    return document


def pack(parts: Mapping[str, bytes]) -> Iterator[bytes]:
    """Named parts as one, piece by piece: a line that lists them, and their bytes."""
    head = [[name, len(data)] for name, data in parts.items()]
    yield json.dumps(head, separators=(",", ":")).encode() + b"\n"
    yield from parts.values()


def unpack(data: bytes) -> dict[str, bytes]:
    """The opposite of `pack`. Raises ValueError if it is not."""
    head, newline, body = data.partition(b"\n")
    parts: dict[str, bytes] = {}
    at = 0
    for name, length in json.loads(head):
        parts[name] = body[at : at + length]
        at += length
    if not newline or at != len(body):
        raise ValueError(f"parts of {at} bytes in all, found {len(body)}")
    return parts

"""What the log processor writes beside its committed offset: the declaration of a batch.

The commit of offset `a` with an open range [a..b] says: these records are being stored, rows of
them may be in the table already, and this is what it takes to build the same rows again. A
commit without a range says: all before the offset is stored, except the carry.

Kafka keeps at most 4,096 characters (offset.metadata.max.bytes); the carry is bounded so that
this holds.
"""

import json
from dataclasses import dataclass
from typing import Any

from pipeline.base.errors import Fatal
from pipeline.broker.protocol import Commit, TopicPartition
from pipeline.contract.documents import read_json
from pipeline.stages.carry import CarryEntry, pack, unpack

VERSION = 1


LOOKS = 2  # rows may also be missing because they are older than the store keeps any


@dataclass(frozen=True, slots=True)
class CarryNote:
    """The carry at an offset, as text. `need` is the smallest offset whose bytes it needs;
    `base_ms` is the `now` of the batch that left it."""

    need: int
    base_ms: int = 0
    text: str = ""

    @classmethod
    def of(cls, carry: list[CarryEntry], *, start: int, base_ms: int) -> "CarryNote":
        need = min((entry.rec for entry in carry), default=start)
        return cls(need, base_ms, pack(carry, need=need, base_ms=base_ms))

    def entries(self) -> list[CarryEntry]:
        return unpack(self.text, need=self.need, base_ms=self.base_ms)


@dataclass(frozen=True, slots=True)
class Declared:
    """An open range. `last` may be `first - 1`: a batch without records, which only puts out
    what was unfinished for too long."""

    first: int
    last: int
    rows: int
    now_ms: int  # the batch's now
    declared_ms: int  # wall clock at the first declaration
    shape: str  # hash of which bytes the rows hold
    split: bool = False  # stored in parts: the token of the whole block means nothing any more

    def token(self, tp: TopicPartition) -> str:
        """Deduplication token of the batch's block. The shape is in it because offsets alone
        are not unique for ever: a topic that was made anew counts from zero again."""
        place = f"{tp.topic}:{tp.partition}:{self.first}-{self.last}"
        return f"{place}@{self.now_ms}:{self.shape}"


@dataclass(frozen=True, slots=True)
class Progress:
    """All that a commit says."""

    offset: int
    carry: CarryNote
    open: Declared | None = None

    def commit(self) -> Commit:
        document: dict[str, Any] = {"v": VERSION}
        if self.open is not None:
            batch = self.open
            document |= {
                "a": batch.first,
                "b": batch.last,
                "n": batch.rows,
                "now": batch.now_ms,
                "t": batch.declared_ms,
                "h": batch.shape,
            }
            if batch.split:
                document["split"] = 1
        if self.carry.text:
            document |= {
                "need": self.carry.need,
                "base": self.carry.base_ms,
                "carry": self.carry.text,
            }
        return Commit(self.offset, json.dumps(document, separators=(",", ":")))


def read_progress(tp: TopicPartition, commit: Commit) -> Progress:
    """What a commit says. A commit without text was made by another tool (a reset by hand): it
    has neither carry nor range. Fatal for text that this version does not understand."""
    if not commit.metadata.strip():
        return Progress(commit.offset, CarryNote(commit.offset))
    try:
        document = read_json(commit.metadata)
        if document["v"] != VERSION:
            raise ValueError(f"version {document['v']!r}")
        carry = CarryNote(
            int(document.get("need", commit.offset)),
            int(document.get("base", 0)),
            str(document.get("carry", "")),
        )
        carry.entries()
        batch = _declared(document) if "b" in document else None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Fatal(
            f"{tp.topic}:{tp.partition}: the group's commit at {commit.offset} is not understood"
            f" ({error}); it was written by another version or tool. Finish with that version, or"
            " commit the offset again without text to give up what was unfinished"
        ) from error
    return Progress(commit.offset, carry, batch)


def _declared(document: dict[str, Any]) -> Declared:
    return Declared(
        first=int(document["a"]),
        last=int(document["b"]),
        rows=int(document["n"]),
        now_ms=int(document["now"]),
        declared_ms=int(document["t"]),
        shape=str(document["h"]),
        split=bool(document.get("split")),
    )


def rest_token(token: str, rest: str, look: int) -> str:
    """The token of what is missing of a range, named by `rest`. One that was taken and whose rows
    are not there is known to the store: at the next look it is another."""
    return f"{token}/rest-{rest}-{look}" if look else f"{token}/rest-{rest}"

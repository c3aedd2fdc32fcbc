"""The fold at an offset: records in, and for each its row, its facts, or why it was put aside.

State: `next`, the offset of the next record to fold; the folds; ids seen lately. All of it is a
function of the records before `next` and of nothing else. So it does not matter who folds, or
for what: a member that waits for its turn folds the same records to the same state.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.base.clock import Clock
from pipeline.base.fold import Folds, Tripped
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Record
from pipeline.contract.facts import Fact
from pipeline.contract.fields import RecordError
from pipeline.contract.metrics import FOLD_SECONDS, STATE_EVENTS, STATE_GONE, STATE_REPEATED
from pipeline.contract.state import SAMPLE, StateEvent
from pipeline.eventlog.rows import Row, decode, row_of
from pipeline.eventlog.seen import Generations
from pipeline.processor.dead import Dead, dead_record

UNDECODABLE, FOLD_ERROR = "bad-event", "fold-error"
_FOLD = "fold/"  # before the names of folds among the parts of a dump
_KNOWN = 100_000  # ids remembered for sure, of samples and of the rest

Opening = Callable[[Tripped], Folds]


@dataclass(frozen=True, slots=True)
class Item:
    """What became of one record."""

    offset: int
    size: int  # bytes of its value
    row: Row | None = None
    facts: list[Fact] = field(default_factory=list)
    dead: tuple[Dead, ...] = ()


class Machine:
    """`folds` makes fresh folds. One thread."""

    def __init__(self, folds: Opening, *, telemetry: Telemetry, clock: Clock) -> None:
        self._open = folds
        self._telemetry = telemetry
        self._clock = clock
        self._tripped: list[str] = []
        self.start_at(0)

    def start_at(self, offset: int) -> None:
        """Forget everything; the next record is this one."""
        self.next = offset
        self.fresh = True  # nothing was folded or restored
        self.last: Record | None = None  # the record before `next`, if this machine saw it
        self._folds = self._open(self._trip)
        self._samples, self._others = Generations(_KNOWN), Generations(_KNOWN)

    def skip_to(self, offset: int) -> None:
        """Go on behind records that retention removed: nobody will see them any more."""
        self._telemetry.count(STATE_GONE, offset - self.next, before="folded")
        self._telemetry.event(
            "events.gone", "error", before="folded", first=self.next, last=offset - 1
        )
        self.next, self.last = offset, None

    def take(self, records: Sequence[Record]) -> list[Item]:
        """Fold what is new of these; they are in order."""
        fresh = [(record, _read(record)) for record in records if record.offset >= self.next]
        if not fresh:
            return []
        started = self._clock.monotonic()
        items = [self._item(record, found) for record, found in fresh]
        self._telemetry.count(FOLD_SECONDS, self._clock.monotonic() - started)
        for kind, count in Counter(f[0].kind for _, f in fresh if type(f) is tuple).items():
            self._telemetry.count(STATE_EVENTS, count, kind=kind)
        self.last, self.fresh = fresh[-1][0], False
        return items

    def dump(self) -> dict[str, bytes]:
        """The state at `next`, in parts."""
        folds = {_FOLD + name: data for name, data in self._folds.parts().items()}
        return folds | {"samples": self._samples.dump(), "others": self._others.dump()}

    def restore(self, offset: int, parts: Mapping[str, bytes]) -> None:
        """Become what was dumped at that offset. After an error call `start_at`."""
        self.start_at(offset)
        self._folds.restore_parts(
            {name[len(_FOLD) :]: data for name, data in parts.items() if name.startswith(_FOLD)}
        )
        self._samples.restore(parts["samples"])
        self._others.restore(parts["others"])
        self.fresh = False

    def _item(self, record: Record, found: "Read | RecordError") -> Item:
        if record.offset > self.next:
            self.skip_to(record.offset)
        self.next = record.offset + 1
        size = len(record.value or b"")
        if isinstance(found, RecordError):
            return Item(record.offset, size, dead=(_dead(record, UNDECODABLE, str(found)),))
        event, row = found
        known = self._samples if event.kind == SAMPLE else self._others
        if not known.first(event.id):
            self._telemetry.count(STATE_REPEATED, kind=event.kind)
            row = None
        facts = self._folds.apply(event, record.offset)
        dead: tuple[Dead, ...] = ()
        if self._tripped:
            dead = (_dead(record, FOLD_ERROR, "; ".join(self._tripped)),)
            self._tripped.clear()
        return Item(record.offset, size, row, facts, dead)

    def _trip(self, name: str, event: StateEvent, offset: int, error: Exception) -> None:
        detail = f"{name}: {type(error).__name__}: {error}"
        self._tripped.append(detail)
        self._telemetry.event(
            "fold.tripped", "error", kind=event.kind, id=event.id, offset=offset, error=detail
        )


Read = tuple[StateEvent, Row | None]


def _read(record: Record) -> Read | RecordError:
    try:
        event = decode(record.value)
        return event, row_of(event, record.offset)
    except RecordError as error:
        return error


def _dead(record: Record, reason: str, detail: str) -> Dead:
    return dead_record(record, reason, detail[:2000], None)

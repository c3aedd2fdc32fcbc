"""Dead letters: what could not be processed, kept whole with the reason, and counted.

A dead letter is in two places: the record itself on topic kubeledger.dead (so that it can be
put back), and a row in table dead_letters (so that the audit can explain the bytes). Its id is
made from its source, so processing a batch twice makes the same letters.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace

from pipeline.base.clock import Clock
from pipeline.base.errors import Fatal, Rejected, Unavailable
from pipeline.broker.protocol import Position, Producer, Record, TopicPartition
from pipeline.contract.record import Chunk, DeadLetter, encode_dead, encode_headers
from pipeline.contract.topics import DEAD
from pipeline.logs_config import DeadLetterLimits

RECORDS_GONE = "records-gone"
ROW_REFUSED = "row-refused"
VALUE_NOT_KEPT = "value-not-kept"  # ends the detail of a letter whose value was too large

# On a chunk that was made from a refused row: the one stream whose lines are meant
# (pipeline.stages.lines). Only `replay dead` puts such chunks on the topic.
STREAM_HEADER = "stream"

U32, U64 = (1 << 32) - 1, (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Dead:
    """A dead letter on its way. `letter` None: there is nothing to keep but the row."""

    id: str
    reason: str
    detail: str
    offset: int
    value: bytes | None = None
    letter: DeadLetter | None = None
    file_id: int = 0
    off: int = 0
    nbytes: int = 0


def dead_record(record: Record, reason: str, detail: str, chunk: Chunk | None) -> Dead:
    """A record that cannot be processed."""
    name = f"{record.topic}:{record.partition}:{record.offset}"
    return Dead(
        id=name,
        reason=reason,
        detail=detail,
        offset=record.offset,
        value=record.value,
        letter=DeadLetter(
            name, record.topic, record.partition, record.offset, reason, detail, record.headers
        ),
        file_id=chunk.file_id if chunk else 0,
        off=min(chunk.offset, U64) if chunk else 0,
        nbytes=min(chunk.raw_length, U32) if chunk else 0,
    )


def dead_row(
    tp: TopicPartition,
    offset: int,
    chunk: Chunk,
    value: bytes,
    *,
    stream: int,
    nbytes: int,
    detail: str,
) -> Dead:
    """A row that the table refused, as a record of its own: `chunk` and `value` hold the raw
    bytes from its first to its last part, and only lines of its stream are meant."""
    name = f"{tp.topic}:{tp.partition}:{offset}:{chunk.file_id:016x}.{chunk.offset}"
    letter = DeadLetter(
        name,
        tp.topic,
        tp.partition,
        offset,
        ROW_REFUSED,
        detail,
        (*encode_headers(chunk), (STREAM_HEADER, b"%d" % stream)),
    )
    return Dead(
        id=name,
        reason=ROW_REFUSED,
        detail=detail,
        offset=offset,
        value=value,
        letter=letter,
        file_id=chunk.file_id,
        off=chunk.offset,
        nbytes=min(nbytes, U32),
    )


def records_gone(tp: TopicPartition, first: int, last: int, detail: str) -> Dead:
    """Records that retention removed before they were read."""
    return Dead(
        id=f"{tp.topic}:{tp.partition}:{first}-{last}",
        reason=RECORDS_GONE,
        detail=detail,
        offset=first,
    )


class DeadLetters:
    """Sends letters, and stops the service when there are too many."""

    def __init__(self, producer: Producer, limits: DeadLetterLimits, clock: Clock) -> None:
        self._producer = producer
        self._limits = limits
        self._clock = clock
        self._window: deque[tuple[float, int, int]] = deque()  # time, records, dead

    def check(self, records: int, dead: int) -> None:
        """Count a batch before anything of it is stored. Fatal past the limits."""
        now = self._clock.monotonic()
        self._window.append((now, records, dead))
        while self._window[0][0] < now - self._limits.window_s:
            self._window.popleft()
        letters = sum(entry[2] for entry in self._window)
        seen = sum(entry[1] for entry in self._window)
        if dead and letters > self._limits.count and letters > self._limits.share * seen:
            raise Fatal(
                f"{letters} of {seen} records within {self._limits.window_s:.0f} s cannot be "
                "processed; stopped before the topic drains into dead letters. Look at table "
                "dead_letters, mend the cause (a newer collector?), or raise dead_letters.count"
            )

    def send(self, letters: list[Dead], wait: Callable[["Future[Position]"], None]) -> None:
        """On the dead-letter topic, acknowledged. A record too large to be kept there keeps its
        row and its place in the source topic."""
        for dead in letters:
            if dead.letter is None:
                continue
            try:
                wait(self._send(dead.letter, dead.value))
            except Rejected:
                detail = f"{dead.letter.detail[:1900]}; {VALUE_NOT_KEPT}"
                wait(self._send(replace(dead.letter, detail=detail), None))

    def _send(self, letter: DeadLetter, value: bytes | None) -> "Future[Position]":
        source = f"{letter.topic}:{letter.partition}".encode()
        return self._producer.send(DEAD, key=source, value=value, headers=encode_dead(letter))


def acknowledged(future: "Future[Position]", timeout_s: float) -> None:
    """Wait for one acknowledgement; Unavailable if it did not come yet."""
    try:
        future.result(timeout_s)
    except TimeoutError as error:
        raise Unavailable("the bus has not acknowledged a dead letter yet") from error

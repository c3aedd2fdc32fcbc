"""`kubeledger replay dead`: put dead letters back on their topics, once.

Each original record goes back to its topic and partition with header `replay` = the letter's
id. The processor compares such a chunk with what is stored and takes only what is missing, so
a letter that is put back twice makes no row twice.

What was put back is remembered in the commit of group kubeledger-replay on the dead-letter
topic: the offset below which all is done and, when a filter left letters aside, the ranges that
are done above it. Ranges that do not fit into a commit are forgotten: harmless, see above.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.base.clock import Clock, SystemClock
from pipeline.base.errors import Fenced, Unavailable
from pipeline.broker.protocol import Broker, Commit, Consumer, Partitions, Record, TopicPartition
from pipeline.contract.record import DeadLetter, RecordError, Source, decode_dead
from pipeline.contract.topics import DEAD

GROUP = "kubeledger-replay"
REPLAY_HEADER = "replay"
KEY_HEADER = "key"  # of a letter whose record had a key that nothing else tells
NOT_READABLE = "not-readable"
NOT_KEPT = "value-not-kept"
_LOST = (NOT_READABLE, NOT_KEPT)

_JOIN_S, _ACK_S = 30.0, 30.0
_TEXT = 4_000


@dataclass(slots=True)
class Done:
    """Offsets that were put back: all below `upto`, and some above."""

    upto: int
    above: set[int]

    @classmethod
    def of(cls, commit: Commit | None) -> "Done":
        if commit is None:
            return cls(0, set())
        above: set[int] = set()
        if commit.metadata.strip():
            for start, stop in json.loads(commit.metadata)["done"]:
                above.update(range(start, stop))
        return cls(commit.offset, above)

    def add(self, offset: int) -> None:
        self.above.add(offset)
        while self.upto in self.above:
            self.above.remove(self.upto)
            self.upto += 1

    def __contains__(self, offset: int) -> bool:
        return offset < self.upto or offset in self.above

    def commit(self) -> Commit:
        ranges: list[list[int]] = []
        for offset in sorted(self.above):
            if ranges and ranges[-1][1] == offset:
                ranges[-1][1] += 1
            else:
                ranges.append([offset, offset + 1])
        while len(text := json.dumps({"done": ranges}, separators=(",", ":"))) > _TEXT:
            ranges.pop()
        return Commit(self.upto, text)


def replay_dead(
    broker: Broker,
    *,
    reason: str | None = None,
    limit: int | None = None,
    clock: Clock | None = None,
) -> Counter[str]:
    """Put back all letters that are there now (of one reason, at most `limit`). Returns how
    many by reason; letters that cannot be put back are counted under what is wrong with them
    and left where they are. Unavailable when the bus is away or another replay runs."""
    consumer = broker.consumer(GROUP)
    try:
        tps = _joined(consumer, clock or SystemClock())
        counts: Counter[str] = Counter()
        for tp in sorted(tps):
            _replay_partition(broker, consumer, tp, counts, reason=reason, limit=limit)
        return counts
    except Fenced as error:
        raise Unavailable(
            f"another `replay dead` took over ({error}); what was put back is remembered"
        ) from error
    finally:
        consumer.close()


def told(counts: Counter[str]) -> list[str]:
    """What `replay_dead` did, in words."""
    lines = [
        f"{name}: {count} cannot be put back" if name in _LOST else f"{name}: {count} put back"
        for name, count in counts.items()
    ]
    return lines or ["nothing to put back"]


def _put_back(counts: Counter[str]) -> int:
    return sum(count for name, count in counts.items() if name not in _LOST)


def _joined(consumer: Consumer, clock: Clock) -> Partitions:
    """Be the only one who replays: the group has one member that holds the topic."""
    consumer.subscribe([DEAD], on_assigned=lambda _: None, on_revoked=lambda _: None)
    deadline = clock.monotonic() + _JOIN_S
    while not consumer.assignment():
        consumer.poll(0.2)
        if clock.monotonic() > deadline:
            raise Unavailable(f"no part of {DEAD} came within {_JOIN_S:.0f} s: another replay?")
    consumer.pause(consumer.assignment())
    return consumer.assignment()


def _replay_partition(
    broker: Broker,
    consumer: Consumer,
    tp: TopicPartition,
    counts: Counter[str],
    *,
    reason: str | None,
    limit: int | None,
) -> None:
    done = Done.of(consumer.committed(tp))
    producer = broker.producer()
    try:
        for record in _records(broker, tp, done.upto):
            if limit is not None and _put_back(counts) >= limit:
                break
            if record.offset in done:
                continue
            letter = _letter(record)
            if isinstance(letter, str):
                if reason is None:
                    counts[letter] += 1
                continue
            if reason is not None and letter.reason != reason:
                continue
            producer.send(
                letter.topic,
                key=_key(letter),
                value=record.value,
                headers=_marked(letter),
                partition=letter.partition,
            ).result(_ACK_S)
            done.add(record.offset)
            consumer.commit({tp: done.commit()})
            counts[letter.reason] += 1
    except TimeoutError as error:
        raise Unavailable(f"the bus has not acknowledged within {_ACK_S:.0f} s") from error
    finally:
        producer.close(_ACK_S)


def _records(broker: Broker, tp: TopicPartition, start: int) -> Iterable[Record]:
    """Everything from `start` to what is the end now."""
    reader = broker.reader()
    try:
        end = reader.end_offset(tp)
        place = max(start, reader.beginning_offset(tp))
        reader.assign([tp])
        reader.seek(tp, place)
        while place < end:
            for record in reader.poll(0.5):
                if record.offset < end:
                    yield record
            place = reader.position(tp)
    finally:
        reader.close()


def _letter(record: Record) -> DeadLetter | str:
    """The letter, or why it cannot be put back."""
    try:
        letter = decode_dead(record.headers)
    except (RecordError, UnicodeError):
        return NOT_READABLE
    return NOT_KEPT if letter.detail.endswith(NOT_KEPT) else letter


def _marked(letter: DeadLetter) -> tuple[tuple[str, bytes], ...]:
    kept = tuple((name, value) for name, value in letter.headers if name != REPLAY_HEADER)
    return (*kept, (REPLAY_HEADER, letter.id.encode()))


def _key(letter: DeadLetter) -> bytes | None:
    """The key that the record had: said, or as its collector made it from these headers."""
    found = dict(letter.headers)
    if KEY_HEADER in found:
        return found[KEY_HEADER]
    try:
        node, uid, path = (found[name].decode() for name in ("node", "uid", "path"))
    except (KeyError, UnicodeError):
        return None
    return Source(node, "", "", uid, "", 0, path).key

"""The door of an embedded bus, inside: a connection by which somebody reads. One thread asks and is
answered; what is read is bounded by one poll of the bus."""

from collections.abc import Iterator
from typing import Any

from pipeline.base.errors import Fatal, Unavailable
from pipeline.broker import door
from pipeline.broker.protocol import Reader, TopicPartition


def answer(frames: Iterator[list[Any]], wire: door.Wire, topic: str, reader: Reader) -> None:
    """Until the other side ends. Raises Unavailable for what is no request."""
    for frame in frames:
        if not _is_request(frame):
            raise Unavailable("a request is not as the protocol says")
        tp = TopicPartition(topic, frame[1])
        try:
            for part in _answered(frame, tp, reader):
                wire.sendall(door.pack(part))
        except Fatal as error:
            wire.sendall(door.pack(["fatal", str(error)]))


def _answered(frame: list[Any], tp: TopicPartition, reader: Reader) -> Iterator[list[Any]]:
    word, _, *rest = frame
    if word == door.BOUNDS:
        yield [door.BOUNDS, reader.beginning_offset(tp), reader.end_offset(tp)]
    elif word == door.TIME:
        yield [door.TIME, reader.offset_for_time(tp, rest[0])]
    else:
        offset, wait_ms = rest
        reader.assign([tp])
        reader.seek(tp, offset)
        for record in reader.poll(min(wait_ms / 1000, door.MAX_WAIT_S)):
            headers = [list(pair) for pair in record.headers]
            yield [record.offset, record.timestamp_ms, record.key, record.value, headers]
        yield [door.NEXT, reader.position(tp)]


_LENGTHS = {door.BOUNDS: 2, door.TIME: 3, door.FETCH: 4}


def _is_request(frame: list[Any]) -> bool:
    word, *rest = frame
    return (
        isinstance(word, str)
        and _LENGTHS.get(word) == len(frame)
        and all(type(number) is int and 0 <= number < 1 << 62 for number in rest)
    )

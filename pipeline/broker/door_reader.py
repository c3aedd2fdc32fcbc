"""A reader behind the door of an embedded bus: log configurations, for collectors and the watcher.

State: where it stands in each partition, and a connection for as long as it holds. After a break
the next call makes another one, and goes on from there.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from pipeline.base.errors import Unavailable, UsageError
from pipeline.broker import door
from pipeline.broker.door_entrance import Entrance
from pipeline.broker.protocol import Record, TopicPartition


class DoorReader:
    """One thread, one topic; see protocol.Reader."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance
        self._positions: dict[TopicPartition, int | None] = {}
        self._topic = ""
        self._turn = 0
        self._wire: door.Wire | None = None
        self._answers: Iterator[list[Any]] = iter(())

    def assign(self, tps: Iterable[TopicPartition]) -> None:
        wanted = list(tps)
        topics = {tp.topic for tp in wanted}
        if len(topics) > 1:
            raise UsageError("a reader behind the door of a bus reads one topic")
        if topics and topics != {self._topic}:
            self.close()
            self._topic = topics.pop()
        for tp in wanted:
            self._bounds(tp)  # Fatal for a partition that does not exist
        self._positions = {tp: self._positions.get(tp) for tp in wanted}

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._must_read(tp)
        self._positions[tp] = offset

    def poll(self, timeout_s: float) -> list[Record]:
        """Of one partition, the next one each time; the last that has nothing is waited for."""
        self._turn += 1
        tps = list(self._positions)
        for number in range(len(tps)):
            is_last = number == len(tps) - 1
            tp = tps[(self._turn + number) % len(tps)]
            found = self._fetch(tp, min(timeout_s, door.MAX_WAIT_S) if is_last else 0.0)
            if found:
                return found
        return []

    def _fetch(self, tp: TopicPartition, wait_s: float) -> list[Record]:
        found: list[Record] = []
        for frame in self._ask([door.FETCH, tp.partition, self.position(tp), int(wait_s * 1000)]):
            if frame[0] == door.NEXT:
                (self._positions[tp],) = self._numbers(frame, 1)
                break
            if len(frame) != 5 or type(frame[0]) is not int or not door.is_content(*frame[1:]):
                raise self._strange()
            offset, stamp, key, value, headers = frame
            pairs = tuple((name, content) for name, content in headers)
            found.append(Record(tp.topic, tp.partition, offset, stamp, key, value, pairs))
        return found

    def position(self, tp: TopicPartition) -> int:
        self._must_read(tp)
        known = self._positions[tp]
        if known is None:
            known = self._positions[tp] = self.beginning_offset(tp)
        return known

    def beginning_offset(self, tp: TopicPartition) -> int:
        return self._bounds(tp)[0]

    def end_offset(self, tp: TopicPartition) -> int:
        return self._bounds(tp)[1]

    def offset_for_time(self, tp: TopicPartition, timestamp_ms: int) -> int | None:
        frame = next(self._ask([door.TIME, tp.partition, timestamp_ms]))
        if frame == [door.TIME, None]:
            return None
        (found,) = self._numbers(frame, 1)
        return found

    def close(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def _bounds(self, tp: TopicPartition) -> tuple[int, int]:
        begin, end = self._numbers(next(self._ask([door.BOUNDS, tp.partition])), 2)
        return begin, end

    def _numbers(self, frame: list[Any], count: int) -> list[int]:
        numbers = frame[1:]
        if len(numbers) != count or any(type(number) is not int for number in numbers):
            raise self._strange()
        return numbers

    def _strange(self) -> Unavailable:
        self.close()
        return Unavailable("the bus does not speak this protocol: use the same release")

    def _ask(self, request: list[Any]) -> Iterator[list[Any]]:
        """Frames of the answer; who asks knows which is the last."""
        if self._wire is None:
            self._wire = self._entrance.enter(door.READ, self._topic)
            self._answers = door.frames(self._wire)
        try:
            self._wire.sendall(door.pack(request))
            for frame in self._answers:
                if isinstance(frame[0], str) and frame[0] in door.REFUSALS:
                    raise door.REFUSALS[frame[0]](" ".join(map(str, frame[1:])))
                yield frame
            raise Unavailable("the bus closed the connection")
        except OSError as error:
            self.close()
            raise Unavailable(f"the bus went away: {error}") from error
        except Unavailable:
            self.close()
            raise

    def _must_read(self, tp: TopicPartition) -> None:
        if tp not in self._positions:
            raise UsageError(f"{tp.topic}:{tp.partition} is not assigned to this reader")

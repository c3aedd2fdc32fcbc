"""To the broker: bounded, in order per file, and every record accounted for until acknowledged.

A `Lane` is one file's way to the broker: the queue of its records that are not settled. A
position moves only when the head of the queue is acknowledged, so it can lag and never lead.
Acknowledgements arrive on the producer's thread, are queued, and are applied by `settle` on the
collector's own.

Refusals. A chunk that the broker refuses for good halts its lane until everything behind it is
settled. If nothing behind it was taken, the file is read again from there in smaller pieces: no
loss, order kept. If something behind it was taken (or the piece is small already), reading it
again would put it behind the processor's high-water mark, so its bytes are named in a gap record
`refused`. A refused record without a value, or many refusals in a row, is no matter of one
record: the collector stops (Fatal) before it empties a node's logs into gap records.

Failures. What could not be delivered at all (no such topic, a right withdrawn) is no matter of the
data: all lanes wait, longer each time, then the same bytes are read and sent again. It is said
once. A collector that said so for each chunk would read that as log, too, and fail to ship it.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

import zstandard

from collectors.bounds import MAX_CHUNK_RAW
from pipeline.base.checksum import crc32c
from pipeline.base.clock import Clock
from pipeline.base.errors import Fatal, Rejected
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Position, Producer
from pipeline.broker.trouble import Trouble, notices
from pipeline.contract import metrics, topics
from pipeline.contract.record import (
    REFUSED,
    Chunk,
    FileEnd,
    FileOpen,
    Gap,
    LogRecord,
    Source,
    encode_headers,
)

if TYPE_CHECKING:
    from collectors.config import LimitsConfig
    from collectors.logs.positions import Positions
    from collectors.logs.tail import Piece

WINDOW_LOG = 18  # 256 KiB stay in the processor's cache: 1.15 times as fast as level 1's own 19
SMALL = 8 * 1024  # a refused chunk of at most this is not cut any further
REFUSED_IN_A_ROW = 8
HOLD_S = (0.25, 5.0)  # after a failure: the first time, and at most


def _zstd() -> zstandard.ZstdCompressionParameters:
    """Level 1 for chunks; the checksum is ours (crc32c of the raw bytes)."""
    return zstandard.ZstdCompressionParameters.from_level(
        1, source_size=MAX_CHUNK_RAW, window_log=WINDOW_LOG, write_checksum=False
    )


class Rereads(Protocol):
    """Whoever can read a lane's file again from an offset."""

    def reread(self, offset: int, *, limit: int) -> None: ...


@dataclass(slots=True, eq=False)
class Sent:
    """A record on its way. `stop` and `mark` are where the position is once it is taken."""

    lane: "Lane"
    event: LogRecord
    at: float
    stop: int = 0
    mark: str = ""
    raw: int = 0
    packed: int = 0
    settled: bool = False
    error: BaseException | None = None


@dataclass(slots=True, eq=False)
class Lane:
    """One file's records that are not settled, oldest first. `owner` is None when the file
    cannot be read again (truncated, given up, found missing at start)."""

    source: Source
    file_id: int
    format: str
    acked: int = 0
    owner: Rereads | None = None
    queue: deque[Sent] = field(default_factory=deque)
    halted: bool = False
    ended: bool = False
    retired: bool = False  # once ended, no file is ever this one: its bytes are gone

    @property
    def idle(self) -> bool:
        return not self.queue


class Shipper:
    """One producer, all lanes. Single-threaded but for `_arrived`."""

    def __init__(
        self,
        producer: Producer,
        positions: "Positions",
        *,
        limits: "LimitsConfig",
        telemetry: Telemetry,
        clock: Clock,
        wake: Callable[[], None],
        topic: str = topics.LOGS,
    ) -> None:
        self._topic = topic
        self._producer = producer
        self._positions = positions
        self._limits = limits
        self._telemetry = telemetry
        self._clock = clock
        self._wake = wake
        self._compressor = zstandard.ZstdCompressor(compression_params=_zstd())
        self._arrivals: deque[Sent] = deque()
        self._flight: deque[Sent] = deque()  # in the order of sending; settled ones leave lazily
        self._refused_in_a_row = 0
        self._broken: dict[Lane, None] = {}  # halted, and nothing of them in flight
        self._hold_s = 0.0
        self._held_until = 0.0  # monotonic
        self._trouble = Trouble(notices(telemetry))
        self.unacked_raw = 0
        self.unacked_packed = 0
        self.acked_total = 0
        self.last_ack = clock.monotonic()
        self.blocked = False

    # -- sending -----------------------------------------------------------------------------

    def room(self) -> bool:
        """May another chunk be read? While not, the next acknowledgement wakes the loop."""
        limits = self._limits
        self.blocked = self._held or (
            bool(self._flight)
            and (
                self.unacked_raw >= limits.unacked_bytes
                or self.unacked_packed >= limits.unacked_compressed_bytes
                or self.in_flight >= limits.unacked_records
            )
        )
        return not self.blocked

    def open(self, lane: Lane) -> None:
        """Before the first chunk of a file that is read from its start."""
        self._send(Sent(lane, self._open_event(lane), self._clock.monotonic()), None)

    def chunk(self, lane: Lane, piece: "Piece", *, pod_version: int) -> None:
        length = len(piece.raw)
        # A copy of its own size: the library leaves the result in a buffer for the worst case.
        value = bytes(memoryview(self._compressor.compress(piece.raw)))
        event = Chunk(
            source=lane.source,
            file_id=lane.file_id,
            kind="chunk",
            offset=piece.offset,
            raw_length=length,
            lines=0,  # counting costs a third of what compressing does, and nobody asks
            format=lane.format,
            codec="zstd",
            crc32c=crc32c(piece.raw),
            pod_version=pod_version,
            flags=piece.flags,
            first_ts=piece.first_ts,
            last_ts=piece.last_ts,
            read_ms=self._wall_ms(),
        )
        sent = Sent(lane, event, self._clock.monotonic(), stop=piece.offset + length)
        sent.mark, sent.raw, sent.packed = piece.mark, length, len(value)
        self._telemetry.count(metrics.READ_BYTES, length)
        self._telemetry.count(metrics.CHUNKS)
        self._send(sent, value)

    def gap(
        self, lane: Lane, start: int, stop: int, *, reason: str, exact: bool, mark: str = ""
    ) -> None:
        """Bytes [start, stop) will not come; the position moves behind them once that is
        recorded."""
        self._send(self._gap(lane, start, stop, reason=reason, exact=exact, mark=mark), None)

    def end(self, lane: Lane, size: int, *, reason: str, exact: bool) -> None:
        event = FileEnd(lane.source, lane.file_id, "end", size, reason, exact, self._wall_ms())
        self._send(Sent(lane, event, self._clock.monotonic(), stop=size), None)

    def _gap(
        self, lane: Lane, start: int, stop: int, *, reason: str, exact: bool, mark: str
    ) -> Sent:
        event = Gap(lane.source, lane.file_id, "gap", start, stop, reason, exact, self._wall_ms())
        self._telemetry.count(metrics.GAP_BYTES, stop - start, reason=reason)
        self._telemetry.event(
            "gap", level="warn", path=lane.source.path, file=f"{lane.file_id:016x}",
            start=start, stop=stop, reason=reason,
        )  # fmt: skip
        return Sent(lane, event, self._clock.monotonic(), stop=stop, mark=mark)

    def _open_event(self, lane: Lane) -> FileOpen:
        return FileOpen(lane.source, lane.file_id, "open", lane.format, self._wall_ms())

    def _send(self, sent: Sent, value: bytes | None) -> None:
        sent.lane.queue.append(sent)
        self._produce(sent, value)

    def _produce(self, sent: Sent, value: bytes | None) -> None:
        self.unacked_raw += sent.raw
        self.unacked_packed += sent.packed
        self._flight.append(sent)
        future = self._producer.send(
            self._topic,
            key=sent.lane.source.key,
            value=value if value is not None else b"",
            headers=encode_headers(sent.event),
            timestamp_ms=self._wall_ms(),
        )
        future.add_done_callback(partial(self._arrived, sent))

    def _arrived(self, sent: Sent, future: "Future[Position]") -> None:
        """On the producer's thread: note it, no more."""
        error: BaseException | None
        try:
            error = future.exception()
        except BaseException as cancelled:  # noqa: BLE001 - a cancelled future is not delivered
            error = cancelled
        sent.error = error
        self._arrivals.append(sent)
        if self.blocked:
            self._wake()

    # -- settling ----------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Records that are not settled."""
        while self._flight and self._flight[0].settled:
            self._flight.popleft()
        return len(self._flight)

    @property
    def waits(self) -> bool:
        """For acknowledgements, or until it may send again."""
        return bool(self._broken) or self.in_flight > 0

    @property
    def oldest(self) -> float | None:
        """When the oldest record still in flight was sent, monotonic."""
        return self._flight[0].at if self.in_flight else None

    def settle(self) -> None:
        """Apply what has arrived: positions move, refusals are dealt with."""
        lanes: dict[Lane, None] = {}
        while self._arrivals:
            sent = self._arrivals.popleft()
            sent.settled = True
            self.unacked_raw -= sent.raw
            self.unacked_packed -= sent.packed
            lanes[sent.lane] = None
            if sent.error is None:
                self.last_ack = self._clock.monotonic()
                self._hold_s = 0.0
                self._trouble.over("records are taken again")
            elif not isinstance(sent.error, Rejected):
                self._hold(sent.error)
        for lane in lanes:
            self._advance(lane)
        if self._broken and not self._held:
            broken, self._broken = self._broken, {}
            for lane in broken:
                self._repair(lane)

    @property
    def _held(self) -> bool:
        return self._clock.monotonic() < self._held_until

    def _hold(self, error: BaseException) -> None:
        """Nothing is read or sent again for a while. What fails meanwhile was sent before."""
        if not self._held:
            self._hold_s = min(max(2 * self._hold_s, HOLD_S[0]), HOLD_S[1])
            self._held_until = self._clock.monotonic() + self._hold_s
        self._trouble.tell(f"records are not taken, and are read again: {error}")

    def _advance(self, lane: Lane) -> None:
        queue = lane.queue
        while queue and queue[0].settled and queue[0].error is None:
            self._taken(queue.popleft())
        if queue and queue[0].settled:
            lane.halted = True
            if all(sent.settled for sent in queue):
                self._broken[lane] = None

    def _taken(self, sent: Sent) -> None:
        lane, event = sent.lane, sent.event
        if isinstance(event, FileEnd):
            lane.ended = True
            retired = lane.retired or event.reason == "truncated"
            self._positions.ended(lane.file_id, event.size, retired=retired)
        elif not isinstance(event, FileOpen):
            lane.acked = sent.stop
            self._positions.moved(lane.file_id, sent.stop, sent.mark)
        if sent.raw:
            self._refused_in_a_row = 0
            self.acked_total += sent.raw
            self._telemetry.count(metrics.ACKED_BYTES, sent.raw)

    def _repair(self, lane: Lane) -> None:
        """The head was not taken and nothing of this lane is in flight."""
        failed = [sent for sent in lane.queue if sent.error is not None]
        for sent in failed:
            refused = isinstance(sent.error, Rejected)
            reason = "refused" if refused else "failed"
            self._telemetry.count(metrics.PRODUCE_ERRORS, reason=reason)
            if refused and not isinstance(sent.event, Chunk):
                raise Fatal(
                    f"the broker refuses even a record without a value on {self._topic}: "
                    f"{sent.error}; check the topic and this client's rights on it"
                ) from sent.error
        lane.halted = False
        head = failed[0]
        again = len(failed) == len(lane.queue) and lane.owner is not None
        small = isinstance(head.error, Rejected) and head.raw <= SMALL
        if again and not small and all(isinstance(s.event, Chunk | FileOpen) for s in failed):
            self._read_again(lane, head)
        else:
            self._name_the_loss(lane)

    def _read_again(self, lane: Lane, head: Sent) -> None:
        limit = head.raw // 2 if isinstance(head.error, Rejected) else 0
        start = head.stop - head.raw if isinstance(head.event, Chunk) else 0
        if limit:
            self._telemetry.event(
                "chunk-refused", level="warn", path=lane.source.path, offset=start,
                reason=str(head.error), retry_bytes=limit,
            )  # fmt: skip
        lane.queue.clear()
        if lane.owner is not None:
            lane.owner.reread(start, limit=limit)

    def _name_the_loss(self, lane: Lane) -> None:
        """Each refused chunk becomes a gap record in its place; other records go again."""
        old, lane.queue = lane.queue, deque()
        for sent in old:
            if sent.error is None:
                lane.queue.append(sent)
                continue
            if isinstance(sent.event, Chunk):
                self._refused_in_a_row += 1
                if self._refused_in_a_row > REFUSED_IN_A_ROW:
                    raise Fatal(
                        f"the broker refused {REFUSED_IN_A_ROW} chunks in a row, the last with: "
                        f"{sent.error}; check max.message.bytes of {self._topic} "
                        "(`kubeledger migrate` does) and start again"
                    ) from sent.error
                start = sent.stop - sent.raw
                replacement = self._gap(
                    lane, start, sent.stop, reason=REFUSED, exact=True, mark=sent.mark
                )
            else:
                replacement = Sent(
                    lane, sent.event, self._clock.monotonic(), stop=sent.stop, mark=sent.mark
                )
            lane.queue.append(replacement)
            self._produce(replacement, None)

    def _wall_ms(self) -> int:
        return self._clock.wall_ns() // 1_000_000

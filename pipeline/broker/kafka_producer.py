"""The producer on Apache Kafka: acks=all, idempotent, and never giving a record up by itself.

kafka-python delivers in order and once while its producer session lives. When it drops a batch
(the broker lost the session's state, an epoch was fenced, permission was withdrawn) the records
behind it would overtake it. Then the whole client is ended at once, on its own thread, before it
can send more, and another one sends everything unacknowledged again in the first order: order is
kept, and a record may come twice, which readers of log files trim by offset.

State, under `_lock`: `_pending` is what is not acknowledged, in order of `send`; `_waiting` is
the part of it that was not handed to the client. A thread, `mender`, sleeps while all is well.
"""

import itertools
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import kafka
import kafka.errors

from pipeline.base.clock import Clock
from pipeline.base.errors import Fatal, KubeledgerError, Rejected, Unavailable
from pipeline.broker.kafka_options import REFUSED, Options, connect, translate
from pipeline.broker.limits import choose_partition, refusal, unknown_topic
from pipeline.broker.protocol import Position
from pipeline.contract.record import Headers

PRODUCER_OPTIONS: Options = {
    "acks": "all",
    "enable_idempotence": True,
    "compression_type": None,  # values are compressed already
    "delivery_timeout_ms": float("inf"),
    "linger_ms": 0,
    "batch_size": 256 << 10,
    "max_request_size": 8 << 20,  # of a request; records are bounded before
    "max_block_ms": 2_000,
    "send_buffer_bytes": None,
}
_RETRY_S = (0.2, 5.0)
_CLOSE_S = 5.0

Notice = Callable[[str], None]
TopicExists = Callable[[str], bool]


@dataclass(slots=True)
class _Send:
    future: "Future[Position]"
    number: int
    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    partition: int | None
    timestamp_ms: int


class KafkaBusProducer:
    """Thread-safe. Connects on its own thread: `send` works before the broker does."""

    def __init__(
        self, options: Options, *, clock: Clock, notice: Notice, topic_exists: TopicExists
    ) -> None:
        self._options = options | PRODUCER_OPTIONS
        self._clock = clock
        self._notice = notice
        self._topic_exists = topic_exists
        self._lock = threading.RLock()
        self._numbers = itertools.count()
        self._pending: dict[int, _Send] = {}
        self._waiting: deque[_Send] = deque()
        self._known: set[str] = set()
        self._client: Any = None
        self._retired: Any = None
        self._closed = threading.Event()
        self._wake = threading.Event()
        self._acknowledged = threading.Condition()
        self._flushing = 0
        self._troubled = False
        self._mender = threading.Thread(target=self._run, name="bus-mender", daemon=True)

    def start(self) -> "KafkaBusProducer":
        self._wake.set()
        self._mender.start()
        return self

    def send(
        self,
        topic: str,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> "Future[Position]":
        future: Future[Position] = Future()
        refused = refusal(topic, key, value, headers=headers)
        if refused is not None:
            future.set_exception(refused)
            return future
        stamp = self._clock.wall_ns() // 1_000_000 if timestamp_ms is None else timestamp_ms
        with self._lock:
            send = _Send(
                future, next(self._numbers), topic, key, value, list(headers), partition, stamp
            )
            if self._closed.is_set():
                future.set_exception(Unavailable("the producer is closed"))
                return future
            self._pending[send.number] = send
            if self._waiting or not self._hand_over(send):
                self._waiting.append(send)
                self._wake.set()
        return future

    def flush(self, timeout_s: float) -> bool:
        with self._acknowledged:
            self._flushing += 1
            try:
                return self._acknowledged.wait_for(lambda: not self._pending, timeout_s)
            finally:
                self._flushing -= 1

    def close(self, timeout_s: float) -> None:
        self.flush(timeout_s)
        with self._lock:
            self._closed.set()
        self._wake.set()
        self._mender.join(_CLOSE_S)
        client, self._client = self._client, None
        for ended in (client, self._retired):
            if ended is not None:
                _end(ended)
        for send in list(self._pending.values()):
            self._settle(send, Unavailable("closed before Kafka acknowledged this record"))

    def _hand_over(self, send: _Send) -> bool:
        """Give it to the client, under the lock. False: it has to wait."""
        client = self._client
        if client is None or send.topic not in self._known:
            return False
        try:
            partition = choose_partition(
                send.topic,
                send.key,
                send.partition,
                partitions=len(client.partitions_for(send.topic)),
                turn=send.number,
            )
            acknowledgement = client.send(
                send.topic,
                value=send.value,
                key=send.key,
                headers=send.headers,
                partition=partition,
                timestamp_ms=send.timestamp_ms,
            )
        except (*REFUSED, Rejected) as error:
            self._settle(send, translate(f"sending to {send.topic}", error))
            return True
        except (kafka.errors.KafkaError, ValueError, RuntimeError):
            self._known.discard(send.topic)  # its metadata is gone, or the client has just ended
            return False
        acknowledgement.add_callback(partial(self._on_acknowledged, send))
        acknowledgement.add_errback(partial(self._on_failed, send, client))
        return True

    def _on_acknowledged(self, send: _Send, metadata: Any) -> None:
        """On the client's thread."""
        self._settle(send, Position(metadata.partition, metadata.offset))

    def _on_failed(self, send: _Send, client: Any, error: BaseException) -> None:
        """On the client's thread, before it goes on with the partition."""
        if client is not self._client:
            return  # fails together with its client; `_mend` sends it again
        if isinstance(error, REFUSED):
            self._settle(send, translate(f"sending to {send.topic}", error))
            return
        self._retired, self._client = client, None
        client._sender.force_close()  # close() would first wait for what cannot be sent
        self._trouble(translate(f"sending to {send.topic}", error))
        self._wake.set()

    def _settle(self, send: _Send, outcome: Position | KubeledgerError) -> None:
        if self._pending.pop(send.number, None) is None:
            return
        with suppress(InvalidStateError):
            if isinstance(outcome, Position):
                send.future.set_result(outcome)
            else:
                send.future.set_exception(outcome)
        if self._flushing:
            with self._acknowledged:
                self._acknowledged.notify_all()

    def _run(self) -> None:
        pause_s = _RETRY_S[0]
        while not self._closed.is_set():
            self._wake.wait()
            self._wake.clear()
            try:
                done = self._mend()
            except KubeledgerError as error:
                self._trouble(error)
                done = False
            if done:
                pause_s = _RETRY_S[0]
            else:
                self._wake.set()
                self._closed.wait(pause_s)
                pause_s = min(pause_s * 2, _RETRY_S[1])

    def _mend(self) -> bool:
        """Connect if need be, and hand over what waits. True when nothing waits any more."""
        if self._client is None:
            retired, self._retired = self._retired, None
            if retired is not None:
                _end(retired)
            client = connect(kafka.KafkaProducer, self._options)
            with self._lock:
                self._known.clear()
                self._waiting = deque(self._pending.values())
                self._client = client
        for topic in {send.topic for send in self._snapshot()} - self._known:
            self._learn(topic)
        with self._lock:
            while self._waiting and self._hand_over(self._waiting[0]):
                self._waiting.popleft()
            done = self._client is not None and not self._waiting
        if done and self._troubled:
            self._troubled = False
            self._notice("Kafka takes records again")
        return done

    def _snapshot(self) -> list[_Send]:
        with self._lock:
            return list(self._waiting)

    def _learn(self, topic: str) -> None:
        """Wait for the topic's metadata. A topic that the broker says does not exist fails its
        records; when the broker says nothing, they wait."""
        client = self._client
        try:
            if client is not None and client.partitions_for(topic):
                self._known.add(topic)
            return
        except (kafka.errors.KafkaError, ValueError, RuntimeError) as error:
            if self._topic_exists(topic):
                raise translate(f"looking for topic {topic}", error) from error
        missing = unknown_topic(topic)
        with self._lock:
            failed = [send for send in self._waiting if send.topic == topic]
            self._waiting = deque(send for send in self._waiting if send.topic != topic)
        for send in failed:
            self._settle(send, Fatal(str(missing)))

    def _trouble(self, error: KubeledgerError) -> None:
        if not self._troubled:
            self._troubled = True
            self._notice(f"records wait and are sent again: {error}")


def _end(client: Any) -> None:
    """End a client without waiting for what it cannot send. KafkaProducer.close alone would wait
    for its records first and, when the time is over, raise and leave its thread running."""
    client._sender.force_close()
    client._sender.join(_CLOSE_S)
    with suppress(kafka.errors.KafkaError, RuntimeError, OSError, ValueError):
        client.close(timeout=0)

"""The producer on Apache Kafka: acks=all, idempotent, and never giving a record up by itself.

`send` only queues. A thread, the feeder, hands what has gathered for `GATHER_S` to kafka-python in
one go: waking its network thread once for many records is most of what saves CPU at low rates.

kafka-python delivers in order and once while its producer session lives. When it drops a batch
(the broker lost the session's state, an epoch was fenced, permission was withdrawn) the records
behind it would overtake it. Then the whole client is ended at once, on its own thread, before it
can send more, and another one sends everything unacknowledged again in the first order: order is
kept, and a record may come twice, which readers of log files trim by offset. Those records go one
by one: a batch fails as a whole, and kafka-python goes on to fail innocent records with the same
error, so only a record that was refused while it was alone is Rejected.

State: what is unacknowledged is in the outbox; up to number `_alone_until` records go alone.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

from pipeline.base.clock import Clock
from pipeline.base.errors import Fatal, KubeledgerError, Rejected, Unavailable
from pipeline.broker.kafka_library import errors, producer_class
from pipeline.broker.kafka_options import REFUSED, Options, connect, translate
from pipeline.broker.kafka_outbox import Outbox, Send
from pipeline.broker.limits import choose_partition, record_bytes, refusal, unknown_topic
from pipeline.broker.protocol import Position
from pipeline.broker.trouble import Notice, Trouble
from pipeline.contract.record import Headers

PRODUCER_OPTIONS: Options = {
    "acks": "all",
    "enable_idempotence": True,
    "compression_type": None,  # values are compressed already
    "delivery_timeout_ms": float("inf"),
    "linger_ms": 2,  # the time the feeder needs to hand over what has gathered
    "batch_size": 256_000,  # larger ones cost memory and save no CPU
    "max_request_size": 1_100_000,  # one largest record; bounds the buffers of a request
    "max_block_ms": 2_000,
}
GATHER_S = 0.02
GATHER_BYTES = 1 << 20  # so much is handed over at once
_RETRY_S = (0.2, 5.0)
_CLOSE_S = 5.0

TopicExists = Callable[[str], bool]


class KafkaBusProducer:
    """Thread-safe. Connects on its own thread: `send` works before the broker does."""

    def __init__(
        self, options: Options, *, clock: Clock, notice: Notice, topic_exists: TopicExists
    ) -> None:
        self._options = options | PRODUCER_OPTIONS
        self._clock = clock
        self._trouble = Trouble(notice)
        self._topic_exists = topic_exists
        self._outbox = Outbox()
        self._known: set[str] = set()
        self._client: Any = None
        self._retired: Any = None
        self._alone_until = -1
        self._alone: int | None = None  # the number of the one record in flight
        self._closed = threading.Event()
        self._work = threading.Event()  # something waits
        self._urgent = threading.Event()  # hand over now, do not gather
        self._feeder = threading.Thread(target=self._run, name="bus-feeder", daemon=True)

    def start(self) -> "KafkaBusProducer":
        self._work.set()  # connect
        self._feeder.start()
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
        stamp = self._clock.wall_ns() // 1_000_000 if timestamp_ms is None else timestamp_ms
        size = record_bytes(key, value, headers)
        send = Send(topic, key, value, list(headers), partition, stamp, size)
        refused = refusal(topic, key, value, headers=headers)
        if self._closed.is_set() or refused is not None:
            send.future.set_exception(refused or Unavailable("the producer is closed"))
            return send.future
        if self._outbox.add(send) > GATHER_BYTES:
            self._urgent.set()
        if not self._work.is_set():
            self._work.set()
        if self._closed.is_set():  # while it was queued; nobody will look at it any more
            self._outbox.settle(send, Unavailable("the producer is closed"))
        return send.future

    def flush(self, timeout_s: float) -> bool:
        self._urgent.set()
        return self._outbox.watch(self._outbox.is_empty, timeout_s)

    def close(self, timeout_s: float) -> None:
        self.flush(timeout_s)
        self._closed.set()
        self._work.set()
        self._urgent.set()
        self._outbox.wake_watchers()
        self._feeder.join(_CLOSE_S)
        client, self._client = self._client, None
        for ended in (client, self._retired):
            if ended is not None:
                _end(ended)
        self._outbox.settle_all(Unavailable("closed before Kafka acknowledged this record"))

    def _run(self) -> None:
        pause_s = _RETRY_S[0]
        while True:
            self._work.wait()
            self._work.clear()
            if self._closed.is_set():
                return
            self._urgent.wait(GATHER_S)
            self._urgent.clear()
            try:
                done = self._feed()
            except KubeledgerError as error:
                self._tell(error)
                done = False
            except Exception as error:  # noqa: BLE001 - border of the thread: without it nothing is
                # ever sent again, and nobody is told
                self._tell(Unavailable(f"{type(error).__name__}: {error}"))
                done = False
            if done:
                pause_s = _RETRY_S[0]
            else:
                self._work.set()
                self._closed.wait(pause_s)
                pause_s = min(pause_s * 2, _RETRY_S[1])

    def _feed(self) -> bool:
        """Connect if need be, and hand over what waits. True when nothing waits any more."""
        if self._client is None:
            self._reconnect()
        for topic in self._outbox.topics() - self._known:
            self._learn(topic)
        while self._client is not None and (send := self._outbox.first()) is not None:
            if not self._hand_over_in_turn(send):
                return False
        if self._client is not None:
            self._trouble.over("Kafka takes records again")
        return self._client is not None

    def _reconnect(self) -> None:
        retired, self._retired = self._retired, None
        if retired is not None:
            _end(retired)
        client = connect(producer_class(), self._options)
        self._known.clear()
        self._outbox.start_again()
        self._client = client

    def _learn(self, topic: str) -> None:
        """Wait for the topic's metadata. A topic that the broker says does not exist fails its
        records; when the broker says nothing, they wait."""
        client = self._client
        try:
            if client is not None and client.partitions_for(topic):
                self._known.add(topic)
            return
        except (errors.KafkaError, ValueError, RuntimeError) as error:
            if self._topic_exists(topic):
                raise translate(f"looking for topic {topic}", error) from error
        missing = str(unknown_topic(topic))
        for send in self._outbox.take_out(topic):
            self._outbox.settle(send, Fatal(missing))

    def _hand_over_in_turn(self, send: Send) -> bool:
        """False: it has to wait, and all behind it."""
        client = self._client
        self._alone = send.number if send.number <= self._alone_until else None
        if not self._hand_over(send, client):
            return False
        self._outbox.handed_over(send)
        if self._alone is None:
            return True
        while self._outbox.is_pending(send) and self._client is client:
            if self._closed.is_set():
                return False
            self._outbox.watch(lambda: not self._is_alone(send, client), 1.0)
        self._alone = None
        return self._client is client

    def _is_alone(self, send: Send, client: Any) -> bool:
        in_flight = self._outbox.is_pending(send) and self._client is client
        return in_flight and not self._closed.is_set()

    def _hand_over(self, send: Send, client: Any) -> bool:
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
            self._outbox.settle(send, translate(f"sending to {send.topic}", error))
            return True
        except (errors.KafkaError, ValueError, RuntimeError):
            self._known.discard(send.topic)  # its metadata is gone, or the client has just ended
            return False
        acknowledgement.add_callback(partial(self._on_acknowledged, send))
        acknowledgement.add_errback(partial(self._on_failed, send, client))
        return True

    def _on_acknowledged(self, send: Send, metadata: Any) -> None:
        """On the client's thread."""
        self._outbox.settle(send, Position(metadata.partition, metadata.offset))

    def _on_failed(self, send: Send, client: Any, error: BaseException) -> None:
        """On the client's thread, before it goes on with the partition."""
        if client is not self._client:
            return  # fails together with its client; the feeder sends it again
        refused = self._alone == send.number and isinstance(error, REFUSED)
        problem = translate(f"sending to {send.topic}", error)
        self._alone_until = self._outbox.last_number()
        self._retired, self._client = client, None
        client._sender.force_close()  # close() would first wait for what cannot be sent
        if refused:
            self._outbox.settle(send, problem)
        else:
            self._tell(problem)
        self._work.set()
        self._urgent.set()
        self._outbox.wake_watchers()

    def _tell(self, error: KubeledgerError) -> None:
        self._trouble.tell(f"records wait and are sent again: {error}")


def _end(client: Any) -> None:
    """End a client without waiting for what it cannot send. KafkaProducer.close alone would wait
    for its records first and, when the time is over, raise and leave its thread running."""
    client._sender.force_close()
    client._sender.join(_CLOSE_S)
    with suppress(errors.KafkaError, RuntimeError, OSError, ValueError):
        client.close(timeout=0)

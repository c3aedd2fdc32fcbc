"""Samples to the bus: in order, bounded, and nothing dropped in silence."""

from concurrent.futures import Future

from collectors.node.outbox import Outbox
from pipeline.base.clock import ManualClock
from pipeline.base.errors import Rejected, Unavailable
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.broker.memory import MemoryBroker
from pipeline.broker.protocol import Position, TopicPartition
from pipeline.contract import state
from pipeline.contract.record import Headers
from pipeline.contract.state import StateEvent, decode_state
from pipeline.contract.topics import STATE, topic_specs


def event(number: int, filling: str = "") -> StateEvent:
    body = {"node": "n", "part": "host", "values": {"filling": filling}}
    return StateEvent(state.SAMPLE, number, "n", f"n:host:{number}", body)


class HeldProducer:
    """Acknowledges when told to; `away` refuses on the spot."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Future[Position]]] = []
        self.keys: set[tuple[bytes | None, int | None]] = set()
        self.away = False

    def send(
        self, topic: str, *, key: bytes | None, value: bytes | None, headers: Headers = (),
        partition: int | None = None, timestamp_ms: int | None = None,
    ) -> "Future[Position]":  # fmt: skip
        assert topic == STATE
        assert value is not None
        if self.away:
            raise Unavailable("the client is closed")
        self.keys.add((key, partition))
        future: Future[Position] = Future()
        self.sent.append((decode_state(value).id, future))
        return future

    def flush(self, timeout_s: float) -> bool:
        return True

    def close(self, timeout_s: float) -> None:
        pass


class Bench:
    def __init__(self, limit: int = 1 << 20) -> None:
        self.producer = HeldProducer()
        self.telemetry = RecordingTelemetry()
        self.clock = ManualClock()
        self.outbox = Outbox(
            self.producer, cluster="shop", limit_bytes=limit, telemetry=self.telemetry,
            clock=self.clock,
        )  # fmt: skip

    def counted(self, name: str) -> float:
        return sum(v for (metric, _), v in self.telemetry.values.items() if metric == name)


def test_records_arrive_in_order_with_the_cluster_as_key() -> None:
    broker = MemoryBroker()
    broker.admin().ensure(topic_specs(1), create=True)
    outbox = Outbox(
        broker.producer(), cluster="shop", limit_bytes=1 << 20, telemetry=RecordingTelemetry(),
        clock=ManualClock(),
    )  # fmt: skip
    for number in range(200):
        outbox.put(event(number))
    for _ in range(5):
        outbox.settle()
    assert len(outbox) == 0
    reader = broker.reader()
    reader.assign([TopicPartition(STATE, 0)])
    records = reader.poll(1)
    assert [decode_state(r.value or b"") for r in records] == [event(n) for n in range(200)]
    assert {(r.key, dict(r.headers)["kind"]) for r in records} == {(b"shop", b"sample")}
    broker.close()


def test_in_flight_is_bounded_and_the_rest_waits() -> None:
    bench = Bench()
    for number in range(100):
        bench.outbox.put(event(number))
    bench.outbox.settle()
    assert len(bench.producer.sent) == 64
    assert len(bench.outbox) == 100
    for _, future in bench.producer.sent[:10]:
        future.set_result(Position(0, 0))
    bench.outbox.settle()
    assert [i for i, _ in bench.producer.sent] == [f"n:host:{n}" for n in range(74)]
    assert bench.producer.keys == {(b"shop", 0)}
    assert bench.counted("kubeledger_node_samples_dropped_total") == 0


def test_past_the_bound_the_oldest_are_dropped_counted_and_said() -> None:
    bench = Bench(limit=100_000)
    bench.producer.away = True
    for number in range(100):
        bench.outbox.put(event(number, "x" * 2000))
        bench.outbox.settle()
        bench.clock.advance(1)
    kept = len(bench.outbox)
    assert 40 <= kept <= 50
    dropped = bench.counted("kubeledger_node_samples_dropped_total")
    assert kept + dropped == 100
    said = [fields for name, fields in bench.telemetry.events if name == "samples-dropped"]
    assert 1 <= len(said) <= 2  # once a minute
    bench.producer.away = False
    for _ in range(10):
        bench.outbox.settle()
        for _, future in bench.producer.sent:
            if not future.done():
                future.set_result(Position(0, 0))
    bench.outbox.settle()
    assert [i for i, _ in bench.producer.sent] == [f"n:host:{n}" for n in range(100 - kept, 100)]
    assert len(bench.outbox) == 0


def test_what_the_broker_refuses_or_the_client_gives_up_is_counted() -> None:
    bench = Bench()
    for number in range(3):
        bench.outbox.put(event(number))
    bench.outbox.put(event(3, "x" * 1_100_000))  # longer than any record may be
    bench.outbox.settle()
    (_, first), (_, second), (_, third) = bench.producer.sent
    first.set_exception(Rejected("too large"))
    second.set_exception(Unavailable("closed"))
    third.cancel()
    bench.outbox.settle()
    assert len(bench.outbox) == 0
    assert bench.counted("kubeledger_produce_errors_total") == 2
    assert bench.counted("kubeledger_node_samples_dropped_total") == 2
    assert bench.telemetry.names().count("sample-refused") == 2

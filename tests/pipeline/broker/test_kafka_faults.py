"""The Kafka backend when the broker is away, hangs, dies, forgets or refuses. A real node of its
own, because it is stopped on the way."""

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kafka import KafkaAdminClient

from pipeline.base.errors import Fatal, Fenced, Rejected, Unavailable
from pipeline.base.ports import free_port
from pipeline.broker import kafka_producer
from pipeline.broker.config import BrokerConfig
from pipeline.broker.kafka import KafkaBroker
from pipeline.broker.protocol import Commit, Record, TopicPartition
from pipeline.contract.topics import TopicSpec
from tests.journeys.command import wait_for
from tests.real.kafka import KafkaNode, start_kafka

pytestmark = [
    pytest.mark.real,
    # kafka-python leaves the socket of a failed connection attempt to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

FAST = BrokerConfig(session_timeout_s=3.0)


@pytest.fixture(scope="module")
def node(kafka: KafkaNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaNode]:
    """Asking for `kafka` skips, or fails, in one place when this machine cannot run one."""
    assert kafka.bootstrap
    made = start_kafka(tmp_path_factory.mktemp("faulty"))
    try:
        yield made
    finally:
        made.kill()


@pytest.fixture(autouse=True)
def running(request: pytest.FixtureRequest) -> None:
    """A test that failed half-way must not fail the next one."""
    if "node" in request.fixturenames:
        node: KafkaNode = request.getfixturevalue("node")
        if not node.running:
            node.restart()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the tests that ask for it give a node up that is slow to answer."""
    monkeypatch.setattr("pipeline.broker.kafka_options.BOOTSTRAP_MS", 60_000)


@pytest.fixture(autouse=True)
def collect_here() -> Iterator[None]:
    """While the filter above holds."""
    yield
    gc.collect()
    gc.collect()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "this did not happen in time"
        time.sleep(0.02)


def topic(broker: KafkaBroker, name: str, partitions: int = 1, *, compacted: bool = False) -> str:
    admin = broker.admin()
    admin.ensure([TopicSpec(name, partitions, 48, compacted=compacted)], create=True)
    admin.close()
    return name


def content(broker: KafkaBroker, name: str) -> list[Record]:
    tp = TopicPartition(name, 0)
    reader = broker.reader()
    reader.assign([tp])
    end = reader.end_offset(tp)
    found: list[Record] = []
    while reader.position(tp) < end:
        found += reader.poll(1)
    reader.close()
    return found


def test_nothing_is_lost_or_repeated_while_the_broker_is_killed(node: KafkaNode) -> None:
    broker = KafkaBroker([node.bootstrap], FAST)
    name = topic(broker, "killed")
    producer = broker.producer()
    futures = [producer.send(name, key=b"k", value=b"%d" % n + bytes(5000)) for n in range(300)]
    futures[20].result(60)
    node.kill()
    futures += [producer.send(name, key=b"k", value=b"%d" % n) for n in range(300, 400)]
    assert not producer.flush(0.5)
    node.restart()
    assert [future.result(60).offset for future in futures] == list(range(400))
    numbers = [int((r.value or b"").rstrip(b"\0")) for r in content(broker, name)]
    assert numbers == list(range(400))
    producer.close(5)


def test_a_broker_that_hangs_delays_and_does_not_lose(node: KafkaNode) -> None:
    broker = KafkaBroker([node.bootstrap], FAST)
    name = topic(broker, "hanging")
    producer = broker.producer()
    producer.send(name, key=b"k", value=b"0").result(60)
    node.pause()
    try:
        futures = [producer.send(name, key=b"k", value=b"%d" % n) for n in range(1, 50)]
        assert not producer.flush(1.0)
    finally:
        node.resume()
    assert [future.result(60).offset for future in futures] == list(range(1, 50))
    producer.close(5)


def test_what_nobody_thought_of_does_not_end_the_sending(
    node: KafkaNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = topic(KafkaBroker([node.bootstrap], FAST), "unthought")
    connect, tries = kafka_producer.connect, iter([ImportError("half a library")])

    def unlucky(*words: Any) -> Any:
        for error in tries:
            raise error
        return connect(*words)

    monkeypatch.setattr(kafka_producer, "connect", unlucky)
    notices: list[str] = []
    producer = KafkaBroker([node.bootstrap], FAST, notice=notices.append).producer()
    assert producer.send(name, key=b"k", value=b"v").result(60).offset == 0
    assert notices[0] == "records wait and are sent again: ImportError: half a library"
    producer.close(5)


def test_a_producer_starts_before_its_broker(
    node: KafkaNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = KafkaBroker([node.bootstrap], FAST)
    name = topic(broker, "early")
    node.stop()
    monkeypatch.setattr("pipeline.broker.kafka_options.BOOTSTRAP_MS", 2000)
    notices: list[str] = []
    broker = KafkaBroker([node.bootstrap], FAST, notice=notices.append)
    producer = broker.producer()
    futures = [producer.send(name, key=b"k", value=b"v") for _ in range(5)]
    until(lambda: notices)
    assert "records wait" in notices[0]
    assert not futures[0].done()
    node.restart()
    assert [future.result(60).offset for future in futures] == list(range(5))
    # on another thread than the acknowledgements
    until(lambda: notices[-1] == "Kafka takes records again")
    assert all("records wait" in said for said in notices[:-1])
    assert len(set(notices)) == len(notices), "each reason once"
    producer.close(5)


def test_no_broker_is_unavailable_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pipeline.broker.kafka_options.BOOTSTRAP_MS", 300)
    broker = KafkaBroker([f"127.0.0.1:{free_port()}"], FAST)
    before = set(threading.enumerate())
    for connect in (broker.admin, broker.reader, lambda: broker.consumer("g")):
        with pytest.raises(Unavailable, match="is the broker up and reachable"):
            connect()
    producer = broker.producer()
    future = producer.send("t", key=b"k", value=b"v")
    producer.close(0.1)
    with pytest.raises(Unavailable, match="closed before Kafka acknowledged"):
        future.result(60)
    until(lambda: before.issuperset(threading.enumerate()))
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_a_refused_record_does_not_take_its_neighbours_along(node: KafkaNode) -> None:
    """kafka-python fails the whole batch, and later ones with the same error."""
    broker = KafkaBroker([node.bootstrap], FAST)
    name = topic(broker, "compacted", compacted=True)
    producer = broker.producer()
    futures = [
        producer.send(name, key=None if n in (3, 7) else b"k%d" % n, value=b"%d" % n)
        for n in range(12)
    ]
    for n, future in enumerate(futures):
        if n in (3, 7):
            with pytest.raises(Rejected):
                future.result(60)
        else:
            future.result(60)
    good = [n for n in range(12) if n not in (3, 7)]
    assert [int(r.value or b"") for r in content(broker, name)] == good
    producer.close(5)


def test_a_topic_that_was_deleted_and_made_again_goes_on(node: KafkaNode) -> None:
    """The broker has forgotten the producer's sequence: a new session, the same order."""
    broker = KafkaBroker([node.bootstrap], FAST)
    name = topic(broker, "again")
    producer = broker.producer()
    for n in range(5):
        producer.send(name, key=b"k", value=b"old %d" % n).result(60)
    admin = broker.admin()
    admin._client.delete_topics([name])
    with pytest.raises(Fatal, match="does not exist"):
        until(lambda: not admin.partitions(name))  # the broker hears of it later
    admin.ensure([TopicSpec(name, 1, 48, compacted=False)], create=True)
    admin.close()
    futures = [producer.send(name, key=b"k", value=b"%d" % n) for n in range(50)]
    for future in futures:
        future.result(60)
    numbers = [int(r.value or b"") for r in content(broker, name)]
    assert sorted(set(numbers)) == list(range(50))
    assert [n for i, n in enumerate(numbers) if n not in numbers[:i]] == list(range(50))
    producer.close(5)


def test_a_member_survives_a_restart_of_the_broker(node: KafkaNode) -> None:
    broker = KafkaBroker([node.bootstrap], FAST)
    name = topic(broker, "member")
    tp = TopicPartition(name, 0)
    producer = broker.producer()
    producer.send(name, key=b"k", value=b"0").result(60)
    consumer = broker.consumer("survivor")
    consumer.subscribe([name], on_assigned=lambda _: None, on_revoked=lambda _: None)
    found: list[Record] = []

    def committed(commit: Commit) -> bool:
        """A member that was slow is thrown out, and joins again."""
        found.extend(consumer.poll(1))
        try:
            consumer.commit({tp: commit})
        except Fenced:
            return False
        return True

    until(lambda: found or found.extend(consumer.poll(1)))
    until(lambda: committed(Commit(1, "before")))
    node.restart()
    producer.send(name, key=b"k", value=b"1").result(60)
    until(lambda: found[-1].offset == 1 or found.extend(consumer.poll(1)))
    assert consumer.committed(tp) == Commit(1, "before")
    until(lambda: committed(Commit(2, "after")))
    assert consumer.committed(tp) == Commit(2, "after")
    consumer.close()
    producer.close(5)


def test_an_assignment_that_comes_between_two_polls_is_not_missed(node: KafkaNode) -> None:
    """The topic gets a partition; the group's answer to that is there before we poll again."""
    broker = KafkaBroker([node.bootstrap], BrokerConfig(session_timeout_s=30.0))
    admin, growing = broker.admin(), KafkaAdminClient(bootstrap_servers=node.bootstrap)
    admin.ensure([TopicSpec("grows", 1, 48, compacted=False)], create=True)
    member = broker.consumer("grows")
    try:
        member.subscribe(["grows"], on_assigned=lambda _: None, on_revoked=lambda _: None)
        wait_for(lambda: not member.poll(0.2) and len(member.assignment()) == 1, "a member")
        growing.create_partitions({"grows": 2})
        coordinator: Any = member._client._coordinator

        def joins() -> bool:
            member._client._client.cluster.request_update()
            member.poll(0)
            return coordinator.rejoining

        wait_for(joins, "a join that was begun")
        wait_for(lambda: coordinator._join_task.is_done, "its answer")
        wait_for(lambda: not member.poll(0.2) and len(member.assignment()) == 2, "both")
    finally:
        for client in (member, admin, growing):
            client.close()
        broker.close()

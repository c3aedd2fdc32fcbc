"""One bus per test, of each kind. The suite itself knows protocol.py only."""

import itertools
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline.broker.config import BrokerConfig
from pipeline.broker.door_server import DoorServer
from pipeline.broker.memory import MemoryBroker
from pipeline.broker.open import open_broker
from pipeline.broker.protocol import Broker, Partitions, Record, TopicPartition
from pipeline.contract.topics import TopicSpec

SESSION_S = 12.0  # nobody is thrown out of a group who stands still for some seconds
PATIENCE_S = 60.0


@dataclass
class Bus:
    """A broker, fresh names, and what must be closed at the end."""

    kind: str
    broker: Broker
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    clients: list[Any] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def topic(self, partitions: int = 1, *, hours: int = 48, compacted: bool = False) -> TopicSpec:
        spec = TopicSpec(f"t-{self.run}-{next(self.numbers)}", partitions, hours, compacted)
        self.admin().ensure([spec], create=True)
        return spec

    def group(self) -> str:
        return f"g-{self.run}-{next(self.numbers)}"

    def producer(self) -> Any:
        producer = self.broker.producer()
        self.clients.append(_Closing(lambda: producer.close(5.0)))
        return producer

    def reader(self, *tps: TopicPartition) -> Any:
        reader = self._keep(self.broker.reader())
        if tps:
            reader.assign(tps)
        return reader

    def admin(self) -> Any:
        return self._keep(self.broker.admin())

    def member(self, group: str, *topics: str) -> "MemberProbe":
        return MemberProbe(self._keep(self.broker.consumer(group)), topics)

    def _keep(self, client: Any) -> Any:
        self.clients.append(client)
        return client

    def close(self) -> None:
        for client in reversed(self.clients):
            client.close()
        self.broker.close()


@dataclass
class _Closing:
    close: Callable[[], None]


class MemberProbe:
    """A group member that remembers what it was told."""

    def __init__(self, consumer: Any, topics: tuple[str, ...]) -> None:
        self.consumer = consumer
        self.assigned: list[Partitions] = []
        self.revoked: list[Partitions] = []
        self.records: list[Record] = []
        consumer.subscribe(
            list(topics), on_assigned=self.assigned.append, on_revoked=self.revoked.append
        )

    def step(self, timeout_s: float = 0.2) -> list[Record]:
        found: list[Record] = self.consumer.poll(timeout_s)
        self.records += found
        return found

    def mine(self) -> Partitions:
        held: Partitions = self.consumer.assignment()
        return held


def until(condition: Callable[[], bool], *members: MemberProbe) -> None:
    """Poll all members until it is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "this did not happen in time"
        for member in members:
            member.step()


def read(reader: Any, count: int) -> list[Record]:
    """That many records, and not one more."""
    found: list[Record] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(found) < count and time.monotonic() < deadline:
        found += reader.poll(0.2)
    assert len(found) == count
    return found


class BehindDoor:
    """An embedded bus whose producers and readers come through its door."""

    def __init__(self, bus: Broker, folder: Path) -> None:
        token = folder / "token"
        token.write_text("t0ken\n")
        listener = socket.create_server(("127.0.0.1", 0))
        self._bus = bus
        self._inside = bus.producer()
        self._server = DoorServer(
            listener, self._inside, reader=bus.reader, tls=None, token_file=token,
            allowed=Everything(), readable=Everything(), say=lambda what, whom: None,
        ).start()  # fmt: skip
        port = listener.getsockname()[1]
        config = BrokerConfig(url=f"kubeledger://127.0.0.1:{port}", password_file=token)
        self._outside = open_broker(config)
        self.producer, self.reader = self._outside.producer, self._outside.reader
        self.consumer, self.admin = bus.consumer, bus.admin

    def close(self) -> None:
        self._outside.close()
        self._server.close()
        self._inside.close(5.0)
        self._bus.close()


class Everything(frozenset[str]):
    """Topics that the suite makes are not the product's."""

    def __contains__(self, _topic: object) -> bool:
        return True


@pytest.fixture(
    params=["memory", "sqlite", "door", pytest.param("kafka", marks=pytest.mark.real)],
)
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bus]:
    if request.param == "memory":
        broker: Broker = MemoryBroker(session_timeout_s=SESSION_S)
    else:
        url = f"sqlite:{tmp_path}/data/bus.db"
        if request.param == "kafka":
            url = request.getfixturevalue("kafka").url
        broker = open_broker(BrokerConfig(url=url, session_timeout_s=SESSION_S))
    if request.param == "door":
        broker = BehindDoor(broker, tmp_path)
    made = Bus(request.param, broker)
    try:
        yield made
    finally:
        made.close()

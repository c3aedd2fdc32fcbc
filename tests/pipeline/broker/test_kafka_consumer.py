"""The group member on Kafka, where the client's own thread is faster than our caller."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import kafka
import pytest

from pipeline.base.clock import ManualClock
from pipeline.base.errors import Fenced
from pipeline.broker.kafka_consumer import KafkaBusConsumer
from pipeline.broker.protocol import TopicPartition

OURS, THEIRS = TopicPartition("t", 0), kafka.TopicPartition("t", 0)


class Client:
    """kafka-python's consumer, as far as it matters: state per assigned partition, made anew by
    each assignment; `lose` and `gain` are what its network thread does."""

    def __init__(self) -> None:
        self._coordinator = SimpleNamespace(rejoining=False)
        self.paused: dict[Any, bool] = {}
        self.listener: Any = None

    def topics(self) -> set[str]:
        return {"t"}

    def subscribe(self, topics: Iterable[str], listener: Any) -> None:
        self.listener = listener

    def gain(self) -> None:
        self.paused = {THEIRS: False}
        self.listener.on_partitions_assigned([THEIRS])

    def lose(self) -> None:
        self.paused = {}
        self.listener.on_partitions_revoked([THEIRS])

    def poll(self, timeout_ms: int) -> dict[Any, Any]:
        return {}

    def pause(self, *partitions: Any) -> None:
        for partition in partitions:
            self.paused[partition]  # as the library: KeyError if it is not assigned
            self.paused[partition] = True

    def resume(self, *partitions: Any) -> None:
        for partition in partitions:
            self.paused[partition]
            self.paused[partition] = False

    def seek(self, partition: Any, offset: int) -> None:
        if partition not in self.paused:
            raise ValueError("Unassigned partition")


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def member(client: Client) -> KafkaBusConsumer:
    member = KafkaBusConsumer(client, "g", ManualClock())
    member.subscribe(["t"], on_assigned=lambda _: None, on_revoked=lambda _: None)
    client.gain()
    member.poll(0)
    return member


def test_a_pause_that_meets_an_assignment_not_announced_yet_does_not_stay(
    client: Client, member: KafkaBusConsumer
) -> None:
    client.lose()
    client.gain()
    member.pause([OURS])
    member.poll(0)
    assert member.assignment() == {OURS}
    assert client.paused == {THEIRS: False}


def test_what_was_taken_away_and_not_announced_yet(
    client: Client, member: KafkaBusConsumer
) -> None:
    client.paused = {}  # the listener is called a moment later
    member.pause([OURS])
    member.resume([OURS])
    with pytest.raises(Fenced):
        member.seek(OURS, 5)
    client.lose()
    with pytest.raises(Fenced):
        member.seek(OURS, 5)

"""Dead letters: which are put back, and what is said of those that cannot be."""

from collections import Counter

import pytest

from pipeline.broker.memory import MemoryBroker
from pipeline.contract.record import DeadLetter, encode_dead
from pipeline.contract.topics import DEAD, topic_specs
from pipeline.replay import NOT_KEPT, NOT_READABLE, replay_dead, told

TARGET = "kubeledger.logs"


@pytest.fixture
def bus() -> MemoryBroker:
    """Two letters that cannot be put back, and behind them two that can."""
    broker = MemoryBroker()
    broker.admin().ensure(topic_specs(1), create=True)
    producer = broker.producer()
    for number, detail in enumerate(["", f"too large; {NOT_KEPT}", "x", "y"]):
        letter = DeadLetter(str(number), TARGET, 0, number, "row-refused", detail, ())
        headers = encode_dead(letter) if detail else ()
        producer.send(DEAD, key=None, value=b"v", headers=headers, partition=0).result(5)
    producer.close(5)
    return broker


def test_letters_that_cannot_be_put_back_are_not_said_to_be(bus: MemoryBroker) -> None:
    counts = replay_dead(bus)
    assert counts == {NOT_READABLE: 1, NOT_KEPT: 1, "row-refused": 2}
    assert told(counts) == [
        "not-readable: 1 cannot be put back",
        "value-not-kept: 1 cannot be put back",
        "row-refused: 2 put back",
    ]


def test_they_do_not_use_up_the_limit(bus: MemoryBroker) -> None:
    assert replay_dead(bus, limit=1)["row-refused"] == 1
    assert replay_dead(bus, limit=1)["row-refused"] == 1
    assert "row-refused" not in replay_dead(bus, limit=1)


def test_of_one_reason_nothing_else_is_told(bus: MemoryBroker) -> None:
    assert told(replay_dead(bus, reason="row-refused")) == ["row-refused: 2 put back"]
    assert told(replay_dead(bus, reason="row-refused")) == ["nothing to put back"]
    assert told(Counter()) == ["nothing to put back"]

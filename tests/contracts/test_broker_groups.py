"""Every bus keeps the promises about consumer groups: sharing, take-over, commits, fencing."""

import pytest

from pipeline.base.errors import Fenced, Rejected
from pipeline.broker.protocol import Commit, TopicPartition
from tests.contracts.conftest import Bus, MemberProbe, until


def fill(bus: Bus, topic: str, partitions: int, each: int) -> None:
    producer = bus.producer()
    for n in range(partitions * each):
        producer.send(topic, key=b"k", value=b"%d" % n, partition=n % partitions)
    assert producer.flush(60)


def settled(*members: MemberProbe, total: int) -> bool:
    """All partitions are held, evenly."""
    held = [len(member.mine()) for member in members]
    return sum(held) == total and max(held) - min(held) <= 1


def test_members_share_partitions_and_one_that_leaves_is_replaced(bus: Bus) -> None:
    topic = bus.topic(4).name
    fill(bus, topic, 4, 5)
    group = bus.group()
    first = bus.member(group, topic)
    until(lambda: len(first.records) == 20, first)
    # on a slow machine it may have joined more than once
    assert first.assigned[-1] == frozenset(TopicPartition(topic, n) for n in range(4))
    second = bus.member(group, topic)
    until(lambda: settled(first, second, total=4), first, second)
    assert first.mine().isdisjoint(second.mine())
    assert first.revoked[0] == frozenset(TopicPartition(topic, n) for n in range(4))
    second.consumer.close()
    assert second.revoked
    until(lambda: len(first.mine()) == 4, first)


def test_a_new_owner_goes_on_from_the_commit_with_its_metadata(bus: Bus) -> None:
    topic = bus.topic(1).name
    fill(bus, topic, 1, 10)
    tp = TopicPartition(topic, 0)
    group = bus.group()
    first = bus.member(group, topic)
    until(lambda: len(first.records) == 10, first)
    assert first.consumer.committed(tp) is None
    metadata = '{"v":1,"end":9,"n":5}' + "é" * 4075  # 4,096 characters
    first.consumer.commit({tp: Commit(6, metadata)})
    assert first.consumer.committed(tp) == Commit(6, metadata)
    first.consumer.close()
    second = bus.member(group, topic)
    until(lambda: len(second.records) == 4, second)
    assert [r.offset for r in second.records] == [6, 7, 8, 9]
    assert second.consumer.committed(tp) == Commit(6, metadata)


def test_metadata_that_is_too_long_is_rejected(bus: Bus) -> None:
    topic = bus.topic(1).name
    tp = TopicPartition(topic, 0)
    member = bus.member(bus.group(), topic)
    until(lambda: tp in member.mine(), member)
    with pytest.raises(Rejected, match="4,097 characters"):
        member.consumer.commit({tp: Commit(0, "x" * 4097)})
    assert member.consumer.committed(tp) is None


def test_a_lost_partition_cannot_be_committed(bus: Bus) -> None:
    topic = bus.topic(2).name
    fill(bus, topic, 2, 4)
    group = bus.group()
    first = bus.member(group, topic)
    until(lambda: len(first.mine()) == 2, first)
    first.consumer.commit({tp: Commit(1) for tp in first.mine()})
    second = bus.member(group, topic)
    until(lambda: settled(first, second, total=2), first, second)
    (lost,) = second.mine()
    (kept,) = first.mine()
    with pytest.raises(Fenced):
        first.consumer.commit({lost: Commit(3)})
    with pytest.raises(Fenced):
        first.consumer.commit({kept: Commit(3), lost: Commit(3)})
    assert first.consumer.committed(kept) == Commit(1)  # all or nothing
    assert second.consumer.committed(lost) == Commit(1)
    second.consumer.commit({lost: Commit(2)})
    first.consumer.commit({kept: Commit(4)})
    assert second.consumer.committed(kept) == Commit(4)


def test_no_commit_without_an_assignment(bus: Bus) -> None:
    topic = bus.topic(1).name
    member = bus.member(bus.group(), topic)
    with pytest.raises(Fenced):
        member.consumer.commit({TopicPartition(topic, 0): Commit(0)})


def test_seek_in_on_assigned_rules(bus: Bus) -> None:
    topic = bus.topic(2).name
    fill(bus, topic, 2, 6)
    member = bus.member(bus.group(), topic)
    consumer = member.consumer
    consumer.subscribe(
        [topic],
        on_assigned=lambda tps: [consumer.seek(tp, 4 + tp.partition) for tp in tps],
        on_revoked=lambda tps: None,
    )
    until(lambda: len(member.records) >= 3, member)
    assert {(r.partition, r.offset) for r in member.records} == {(0, 4), (0, 5), (1, 5)}
    assert len(member.records) == 3


def test_pause_resume_and_seek_back(bus: Bus) -> None:
    topic = bus.topic(2).name
    fill(bus, topic, 2, 3)
    zero, one = TopicPartition(topic, 0), TopicPartition(topic, 1)
    member = bus.member(bus.group(), topic)
    until(lambda: len(member.records) == 6, member)
    member.records.clear()
    member.consumer.pause([zero])
    for tp in (zero, one):
        member.consumer.seek(tp, 1)
    until(lambda: len(member.records) == 2, member)
    assert {r.partition for r in member.records} == {1}
    assert member.step() == []
    member.consumer.resume([zero])
    until(lambda: len(member.records) == 4, member)
    assert [r.offset for r in member.records if r.partition == 0] == [1, 2]
    with pytest.raises(Fenced):
        member.consumer.seek(TopicPartition(topic, 9), 0)


def test_groups_do_not_disturb_each_other(bus: Bus) -> None:
    topic = bus.topic(1).name
    fill(bus, topic, 1, 3)
    tp = TopicPartition(topic, 0)
    one, other = bus.member(bus.group(), topic), bus.member(bus.group(), topic)
    until(lambda: len(one.records) == len(other.records) == 3, one, other)
    one.consumer.commit({tp: Commit(3, "one")})
    assert other.consumer.committed(tp) is None


def test_new_records_reach_a_waiting_poll(bus: Bus) -> None:
    topic = bus.topic(1).name
    member = bus.member(bus.group(), topic)
    until(lambda: len(member.mine()) == 1, member)
    producer = bus.producer()
    for n in range(3):
        assert producer.send(topic, key=b"k", value=b"v").result(60).offset == n
        assert [r.offset for r in member.consumer.poll(60)] == [n]

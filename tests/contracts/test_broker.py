"""Every bus keeps the promises of pipeline/broker/protocol.py: records, positions, topics.

Groups are in test_broker_groups.py.
"""

import pytest
from kafka.partitioner.default import murmur2

from pipeline.base.errors import Fatal, Rejected
from pipeline.broker.config import BrokerConfig
from pipeline.broker.open import open_broker
from pipeline.broker.protocol import Commit, TopicPartition
from pipeline.contract.topics import MAX_RECORD_BYTES, TopicSpec, partition_for
from tests.contracts.conftest import Bus, read, until
from tests.real.kafka import KafkaNode

HOUR_MS = 3_600_000


def test_records_are_acknowledged_and_read_in_order(bus: Bus) -> None:
    topic = bus.topic().name
    producer = bus.producer()
    futures = [producer.send(topic, key=b"k", value=b"%d" % n) for n in range(500)]
    assert [f.result(60) for f in futures] == [(0, n) for n in range(500)]
    records = read(bus.reader(TopicPartition(topic, 0)), 500)
    assert [(r.offset, r.value) for r in records] == [(n, b"%d" % n) for n in range(500)]


def test_the_order_of_one_key_holds_across_large_and_small_records(bus: Bus) -> None:
    topic = bus.topic(4).name
    producer = bus.producer()
    sizes = [1, 400_000, 3, 900_000, 0, 250_000] * 4
    futures = [producer.send(topic, key=b"pod", value=bytes(size)) for size in sizes]
    positions = [f.result(60) for f in futures]
    assert positions == [(partition_for(b"pod", 4), n) for n in range(len(sizes))]
    records = read(bus.reader(TopicPartition(topic, positions[0].partition)), len(sizes))
    assert [len(r.value or b"") for r in records] == sizes


def test_a_key_has_the_same_partition_on_every_bus(bus: Bus) -> None:
    topic = bus.topic(5).name
    producer = bus.producer()
    keys = [b"", b"a", b"2f1c8a1e-6f0c-4a36-9d53-0a4a5ce1b6f1", b"node-1:/var/log/messages"]
    keys += [b"pod-%d" % n for n in range(40)]
    futures = [producer.send(topic, key=key, value=b"v") for key in keys]
    for key, future in zip(keys, futures, strict=True):
        assert future.result(60).partition == partition_for(key, 5)
        assert partition_for(key, 5) == (murmur2(key) & 0x7FFFFFFF) % 5


def test_a_partition_can_be_chosen_and_must_exist(bus: Bus) -> None:
    topic = bus.topic(3).name
    producer = bus.producer()
    assert producer.send(topic, key=b"k", value=b"v", partition=2).result(60).partition == 2
    with pytest.raises(Rejected, match="3 partitions"):
        producer.send(topic, key=b"k", value=b"v", partition=3).result(60)


def test_headers_keys_values_and_time_come_back_as_they_went(bus: Bus) -> None:
    topic = bus.topic(hours=0).name
    producer = bus.producer()
    headers = (("empty", b""), ("bytes", bytes(range(256))), ("twice", b"1"), ("twice", b"2"))
    producer.send(topic, key=None, value=b"", headers=headers, timestamp_ms=1_700_000_000_123)
    producer.send(topic, key=b"", value=None)
    assert producer.flush(60)
    first, second = read(bus.reader(TopicPartition(topic, 0)), 2)
    assert (first.key, first.value, first.headers) == (None, b"", headers)
    assert first.timestamp_ms == 1_700_000_000_123
    assert (second.key, second.value, second.headers) == (b"", None, ())
    assert abs(second.timestamp_ms - 1_800_000_000_000) < 10**12  # now, in milliseconds


def test_what_no_bus_takes_is_rejected_and_the_rest_goes_on(bus: Bus) -> None:
    topic = bus.topic().name
    producer = bus.producer()
    before = producer.send(topic, key=b"k", value=b"1")
    large = producer.send(topic, key=b"k", value=bytes(MAX_RECORD_BYTES))
    empty = producer.send(topic, key=None, value=None)
    largest = producer.send(topic, key=b"k", value=bytes(MAX_RECORD_BYTES - 1))
    with pytest.raises(Rejected, match="the limit is 1,000,000"):
        large.result(60)
    with pytest.raises(Rejected, match="key or a value"):
        empty.result(60)
    assert [before.result(60).offset, largest.result(60).offset] == [0, 1]


def test_a_record_without_key_is_rejected_on_a_compacted_topic(bus: Bus) -> None:
    topic = bus.topic(compacted=True).name
    producer = bus.producer()
    good = [producer.send(topic, key=b"k", value=b"%d" % n) for n in range(2)]
    bad = producer.send(topic, key=None, value=b"v")
    later = producer.send(topic, key=b"k", value=b"3")
    with pytest.raises(Rejected):
        bad.result(60)
    assert later.result(60).offset >= 2
    assert [f.result(60).offset for f in good] == [0, 1]


def test_an_unknown_topic_says_what_to_do(bus: Bus) -> None:
    with pytest.raises(Fatal, match="kubeledger migrate"):
        bus.admin().partitions("no-such-topic")
    with pytest.raises(Fatal, match="kubeledger migrate"):
        bus.producer().send("no-such-topic", key=b"k", value=b"v").result(60)
    with pytest.raises(Fatal, match="kubeledger migrate"):
        bus.member(bus.group(), "no-such-topic")
    with pytest.raises(Fatal, match="kubeledger migrate"):
        bus.reader(TopicPartition("no-such-topic", 0))


def test_closing_a_producer_sends_what_is_pending(bus: Bus) -> None:
    topic = bus.topic().name
    producer = bus.broker.producer()
    futures = [producer.send(topic, key=b"k", value=bytes(10_000)) for _ in range(100)]
    producer.close(60)
    assert [f.result(0).offset for f in futures] == list(range(100))
    with pytest.raises(Exception, match="closed"):
        producer.send(topic, key=b"k", value=b"late").result(60)


def test_a_reader_seeks_and_knows_its_positions(bus: Bus) -> None:
    topic = bus.topic(2, hours=0).name
    producer = bus.producer()
    for n in range(10):
        producer.send(topic, key=b"k", value=b"%d" % n, partition=0, timestamp_ms=1000 + 10 * n)
    assert producer.flush(60)
    full, bare = TopicPartition(topic, 0), TopicPartition(topic, 1)
    reader = bus.reader(full, bare)
    assert (reader.beginning_offset(full), reader.end_offset(full)) == (0, 10)
    assert (reader.beginning_offset(bare), reader.end_offset(bare)) == (0, 0)
    assert (reader.position(full), reader.position(bare)) == (0, 0)
    assert len(read(reader, 10)) == 10
    assert reader.position(full) == 10
    reader.seek(full, 7)
    assert [r.offset for r in read(reader, 3)] == [7, 8, 9]
    reader.assign([full])
    assert reader.position(full) == 10  # kept
    assert reader.poll(0) == []


def test_seek_by_time_finds_the_first_record_at_or_after(bus: Bus) -> None:
    topic = bus.topic(hours=0).name
    base = 1_790_000_000_000
    producer = bus.producer()
    for stamp in (0, 10, 30, 20, 40, 40, 90):  # not in order: clocks of nodes differ
        producer.send(topic, key=b"k", value=b"v", timestamp_ms=base + stamp)
    assert producer.flush(60)
    tp = TopicPartition(topic, 0)
    reader = bus.reader(tp)
    asked = (-5, 0, 1, 10, 11, 31, 40, 41, 91)
    found = [reader.offset_for_time(tp, base + stamp) for stamp in asked]
    assert found == [0, 0, 1, 1, 2, 4, 4, 6, None]


def test_a_poll_is_bounded_and_no_partition_starves(bus: Bus) -> None:
    topic = bus.topic(3).name
    producer = bus.producer()
    for n in range(60):
        producer.send(topic, key=b"k", value=bytes(500_000), partition=n % 2)
    producer.send(topic, key=b"k", value=b"small", partition=2)
    assert producer.flush(60)
    reader = bus.reader(*(TopicPartition(topic, n) for n in range(3)))
    polls = []
    while sum(map(len, polls)) < 61:
        polls.append(reader.poll(60))
        assert polls[-1], "records are missing"
        assert sum(len(r.value or b"") for r in polls[-1]) <= 16 << 20
    turn = next(n for n, poll in enumerate(polls) if any(r.partition == 2 for r in poll))
    assert turn <= len(polls) // 2


def test_topics_are_created_checked_and_never_changed(bus: Bus) -> None:
    admin = bus.admin()
    plain = TopicSpec(f"plain-{bus.run}", 3, 24, compacted=False)
    compacted = TopicSpec(f"compacted-{bus.run}", 2, 0, compacted=True)
    with pytest.raises(Fatal, match=rf"plain-{bus.run}: does not exist.*migrate"):
        admin.ensure([plain], create=False)
    made = admin.ensure([plain, compacted], create=True)
    assert [("created" in line, line.split(":")[0]) for line in made] == [
        (True, plain.name),
        (True, compacted.name),
    ]
    found = admin.ensure([plain, compacted], create=False)
    assert all("as it should be" in line for line in found)
    assert (admin.partitions(plain.name), admin.partitions(compacted.name)) == (3, 2)
    with pytest.raises(Fatal) as wrong:
        admin.ensure([TopicSpec(plain.name, 8, 48, compacted=True)], create=True)
    text = str(wrong.value)
    assert "partitions is 3, should be 8" in text
    assert text.count(plain.name) >= 3  # partitions, retention, compaction: each is named
    assert admin.partitions(plain.name) == 3


def test_the_lag_of_a_group_is_told_per_partition(bus: Bus) -> None:
    topic = bus.topic(2).name
    producer = bus.producer()
    for n in range(7):
        producer.send(topic, key=b"k", value=b"v", partition=n % 2)
    assert producer.flush(60)
    group = bus.group()
    assert bus.admin().group_lag(group, topic) == {0: 4, 1: 3}
    member = bus.member(group, topic)
    until(lambda: len(member.mine()) == 2, member)
    member.consumer.commit({TopicPartition(topic, 0): Commit(3)})
    assert bus.admin().group_lag(group, topic) == {0: 1, 1: 3}


@pytest.mark.real
def test_kafka_topics_carry_retention_and_compaction(kafka: KafkaNode) -> None:
    """Kafka expires and compacts by segment and in minutes: what is checked for it is that the
    topic says so. That memory and SQLite do it is tested in tests/pipeline/broker."""
    bus = Bus("kafka", open_broker(BrokerConfig(url=kafka.url)))
    spec = bus.topic(hours=5, compacted=True)
    with pytest.raises(Fatal) as wrong:
        bus.admin().ensure([TopicSpec(spec.name, 1, 6, compacted=False)], create=False)
    bus.close()
    assert f"retention.ms is {5 * HOUR_MS}, should be {6 * HOUR_MS}" in str(wrong.value)
    assert "cleanup.policy is compact,delete, should be delete" in str(wrong.value)
    assert "kafka-configs.sh" in str(wrong.value)

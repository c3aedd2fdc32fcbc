"""Keys find the same partition as in Apache Kafka's own clients."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.contract.topics import partition_for, topic_specs


@given(st.binary(max_size=64), st.integers(1, 64))
def test_agrees_with_kafka_python(key: bytes, partitions: int) -> None:
    from kafka.partitioner.default import murmur2

    assert partition_for(key, partitions) == (murmur2(key) & 0x7FFFFFFF) % partitions


@pytest.mark.parametrize(
    ("key", "hashed"),
    [  # org.apache.kafka.common.utils.UtilsTest.testMurmur2
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_agrees_with_the_java_client(key: bytes, hashed: int) -> None:
    assert partition_for(key, 1 << 31) == hashed & 0x7FFFFFFF


def test_logs_and_pods_are_co_partitioned() -> None:
    specs = {spec.name: spec for spec in topic_specs(12, 3)}
    logs, pods = specs["kubeledger.logs"], specs["kubeledger.pods"]
    assert logs.partitions == pods.partitions == 12
    assert pods.compacted
    assert not logs.compacted
    assert {spec.replication for spec in specs.values()} == {3}
    assert logs.retention_hours >= 24

"""Topics: names, keys, and the settings that `kubeledger migrate` creates and checks.

`logs` and `pods` are co-partitioned: same key (pod uid), same partitioner (murmur2, as the Java
client), same number of partitions, so that the processor of a logs partition needs one pods
partition only. Changing the number of partitions moves keys: drain first (storage design 2.3).
"""

from dataclasses import dataclass, replace

LOGS = "kubeledger.logs"
PODS = "kubeledger.pods"
CONFIGS = "kubeledger.configs"  # log configurations, every version (contract/configs.py)
STATE = "kubeledger.state"  # the event log of the cluster: one partition, one total order
FACTS = "kubeledger.facts"  # what the folds conclude
ALERTS = "kubeledger.alerts"  # state of alerts, silences, what was told to whom; compacted
DEAD = "kubeledger.dead"

LOG_GROUP = "kubeledger-logs"  # consumer group of the log processors
STATE_GROUP = "kubeledger-state"  # of the state processors: one works, the others wait
ALERT_GROUP = "kubeledger-alerts"  # of the evaluators: one works, the others wait

MAX_RECORD_BYTES = 1_000_000  # broker default is 1,048,588; collectors stay below 900 KiB
MAX_CHUNK_BYTES = 900 * 1024  # compressed value of a log chunk
DEFAULT_PARTITIONS = 8


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """What a topic must look like. `retention_hours` 0 means without end."""

    name: str
    partitions: int
    retention_hours: int
    compacted: bool
    replication: int = 1


def topic_specs(partitions: int = DEFAULT_PARTITIONS, replication: int = 1) -> list[TopicSpec]:
    """All topics, for a number of log partitions."""
    specs = [
        TopicSpec(LOGS, partitions, 48, compacted=False),
        TopicSpec(PODS, partitions, 168, compacted=True),
        TopicSpec(CONFIGS, 1, 0, compacted=True),
        TopicSpec(STATE, 1, 168, compacted=False),
        TopicSpec(FACTS, 1, 336, compacted=False),
        TopicSpec(ALERTS, 1, 0, compacted=True),
        TopicSpec(DEAD, 1, 336, compacted=False),
    ]
    return [replace(spec, replication=replication) for spec in specs]


def partition_for(key: bytes, partitions: int) -> int:
    """The partition of a key: murmur2 as in Apache Kafka's Java client (KIP-480 keeps it for
    keyed records), so that every backend and every client language agrees."""
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    """32-bit MurmurHash2 with Kafka's seed (org.apache.kafka.common.utils.Utils.murmur2)."""
    length = len(data)
    mask, multiplier = 0xFFFFFFFF, 0x5BD1E995
    value = (0x9747B28C ^ length) & mask
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little")
        k = (k * multiplier) & mask
        k ^= k >> 24
        k = (k * multiplier) & mask
        value = ((value * multiplier) & mask) ^ k
    tail = data[whole:]
    if tail:
        value ^= int.from_bytes(tail, "little")
        value = (value * multiplier) & mask
    value ^= value >> 13
    value = (value * multiplier) & mask
    return value ^ (value >> 15)

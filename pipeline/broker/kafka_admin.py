"""Topics of Apache Kafka: create what is missing, name what differs, change nothing."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import kafka.errors
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec

from pipeline.base.clock import Clock
from pipeline.broker.admin import difference, fatal_differences, missing
from pipeline.broker.kafka_consumer import theirs
from pipeline.broker.kafka_options import foreign_errors
from pipeline.broker.limits import unknown_topic
from pipeline.broker.protocol import TopicPartition
from pipeline.contract.topics import TopicSpec

MAX_MESSAGE_BYTES = 1_048_588  # the broker's own default: our largest record and its framing
ANY_TIME_MS = (1 << 63) - 1
COORDINATOR_S = 15.0
COORDINATOR_MOVES = (
    kafka.errors.CoordinatorNotAvailableError,
    kafka.errors.CoordinatorLoadInProgressError,
    kafka.errors.NotCoordinatorError,
)
HOUR_MS = 3_600_000


class KafkaBusAdmin:
    """`client` is a connected KafkaAdminClient."""

    def __init__(self, client: Any, servers: str, clock: Clock) -> None:
        self._clock = clock
        self._client = client
        self._servers = servers

    def ensure(self, specs: Sequence[TopicSpec], *, create: bool) -> list[str]:
        with foreign_errors("checking topics"):
            found = self._describe([spec.name for spec in specs])
            absent = [spec for spec in specs if spec.name not in found]
            if create and absent:
                self._create(absent)
                found = self._describe([spec.name for spec in specs])
            lines, wrong = [], []
            for spec in specs:
                if spec.name not in found:
                    wrong.append(missing(spec.name))
                    continue
                wrong += self._differences(spec, found[spec.name])
                state = f"created with {spec.partitions} partitions"
                lines.append(f"{spec.name}: {state if spec in absent else 'as it should be'}")
        if wrong:
            raise fatal_differences(wrong)
        return lines

    def partitions(self, topic: str) -> int:
        with foreign_errors(f"asking for topic {topic}"):
            found = self._describe([topic])
        if topic not in found:
            raise unknown_topic(topic)
        return len(found[topic])

    def group_lag(self, group: str, topic: str) -> Mapping[int, int]:
        tps = [TopicPartition(topic, n) for n in range(self.partitions(topic))]
        with foreign_errors(f"asking for the lag of group {group}"):
            ends = self._offsets(tps, OffsetSpec.LATEST)
            starts = self._offsets(tps, OffsetSpec.EARLIEST)
            commits = self._commits(group, [theirs(tp) for tp in tps])
        done = {tp.partition: commit.offset for tp, commit in commits.get(group, {}).items()}
        lag = {}
        for tp in tps:
            at = done.get(tp.partition, -1)
            lag[tp.partition] = ends[tp] - (at if at >= 0 else starts[tp])
        return lag

    def close(self) -> None:
        with foreign_errors("closing the admin client"):
            self._client.close()

    def _commits(self, group: str, tps: list[Any]) -> Mapping[str, Any]:
        """A cluster that has never had a group makes its offsets topic now, and says so by an
        error."""
        deadline = self._clock.monotonic() + COORDINATOR_S
        while True:
            try:
                found: Mapping[str, Any] = self._client.list_group_offsets({group: tps})
                return found
            except COORDINATOR_MOVES:
                if self._clock.monotonic() > deadline:
                    raise
            self._clock.sleep(0.2)

    def _describe(self, topics: list[str]) -> dict[str, list[Any]]:
        """Topic -> its partitions; without those that do not exist."""
        return {
            topic["name"]: topic["partitions"]
            for topic in self._client.describe_topics(topics)
            if topic["error_code"] == 0
        }

    def _create(self, specs: Sequence[TopicSpec]) -> None:
        with suppress(kafka.errors.TopicAlreadyExistsError):  # somebody was faster: check it
            self._client.create_topics(
                {
                    spec.name: {
                        "num_partitions": spec.partitions,
                        "replication_factor": spec.replication,
                        "configs": topic_configs(spec),
                    }
                    for spec in specs
                },
                wait_for_metadata=True,
            )

    def _differences(self, spec: TopicSpec, partitions: list[Any]) -> list[str]:
        wrong = []
        if len(partitions) != spec.partitions:
            wrong.append(
                difference(
                    spec.name,
                    "number of partitions",
                    found=len(partitions),
                    wanted=spec.partitions,
                    remedy="keys would move: drain the topic, delete it and run "
                    "`kubeledger migrate`, or change the configuration back",
                )
            )
        copies = min(len(partition["replica_nodes"]) for partition in partitions)
        if copies != spec.replication:
            wrong.append(
                difference(
                    spec.name,
                    "replication",
                    found=copies,
                    wanted=spec.replication,
                    remedy="use kafka-reassign-partitions.sh",
                )
            )
        return wrong + self._config_differences(spec)

    def _config_differences(self, spec: TopicSpec) -> list[str]:
        resource = ConfigResource(ConfigResourceType.TOPIC, spec.name)
        answer = self._client.describe_configs([resource], config_filter="all")
        found = {name: item["value"] for name, item in answer["topic"][spec.name].items()}
        return [
            difference(
                spec.name,
                name,
                found=found.get(name),
                wanted=wanted,
                remedy=f"run kafka-configs.sh --bootstrap-server {self._servers} --alter "
                f"--topic {spec.name} --add-config '{name}=[{wanted}]'",
            )
            for name, wanted in topic_configs(spec).items()
            if not _agrees(name, str(found.get(name)), wanted)
        ]

    def _offsets(self, tps: list[TopicPartition], which: Any) -> dict[TopicPartition, int]:
        answer = self._client.list_partition_offsets({theirs(tp): which for tp in tps})
        return {TopicPartition(tp.topic, tp.partition): at.offset for tp, at in answer.items()}


def topic_configs(spec: TopicSpec) -> dict[str, str]:
    return {
        "retention.ms": str(spec.retention_hours * HOUR_MS) if spec.retention_hours else "-1",
        "cleanup.policy": "compact,delete" if spec.compacted else "delete",
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
        # a node whose clock is ahead must not have its logs refused (Kafka 4 would, past 1 h)
        "message.timestamp.after.max.ms": str(ANY_TIME_MS),
    }


def _agrees(name: str, found: str, wanted: str) -> bool:
    if name == "max.message.bytes":
        return found.isdigit() and int(found) >= int(wanted)
    if name == "cleanup.policy":
        return set(found.split(",")) == set(wanted.split(","))
    return found == wanted

"""Topics: create, check, lag. The words for differences are shared with the Kafka backend."""

from collections.abc import Iterable, Mapping, Sequence

from pipeline.base.errors import Fatal
from pipeline.broker.limits import unknown_topic
from pipeline.broker.port import LogStore
from pipeline.broker.protocol import TopicPartition
from pipeline.contract.topics import TopicSpec


def difference(topic: str, what: str, *, found: object, wanted: object, remedy: str) -> str:
    return f"{topic}: {what} is {found}, should be {wanted}; {remedy}"


def fatal_differences(differences: Iterable[str]) -> Fatal:
    return Fatal("topics differ from what this version needs:\n  " + "\n  ".join(differences))


def missing(topic: str) -> str:
    return f"{topic}: does not exist; create it with `kubeledger migrate`"


class LocalAdmin:
    """Admin of the memory and SQLite backends."""

    def __init__(self, store: LogStore) -> None:
        self._store = store

    def ensure(self, specs: Sequence[TopicSpec], *, create: bool) -> list[str]:
        lines, wrong = [], []
        for spec in specs:
            found = self._store.specs().get(spec.name)
            if found is not None:
                wrong += _differences(spec, found)
                lines.append(f"{spec.name}: as it should be")
            elif create:
                self._store.create(spec)
                lines.append(f"{spec.name}: created with {spec.partitions} partitions")
            else:
                wrong.append(missing(spec.name))
        if wrong:
            raise fatal_differences(wrong)
        return lines

    def partitions(self, topic: str) -> int:
        spec = self._store.specs().get(topic)
        if spec is None:
            raise unknown_topic(topic)
        return spec.partitions

    def group_lag(self, group: str, topic: str) -> Mapping[int, int]:
        lag = {}
        for partition in range(self.partitions(topic)):
            tp = TopicPartition(topic, partition)
            start, end = self._store.bounds(tp)
            commit = self._store.committed(group, tp)
            lag[partition] = end - (start if commit is None else commit.offset)
        return lag

    def close(self) -> None:
        self._store.close()


def _differences(spec: TopicSpec, found: TopicSpec) -> list[str]:
    """Replication is Kafka's alone."""
    remedy = "drain the bus and start with a new file, or change the configuration back"
    pairs = (
        ("number of partitions", found.partitions, spec.partitions),
        ("retention in hours", found.retention_hours, spec.retention_hours),
        ("compaction", found.compacted, spec.compacted),
    )
    return [
        difference(spec.name, what, found=is_now, wanted=should, remedy=remedy)
        for what, is_now, should in pairs
        if is_now != should
    ]

"""What the memory and SQLite backends must offer so that they can share consumer, reader and
admin: a partitioned log with topics, group state and committed positions.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from pipeline.broker.group import Group
from pipeline.broker.protocol import Commit, Record, TopicPartition
from pipeline.contract.topics import TopicSpec


class Page(NamedTuple):
    """Records in order, and the offset to go on from. When nothing is left, that is the end of
    the log even if compaction removed its last records."""

    records: list[Record]
    next_offset: int


class LogStore(Protocol):
    """Used by one thread at a time. Missing topics are Fatal."""

    def specs(self) -> Mapping[str, TopicSpec]: ...

    def create(self, spec: TopicSpec) -> None: ...

    def bounds(self, tp: TopicPartition) -> tuple[int, int]:
        """Oldest offset that is left, offset of the next record."""

    def read(self, tp: TopicPartition, offset: int, *, records: int, size: int) -> Page:
        """At most that many records and about that many bytes (one record always fits). An
        offset outside the log means its oldest record."""

    def time_offset(self, tp: TopicPartition, timestamp_ms: int) -> int | None: ...

    def peek(self, group: str) -> Group:
        """The group as it is now, to look at."""

    def change(self, group: str) -> AbstractContextManager[Group]:
        """The group, exclusively; changes are stored when the block ends without an error."""

    def gone(self, process: str) -> bool:
        """True when the member's process has certainly ended."""

    def process(self) -> str:
        """This process, for `gone`."""

    def commit(self, group: str, commits: Mapping[TopicPartition, Commit]) -> None:
        """Inside `change` only, stored together with it."""

    def committed(self, group: str, tp: TopicPartition) -> Commit | None: ...

    def wait(self, seconds: float) -> None:
        """Wait that long, or until something was written."""

    def close(self) -> None: ...

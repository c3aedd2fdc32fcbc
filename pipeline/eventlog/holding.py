"""The partition while it is ours: what is confirmed, what is declared, what is being stored.

Dropped whole when the partition is lost. The fold and the backlog are not part of it.
"""

from dataclasses import dataclass

from pipeline.base.errors import Fatal
from pipeline.broker.protocol import TopicPartition
from pipeline.eventlog.batch import Batch
from pipeline.processor.metadata import Declared

FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 10.0


@dataclass(slots=True, eq=False)
class Holding:
    """`start` is the first record that is in no stored batch. Records below `doubtful` may have
    rows though no commit says so."""

    tp: TopicPartition
    start: int = 0
    doubtful: int = 0
    ready: bool = False  # the commit was read and the machine is where it must be
    lost: bool = False
    open: Declared | None = None
    batch: Batch | None = None  # built for `open`
    unconfirmed_since: float | None = None
    wait_s: float = FIRST_WAIT_S
    retry_at: float | None = None  # the store was away
    again: bool = False  # `open` was declared by somebody before us

    @property
    def declared(self) -> Declared:
        """The open range, where there must be one."""
        if self.open is None:
            raise Fatal("a batch is being stored and no range is declared: this is a bug")
        return self.open

    def store_away(self, now: float) -> None:
        self.retry_at = now + self.wait_s
        self.wait_s = min(self.wait_s * 2, LONGEST_WAIT_S)

    def stored(self, now: float) -> None:
        """The batch is in the store."""
        self.start = self.declared.last + 1
        self.open = self.batch = self.retry_at = None
        self.again = False
        self.wait_s = FIRST_WAIT_S
        self.confirmable(now)

    def confirmable(self, now: float) -> None:
        if self.unconfirmed_since is None:
            self.unconfirmed_since = now

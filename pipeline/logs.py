"""THE DATA PATH of logs: poll, decode, stages, one block, declare - insert - confirm.

A partition that is ours goes through this, again and again:

1. **Receive** records until the batch is closed: rows, raw bytes, or time (partition.py).
2. **Prepare**: unpack, trim what is stored, parse, join, enrich: all rows that these records
   complete, and the carry that stays behind (prepare.py, pipeline/stages).
3. **Declare**: commit the batch's first offset with the range and what it takes to build the
   batch again (metadata.py). The same commit confirms the batch before. Who cannot commit has
   lost the partition and writes nothing.
4. **Insert** one block under a token made from the range (deliver.py).
5. **Confirm**: by the next declaration, or alone when no more records come.

A crash between any two steps leaves a declared range, and whoever gets the partition next
finishes it first (recovery.py). One thread does everything; state is per partition and is
dropped with it.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import islice

from pipeline.base.clock import Clock
from pipeline.base.errors import Fenced, Rejected, Unavailable
from pipeline.base.health import serve_health
from pipeline.base.lifecycle import Stop
from pipeline.base.memory import trimmer
from pipeline.base.patience import Stopping
from pipeline.base.telemetry import ServiceTelemetry, Telemetry
from pipeline.broker.protocol import Broker, Partitions, Record, TopicPartition
from pipeline.contract.metrics import FENCED
from pipeline.contract.topics import LOGS
from pipeline.logs_config import LogProcessorConfig
from pipeline.processor.crew import Crew
from pipeline.processor.deliver import Stale
from pipeline.processor.metadata import LOOKS, CarryNote, Declared, Progress, rest_token
from pipeline.processor.partition import Partition
from pipeline.processor.prepare import Prepared
from pipeline.processor.recovery import commit
from pipeline.stages.refine import Refinery
from pipeline.store.ledger import Ledger, StoreLedger
from pipeline.store.protocol import Store

POLL_S = 0.1
CONFIRM_S = 0.5  # a batch that no other follows is confirmed alone after this
TRIM_S = 10.0  # how often memory of large batches goes back to the kernel


def run(
    config: LogProcessorConfig,
    *,
    broker: Broker,
    store: Store,
    telemetry: ServiceTelemetry,
    stop: Stop,
    clock: Clock,
) -> None:
    """Process until asked to stop. Fatal means that going on would lose or repeat data."""
    with ExitStack() as closing, suppress(Stopping):
        processor = LogProcessor(
            config,
            broker=broker,
            store=store,
            ledger=StoreLedger(store),
            telemetry=telemetry,
            stop=stop,
            clock=clock,
        )
        closing.callback(processor.close)
        closing.enter_context(serve_health(config.health, telemetry, processor.crew.health))
        telemetry.event("started", health=config.health)
        processor.wait_for_store()
        processor.join()
        trim, due = trimmer(), clock.monotonic()
        while not stop.is_set():
            processor.step(POLL_S)
            if clock.monotonic() >= due:
                trim()
                due = clock.monotonic() + TRIM_S
        processor.finish()
        telemetry.event("stopped")


class LogProcessor:
    """One member of the group. `partitions` is what is ours now."""

    def __init__(
        self,
        config: LogProcessorConfig,
        *,
        broker: Broker,
        store: Store,
        ledger: Ledger,
        telemetry: Telemetry,
        stop: Stop,
        clock: Clock,
    ) -> None:
        self._config = config
        self._clock = clock
        self._telemetry = telemetry
        self.partitions: dict[TopicPartition, Partition] = {}
        self.crew = Crew(
            config,
            broker=broker,
            store=store,
            ledger=ledger,
            telemetry=telemetry,
            stop=stop,
            clock=clock,
            receive=self._receive,
        )

    def wait_for_store(self) -> None:
        """The tables must be as the contract says before anything is read."""
        found = self.crew.reached("checking the store", self.crew.store.check)
        self._telemetry.event("store.checked", found=list(found))

    def join(self) -> None:
        """Become a member; partitions come in a later `step`."""
        subscribe = self.crew.consumer.subscribe
        self.crew.reached(
            "joining the group",
            lambda: subscribe([LOGS], on_assigned=self._assigned, on_revoked=self._revoked),
        )

    def step(self, poll_s: float) -> None:
        """Once round: receive, then bring every partition as far as it can go."""
        limit = self._config.held_bytes
        full = frozenset(tp for tp, p in self.partitions.items() if p.held >= limit)
        try:
            self.crew.link.pace(full)
            self._receive(self.crew.consumer.poll(poll_s))
            self.crew.pods.assign([tp.partition for tp in self.partitions])
        except Fenced:
            pass  # a rebalance is under way; the next poll brings its result
        except Unavailable as error:
            self._telemetry.event("bus.away", "warn", error=str(error))
            self._clock.sleep(poll_s)
        self.crew.pods.poll()
        self.crew.configs.poll()
        for partition in list(self.partitions.values()):
            self._advance(partition)
        if self.crew.configs.loaded() and TopicPartition(LOGS, 0) in self.partitions:
            self.crew.quotas.step()
        self.crew.mistakes.step()
        self.crew.watch(self.partitions.values())

    def finish(self) -> None:
        """Confirm what is stored; what is not stored is read again by the next owner."""
        for partition in list(self.partitions.values()):
            if partition.unconfirmed_since is not None:
                self._guarded(partition, self._confirm)

    def close(self) -> None:
        """Leave the group and close every client of ours."""
        self.crew.close()

    # Ownership

    def _assigned(self, tps: Partitions) -> None:
        self.crew.link.forget(tps)
        for tp in sorted(tps):
            self.partitions[tp] = self._fresh(tp)

    def _fresh(self, tp: TopicPartition) -> Partition:
        return Partition(tp, Refinery(self.crew.bounds), CarryNote(0))

    def _revoked(self, tps: Partitions) -> None:
        self.crew.link.forget(tps)
        for tp in tps:
            partition = self.partitions.pop(tp, None)
            if partition is not None:
                partition.lost = True

    def _receive(self, records: Sequence[Record]) -> None:
        now = self._clock.monotonic()
        for record in records:
            partition = self.partitions.get(TopicPartition(record.topic, record.partition))
            if partition is None or not partition.ready:
                continue  # before the position was set: these come again
            missing = partition.receive(record, now)
            if missing:
                self.crew.recovery.lost_records(partition, record.offset - missing, record.offset)

    def _advance(self, partition: Partition) -> None:
        if not partition.ready:
            self._guarded(partition, self.crew.recovery.start)
        loaded = self.crew.configs.loaded() and self.crew.pods.loaded(partition.tp.partition)
        if partition.ready and loaded:
            self._guarded(partition, self._work)

    def _guarded(self, partition: Partition, work: Callable[[Partition], None]) -> None:
        """Work on a partition that may be lost on the way."""
        try:
            if not partition.lost:
                work(partition)
        except (Fenced, Stopping) as error:
            # Either way the state may be ahead of what is stored: it is dropped whole.
            if isinstance(error, Fenced):
                self._telemetry.count(FENCED)
            self._telemetry.event("dropped", partition=partition.tp.partition, why=str(error))
            partition.lost = True
            if self.partitions.get(partition.tp) is partition:
                del self.partitions[partition.tp]

    # A batch

    def _work(self, partition: Partition) -> None:
        while partition.restoring:
            if partition.items and partition.items[0].record.offset < partition.start:
                item = partition.take(1, self._clock.monotonic())[0]
                self.crew.preparer.restore(partition, item)
            elif partition.items or partition.next >= partition.start:
                self.crew.recovery.restored(partition)
            else:
                return  # the records that the carry needs are still on the way
        while (count := self._due(partition)) is not None:
            self._batch(partition, count)
        since = partition.unconfirmed_since
        patience = self._config.batch.linger_s + CONFIRM_S
        if since is not None and self._clock.monotonic() - since >= patience:
            self._confirm(partition)

    def _due(self, partition: Partition) -> int | None:
        """How many records the next batch takes; None if it is not its time yet."""
        if partition.lost:
            return None
        now, limits = self._clock.monotonic(), self._config.batch
        count, closed = partition.closed(limits.rows, limits.raw_bytes)
        first = partition.first_seen
        lingered = first is not None and now - first >= limits.linger_s
        if not closed and (partition.open is not None or not lingered):
            return 0 if partition.open is None and not count and self._overdue(partition) else None
        if self.crew.preparer.waits_for_pod(list(islice(partition.items, count))):
            if partition.pods_since is None:
                partition.pods_since = now
            if now - partition.pods_since < self._config.pod_wait_s:
                return None
        return count

    def _overdue(self, partition: Partition) -> bool:
        """Is something unfinished for too long, with no record coming that would tell?"""
        due = partition.refinery.due_ms()
        return due is not None and self._now_ms() >= due

    def _batch(self, partition: Partition, count: int) -> None:
        declared = partition.open
        items = partition.take(count, self._clock.monotonic())
        partition.pods_since = None
        batch = self.crew.preparer.prepare(
            partition,
            items,
            now_ms=self._now_ms() if declared is None else declared.now_ms,
            asker=self.crew.asker(partition),
            max_lines=self._config.batch.rows if declared is None else None,
        )
        partition.put_back(items[len(batch.items) :], self._clock.monotonic())
        self.crew.letters.check(len(batch.items), len(batch.dead))
        if declared is not None:
            self._finish_open(partition, batch, declared)
        elif not batch.empty():
            self._store_new(partition, batch)
        else:
            self._move_on(partition, batch)

    def _store_new(self, partition: Partition, batch: Prepared) -> None:
        """Declare, insert. The confirmation is the next declaration's business."""
        now_ms = self._now_ms()
        declared = Declared(
            batch.first, batch.last, len(batch.rows), batch.now_ms, now_ms, batch.shape
        )
        progress = Progress(partition.start, partition.carry, declared)
        self._commit(partition, progress)
        partition.unconfirmed_since = None
        self._deliver(partition, batch, progress, declared.token(partition.tp), again=False)

    def _finish_open(self, partition: Partition, batch: Prepared, declared: Declared) -> None:
        """The second attempt at a batch that somebody declared and nobody confirmed."""
        progress = Progress(partition.start, partition.carry, declared)
        token = declared.token(partition.tp)
        if partition.covers is not None:
            batch.leave_out(self.crew.asker(partition))
            token = rest_token(token, batch.shape, partition.looks)
        elif batch.shape != declared.shape:
            self._telemetry.event(
                "batch.differs", "warn", partition=partition.tp.partition, first=batch.first
            )
            self._start_again(partition, progress)
            return
        self._deliver(partition, batch, progress, token, again=True)

    def _deliver(
        self, partition: Partition, batch: Prepared, progress: Progress, token: str, *, again: bool
    ) -> None:
        try:
            complete = self.crew.deliverer.deliver(
                partition,
                batch,
                token,
                careful=partition.covers is not None,
                again=again,
                look=self.crew.asker(partition) if partition.looks < LOOKS else None,
                deadline_ms=self._now_ms() + self.crew.recovery.dedup_window_ms // 2,
            )
        except (Rejected, Stale) as error:
            self._telemetry.event(
                "batch.again", "warn", partition=partition.tp.partition, error=repr(error)
            )
            self._start_again(partition, progress)
        else:
            if complete:
                self._move_on(partition, batch)
                return
            looks = partition.looks + (partition.covers is not None)
            self._telemetry.event(
                "batch.lacking", "warn", partition=partition.tp.partition, first=batch.first
            )
            self._start_again(partition, progress)
            self.partitions[partition.tp].looks = looks

    def _start_again(self, partition: Partition, progress: Progress) -> None:
        """Declare that the batch will be stored in parts, and recover as after a crash: that
        way reads what is stored and leaves it out."""
        if progress.open is not None:
            progress = replace(progress, open=replace(progress.open, split=True))
        self._commit(partition, progress)
        partition.lost = True
        self.partitions[partition.tp] = self._fresh(partition.tp)

    def _move_on(self, partition: Partition, batch: Prepared) -> None:
        partition.start, partition.carry = batch.last + 1, batch.carry
        partition.open = partition.stored = partition.covers = None
        partition.gone = []
        if partition.unconfirmed_since is None:
            partition.unconfirmed_since = self._clock.monotonic()
        self.crew.tally.stored(batch)
        self.crew.mistakes.note(batch.mistakes)

    def _confirm(self, partition: Partition) -> None:
        self._commit(partition, Progress(partition.start, partition.carry))
        partition.unconfirmed_since = None

    def _commit(self, partition: Partition, progress: Progress) -> None:
        commit(self.crew.consumer, self.crew.link, partition, progress.commit())
        self.crew.tally.committed()

    def _now_ms(self) -> int:
        return self._clock.wall_ns() // 1_000_000

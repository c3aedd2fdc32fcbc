"""THE DATA PATH of facts: poll, fold, send facts, store rows, snapshot.

One member works, others wait. Each record of kubeledger.state goes through this, in order:

1. **Fold** (pipeline/eventlog/machine.py): state', facts = fold(state, event). Deterministic, so
   all that follows can be repeated.
2. **Facts** go to kubeledger.facts at once. They carry ids, and writing one again changes
   nothing; so they need not wait for the store, and alerts do not depend on it.
3. **Rows** of the event and of its facts wait in the backlog until a batch is closed. Then
   **declare** the range with the group's commit, **insert** one block per table under a token made
   from the range, **confirm** with the next declaration. Who cannot declare has lost the
   partition, and inserts nothing.
4. **Snapshots** now and then. A restart takes one that is not beyond what is confirmed, folds
   what came since, and builds a declared range again exactly (takeover.py).

While the store is away, folding goes on until the backlog is full. One thread does everything.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace

from pipeline.base.clock import Clock
from pipeline.base.errors import Fatal, Fenced, Rejected, Unavailable
from pipeline.base.health import serve_health
from pipeline.base.lifecycle import Stop
from pipeline.base.patience import Stopping
from pipeline.base.telemetry import ServiceTelemetry, Telemetry
from pipeline.broker.protocol import Broker, Partitions, Record, TopicPartition
from pipeline.contract.metrics import FENCED, INSERT_RETRIES
from pipeline.contract.topics import STATE
from pipeline.eventlog.batch import Batch
from pipeline.eventlog.crew import StateCrew
from pipeline.eventlog.holding import Holding
from pipeline.eventlog.ledger import EventLedger, StoreLedger
from pipeline.eventlog.machine import Item, Opening
from pipeline.processor.dead import acknowledged
from pipeline.processor.metadata import Declared
from pipeline.state_config import StateProcessorConfig
from pipeline.store.protocol import Store

POLL_S = 0.1
CONFIRM_S = 0.5  # a batch that no other follows is confirmed alone after this
FINISH_S = 10.0  # for the store, when asked to stop
THE_LOG = TopicPartition(STATE, 0)


def run(
    config: StateProcessorConfig,
    *,
    broker: Broker,
    store: Store,
    folds: Opening,
    fingerprint: str,
    telemetry: ServiceTelemetry,
    stop: Stop,
    clock: Clock,
) -> None:
    """Process until asked to stop. `fingerprint` names the code of the folds: a snapshot that
    other code made is not used."""
    with ExitStack() as closing, suppress(Stopping):
        processor = StateProcessor(
            config,
            broker=broker,
            store=store,
            ledger=StoreLedger(store),
            folds=folds,
            fingerprint=fingerprint,
            telemetry=telemetry,
            stop=stop,
            clock=clock,
        )
        closing.callback(processor.close)
        closing.enter_context(serve_health(config.health, telemetry, processor.crew.tally.health))
        telemetry.event("started", health=config.health)
        processor.wait_for_store()
        processor.join()
        while not stop.is_set():
            processor.step(POLL_S)
        processor.finish()
        telemetry.event("stopped")


class StateProcessor:
    """One member of the group. `mine` is the partition while it is ours."""

    def __init__(
        self,
        config: StateProcessorConfig,
        *,
        broker: Broker,
        store: Store,
        ledger: EventLedger,
        folds: Opening,
        fingerprint: str,
        telemetry: Telemetry,
        stop: Stop,
        clock: Clock,
    ) -> None:
        self._config = config
        self._clock = clock
        self._telemetry = telemetry
        self._inbox: list[Record] = []
        self.mine: Holding | None = None
        self.crew = StateCrew(
            config,
            broker=broker,
            store=store,
            ledger=ledger,
            folds=folds,
            fingerprint=fingerprint,
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
        """Become a member; the partition comes in a later `step`, or never."""
        self.crew.snapshots.open()
        subscribe = self.crew.consumer.subscribe
        self.crew.reached(
            "joining the group",
            lambda: subscribe([STATE], on_assigned=self._assigned, on_revoked=self._revoked),
        )

    def step(self, poll_s: float) -> None:
        """Once round: receive, fold, and store what is due."""
        full = self.crew.backlog.held >= self._config.held_bytes
        try:
            self.crew.link.pace(frozenset([THE_LOG]) if full and self.mine else frozenset())
            self._receive(self.crew.consumer.poll(poll_s))
        except Fenced:
            pass  # a rebalance is under way; the next poll brings its result
        except Unavailable as error:
            self._telemetry.event("bus.away", "warn", error=str(error))
            self._clock.sleep(poll_s)
        if self.mine is not None:
            self._guarded(self._advance)
        elif self._config.standby:
            self.crew.standby.follow(THE_LOG)
        self.crew.tally.watch(len(self.crew.backlog) if self.mine is not None else 0)

    def finish(self) -> None:
        """Store and confirm what is folded, as long as the store takes it, and write the state
        down. The rest is read again by the next owner."""
        deadline = self._clock.monotonic() + FINISH_S
        while self.mine is not None and self._unfinished():
            self._guarded(lambda holding: self._store(holding, lingered=True))
            if self._clock.monotonic() > deadline:
                break
            if self._unfinished():
                self._clock.sleep(POLL_S)
        if self.mine is not None:
            self._guarded(self._confirm)
        confirmed = self.crew.standby.confirmed if self.mine is None else self.mine.start
        if self.crew.machine.next <= confirmed:
            self.crew.keeper.save(confirmed)

    def close(self) -> None:
        """Leave the group and close every client of ours."""
        self.crew.close()

    # Ownership

    def _assigned(self, tps: Partitions) -> None:
        self.crew.link.forget(tps)
        self._inbox.clear()
        self.mine = Holding(THE_LOG) if THE_LOG in tps else None

    def _revoked(self, tps: Partitions) -> None:
        self.crew.link.forget(tps)
        self._drop()

    def _drop(self) -> None:
        self._inbox.clear()
        if self.mine is not None:
            self.mine.lost, self.mine = True, None

    def _guarded(self, work: Callable[[Holding], None]) -> None:
        """Work on what may be lost on the way."""
        holding = self.mine
        try:
            if holding is not None:
                work(holding)
        except Fenced as error:
            self._telemetry.count(FENCED)
            self._telemetry.event("dropped", why=str(error))
            if holding is self.mine:
                self._drop()

    # Records in

    def _receive(self, records: Sequence[Record]) -> None:
        if self.mine is not None and self.mine.ready:
            self._inbox += records
        # before the position was set they come again

    def _advance(self, holding: Holding) -> None:
        if not holding.ready:
            self.crew.takeover.start(holding)
        self.crew.ticker.tick()
        self._fold(holding)
        self._store(holding, lingered=False)
        self.crew.tally.lag(self.crew.reader, holding.tp, holding.start)
        if self.crew.keeper.due(holding.start):
            self.crew.keeper.save(holding.start)

    def _fold(self, holding: Holding) -> None:
        """What has come; below `start` for the state alone."""
        records, self._inbox = self._inbox, []
        items = self.crew.machine.take(records)
        if not items:
            return
        mine = [item for item in items if item.offset >= holding.start]
        for item in mine:
            if item.facts:
                self.crew.outbox.send(item.offset, item.facts)
        self.crew.backlog.add(mine, self._clock.monotonic())
        self.crew.tally.folded(records[-1].timestamp_ms)
        if not mine:
            self.crew.tally.progress()  # catching up

    # Rows out

    def _store(self, holding: Holding, *, lingered: bool) -> None:
        while not holding.lost:
            if holding.batch is None:
                items = self._due(holding, lingered=lingered)
                if not items:
                    break
                self._prepare(holding, items)
            if holding.batch is not None and not self._deliver(holding, holding.batch):
                return
        since = holding.unconfirmed_since
        patience = self._config.batch.linger_s + CONFIRM_S
        if since is not None and self._clock.monotonic() - since >= patience:
            self._confirm(holding)

    def _due(self, holding: Holding, *, lingered: bool) -> list[Item]:
        """The next batch, if it is its time. An open range is exactly its own records."""
        backlog, limits = self.crew.backlog, self._config.batch
        if holding.open is not None:
            last = holding.open.last
            return backlog.upto(last) if self.crew.machine.next > last else []
        since = backlog.first_seen
        if since is None:
            return []
        items, closed = backlog.next_batch(limits.events, limits.raw_bytes)
        lingered = lingered or self._clock.monotonic() - since >= limits.linger_s
        return items if closed or lingered else []

    def _prepare(self, holding: Holding, items: list[Item]) -> None:
        """Declare the batch; one that has nothing to store is passed over."""
        batch = Batch.of(items)
        if holding.open is None:
            self.crew.letters.check(len(items), len(batch.dead))
            now = self._clock.monotonic()
            if batch.empty():
                holding.start = batch.last + 1
                holding.confirmable(now)
                self.crew.backlog.drop_below(holding.start, now)
                return
            self._declare(holding, batch)
        elif batch.shape() != holding.open.shape and not holding.open.split:
            self._telemetry.event("batch.differs", "warn", first=batch.first, last=batch.last)
            self._split(holding)
        holding.batch = batch

    def _declare(self, holding: Holding, batch: Batch) -> None:
        now_ms = self._now_ms()
        doubtful = batch.first < holding.doubtful
        holding.open = Declared(
            batch.first, batch.last, batch.count(), now_ms, now_ms, batch.shape(), split=doubtful
        )
        self.crew.takeover.commit(holding)

    def _split(self, holding: Holding) -> None:
        """From now on the range is brought in parts, by what is there."""
        holding.open = replace(holding.declared, split=True)
        self.crew.takeover.commit(holding)

    def _deliver(self, holding: Holding, batch: Batch) -> bool:
        """False if the store is away; then it is tried again later, and folding goes on."""
        now = self._clock.monotonic()
        if holding.retry_at is not None and now < holding.retry_at:
            return False
        if not holding.declared.split and self.crew.takeover.stale(holding.declared):
            self._split(holding)
        try:
            self._insert(holding, batch)
            self._look_again(holding, batch)
        except Unavailable as error:
            if holding.retry_at is None:
                self._telemetry.event("waiting", "warn", what="storing", error=str(error))
            self._telemetry.count(INSERT_RETRIES)
            holding.store_away(self._clock.monotonic())
            return False
        except Rejected as error:
            raise Fatal(
                f"{STATE} records {batch.first}-{batch.last}: the store refuses rows: {error}."
                " Compare the tables with `kubeledger migrate`"
            ) from error
        if holding.retry_at is not None:
            self._telemetry.event("waited", what="storing")
        self.crew.link.patiently(
            "sending facts",
            lambda: self.crew.outbox.settle(batch.last),
            ours=lambda: not holding.lost,
        )
        holding.stored(self._clock.monotonic())
        self.crew.backlog.drop_below(holding.start, self._clock.monotonic())
        self.crew.tally.stored(batch)
        self.crew.tally.progress()
        return True

    def _look_again(self, holding: Holding, batch: Batch) -> None:
        """What was not stored at the first attempt, and is not there, is brought with care."""
        tried = holding.again or holding.retry_at is not None
        if not tried or holding.declared.split:
            return
        if self.crew.deliverer.lacks(batch, holding.tp.partition):
            self._telemetry.event("batch.lacking", "warn", first=batch.first, last=batch.last)
            self._split(holding)
            batch.done &= {"letters"}
            self._insert(holding, batch)

    def _insert(self, holding: Holding, batch: Batch) -> None:
        declared = holding.declared
        self.crew.deliverer.deliver(
            batch,
            declared.token(holding.tp),
            partition=holding.tp.partition,
            now_ms=declared.now_ms,
            careful=declared.split,
            wait=lambda future: self.crew.link.patiently(
                "sending a dead letter",
                lambda: acknowledged(future, 0.5),
                ours=lambda: not holding.lost,
            ),
        )

    def _confirm(self, holding: Holding) -> None:
        if holding.unconfirmed_since is not None:
            self.crew.takeover.commit(holding)

    def _unfinished(self) -> bool:
        return self.mine is not None and self.mine.ready and bool(len(self.crew.backlog))

    def _now_ms(self) -> int:
        return self._clock.wall_ns() // 1_000_000

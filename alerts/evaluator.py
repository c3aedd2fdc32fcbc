"""THE DATA PATH of alerts: facts, fold, record, commit, tell.

One member works, others wait. Each fact of kubeledger.facts, each answer of a query and each
passing of time goes through this, in order:

1. **Fold** (fold.py): state', alerts = fold(state, fact). It has no clock: time is given.
2. **Record**: each version of an alert goes to kubeledger.alerts, and is acknowledged before
   anything follows from it. That topic is the state: who takes over reads it and goes on.
3. **Commit** the group's position. Who cannot has lost the partition, and says nothing more.
4. **Tell** (notify.py plans, dispatch.py hands out, couriers deliver): what is to be told is
   written down before, and who was told after.

A crash between the two repeats that message, or tells the end of what it spoke of: same
fingerprints, same beginnings, so that whoever gets it twice can know. A fact that is read twice
changes nothing (its order is known). Time passes for the fold only once the facts that were
waiting have been read: what ended while nobody looked must not fire now. A round has one time, and
it is that before its poll: however long the round takes, nothing is concluded, and nobody is told,
of a moment whose facts have not been read.
"""

import queue
from collections.abc import Sequence

from alerts.alert import Alert
from alerts.config import AlertConfig
from alerts.couriers import Courier, Outcome
from alerts.dispatch import Dispatch
from alerts.fold import AlertFold
from alerts.journal import Journal
from alerts.librarian import Librarian
from alerts.model import Rule
from alerts.notify import show
from alerts.standing import Standing, StateReader, rules_change
from pipeline.base.clock import Clock
from pipeline.base.errors import Fenced, Unavailable
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Broker, Commit, Partitions, Record, TopicPartition
from pipeline.contract.alerts import Change
from pipeline.contract.facts import ALERT, decode_fact
from pipeline.contract.fields import RecordError
from pipeline.contract.metrics import ALERT_DELAY, ALERT_VERSIONS, ALERTS_FIRING, FENCED
from pipeline.contract.topics import ALERT_GROUP, FACTS

THE_FACTS = TopicPartition(FACTS, 0)
_NEWS_S = 1.0  # silences are looked for so often
_FINISH_S = 5.0


class Holding:
    """The partition while it is ours: the state, and how far the facts are read."""

    def __init__(self, standing: Standing, fold: AlertFold, start: int, end: int) -> None:
        self.standing = standing
        self.fold = fold
        self.next = start  # offset of the next fact
        self.committed = start
        self.waiting_until = end  # facts below this were there before us
        self.begun = False

    def caught_up(self) -> bool:
        return self.next >= self.waiting_until


class Evaluator:
    """One member. One thread, but for `health`."""

    def __init__(
        self,
        config: AlertConfig,
        *,
        rules: Sequence[Rule],
        couriers: Sequence[Courier],
        outcomes: "queue.Queue[Outcome]",
        broker: Broker,
        librarian: Librarian | None,
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
        self._config = config
        self._rules = rules
        self._couriers = couriers
        self._librarian = librarian
        self._telemetry = telemetry
        self._clock = clock
        self._consumer = broker.consumer(ALERT_GROUP)
        self._reader = broker.reader()
        self._producer = broker.producer()
        self._state = StateReader(self._reader, telemetry)
        self._journal = Journal(self._producer, telemetry, self._written)
        self._dispatch = Dispatch(
            couriers,
            outcomes,
            retry=config.retry,
            producer=self._producer,
            telemetry=telemetry,
            write=self._journal.write,
        )
        self._assigned = False
        self._news_at = 0.0
        self._progress = clock.monotonic()
        self._now = 0  # of this round, Unix ms
        self.mine: Holding | None = None

    def join(self) -> None:
        self._consumer.subscribe(
            [FACTS], on_assigned=self._on_assigned, on_revoked=self._on_revoked
        )
        for courier in self._couriers:
            courier.start()
        if self._librarian is not None:
            self._librarian.start()

    def step(self, poll_s: float) -> None:
        """Once round."""
        self._now = self._clock.wall_ns() // 1_000_000
        try:
            records = self._consumer.poll(poll_s)
            if self._assigned and self.mine is None:
                self._take_over()
            elif self.mine is not None:
                self._work(self.mine, records)
            self._progress = self._clock.monotonic()
        except Fenced as error:
            self._telemetry.count(FENCED)
            self._telemetry.event("dropped", why=str(error))
            self._drop()
        except Unavailable as error:
            self._telemetry.event("bus.away", "warn", error=str(error))
            self._clock.sleep(poll_s)

    def close(self) -> None:
        """Whatever is under way gets a moment, and every client is closed."""
        for courier in self._couriers:
            courier.stop(_FINISH_S)
        try:
            if self.mine is not None:
                self._dispatch.collect(self.mine.standing, self._now)
                self._journal.settle()
            if self._librarian is not None:
                self._librarian.stop(_FINISH_S)
        finally:
            try:
                self._consumer.close()
            finally:
                self._producer.close(_FINISH_S)
                self._reader.close()

    def health(self) -> str | None:
        """A text when nothing was done for the bound."""
        silent = self._clock.monotonic() - self._progress
        if silent < self._config.stall_s:
            return None
        return f"no round was finished for {silent:.0f} s: the bus is away, or very slow"

    # Ownership

    def _on_assigned(self, tps: Partitions) -> None:
        self._drop()
        self._assigned = THE_FACTS in tps

    def _on_revoked(self, tps: Partitions) -> None:
        self._drop()
        self._assigned = False

    def _drop(self) -> None:
        self.mine = None
        self._journal.forget()
        self._dispatch.forget()
        if self._librarian is not None:
            self._librarian.asking.clear()

    def _take_over(self) -> None:
        """Read the state, and go on from the group's position."""
        standing = self._state.read()
        found = self._consumer.committed(THE_FACTS)
        oldest = self._reader.beginning_offset(THE_FACTS)
        end = self._reader.end_offset(THE_FACTS)
        rules = rules_change(self._rules)
        fold = AlertFold(self._rules, cluster=self._config.cluster)
        known = rules.fact is not None and standing.rules == rules.fact.body["digest"]
        start = max(found.offset, oldest) if found is not None and known else oldest
        for alert in standing.alerts.values():
            fold.restore(alert, again=not known)
        self._consumer.seek(THE_FACTS, start)
        if not known:  # rules that are new have seen nothing of what goes on
            self._journal.write(rules)
        self.mine = Holding(standing, fold, start, end)
        self._keep(standing)
        self._telemetry.event(
            "working", start=start, end=end, alerts=len(standing.alerts), rules=len(self._rules)
        )

    def _keep(self, standing: Standing) -> None:
        """Rows that a crash may have cost."""
        if self._librarian is not None:
            for alert in standing.alerts.values():
                self._librarian.keep(alert.fact(alert.ends_at or alert.starts_at), 0)

    # The path

    def _work(self, mine: Holding, records: Sequence[Record]) -> None:
        self._fold(mine, records)
        if mine.caught_up() and (not records or self._nothing_waits(mine)):
            self._pass_time(mine)
        for name, alert in mine.fold.take().items():
            self._record(name, alert, mine.fold.now)
        for name in mine.fold.forget(self._dispatch.owed(mine.standing)):
            self._record(name, None, mine.fold.now)
        self._dispatch.collect(mine.standing, self._now)
        self._look_for_news(mine)
        if not self._journal.settle():
            return
        if mine.committed != mine.next:
            self._commit(mine)
        if mine.begun:
            self._tell(mine)

    def _fold(self, mine: Holding, records: Sequence[Record]) -> None:
        for record in records:
            if record.topic != FACTS or record.offset < mine.next:
                continue
            mine.next = record.offset + 1
            try:
                fact = decode_fact(record.value or b"")
            except RecordError as error:
                self._telemetry.event(
                    "fact.unreadable", "error", offset=record.offset, error=str(error)
                )
                continue
            # a node whose clock is ahead must not move everybody's time
            mine.fold.apply(fact, min(fact.t, record.timestamp_ms))
        if records:
            delay_s = max(self._now - records[-1].timestamp_ms, 0) / 1000
            self._telemetry.gauge(ALERT_DELAY, delay_s)

    def _nothing_waits(self, mine: Holding) -> bool:
        return self._reader.end_offset(THE_FACTS) <= mine.next

    def _pass_time(self, mine: Holding) -> None:
        now = self._now
        if not mine.begun:
            mine.begun = True
            mine.fold.begin(now)
            if self._librarian is not None:
                self._librarian.asking.set()
        self._take_answers(mine)
        mine.fold.advance(now)
        firing = mine.fold.active()
        for severity in ("critical", "warning", "info"):
            count = sum(alert.severity == severity for alert in firing)
            self._telemetry.gauge(ALERTS_FIRING, count, severity=severity)

    def _take_answers(self, mine: Holding) -> None:
        while self._librarian is not None and not self._librarian.answers.empty():
            answered = self._librarian.answers.get()
            mine.fold.observe(answered.rule, answered.rows, answered.at)

    def _record(self, name: str, alert: Alert | None, now: int) -> None:
        fact = None if alert is None else alert.fact(now)
        self._journal.write(Change(ALERT, name, fact))
        if alert is not None:
            self._telemetry.count(ALERT_VERSIONS, status=alert.status)

    def _written(self, change: Change, offset: int) -> None:
        if change.kind == ALERT and change.fact is not None and self._librarian is not None:
            self._librarian.keep(change.fact, offset)

    def _look_for_news(self, mine: Holding) -> None:
        now = self._clock.monotonic()
        if now >= self._news_at:
            self._news_at = now + _NEWS_S
            self._state.news(mine.standing)

    def _commit(self, mine: Holding) -> None:
        self._consumer.commit({THE_FACTS: Commit(mine.next)})
        mine.committed = mine.next

    def _tell(self, mine: Holding) -> None:
        now = min(self._now, mine.fold.now)  # what was not read yet may say otherwise
        silences = list(mine.standing.silences.values())
        shown = show(mine.fold.alerts, silences, now)
        messages = self._dispatch.due(shown, mine.standing, now)
        if not messages:
            return
        self._dispatch.intend(messages, mine.standing)
        if self._journal.settle():  # else they are planned again
            self._commit(mine)  # only an owner can
            self._dispatch.hand_out(messages)

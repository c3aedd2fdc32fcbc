"""Everything that the state processor works with, put together once. Nothing is connected to
before it is used."""

from collections.abc import Callable, Sequence
from functools import partial

from pipeline.base.clock import Clock
from pipeline.base.lifecycle import Stop
from pipeline.base.patience import reached
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Broker, Record
from pipeline.contract.topics import STATE_GROUP
from pipeline.eventlog.backlog import Backlog
from pipeline.eventlog.batch import Deliverer
from pipeline.eventlog.keeper import Keeper
from pipeline.eventlog.ledger import EventLedger
from pipeline.eventlog.machine import Machine, Opening
from pipeline.eventlog.outbox import Outbox
from pipeline.eventlog.snapshots import Snapshots
from pipeline.eventlog.standby import Standby
from pipeline.eventlog.takeover import Takeover
from pipeline.eventlog.tally import Tally
from pipeline.eventlog.ticker import Ticker
from pipeline.processor.dead import DeadLetters
from pipeline.processor.link import Link
from pipeline.stages.assemble import Window
from pipeline.state_config import StateProcessorConfig
from pipeline.store.protocol import Store

_CLOSE_S = 5.0


class StateCrew:
    """Made by the processor, closed by it. One thread, but for `tally.health`."""

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
        receive: Callable[[Sequence[Record]], None],
    ) -> None:
        self.store = store
        self.reached = partial(reached, stop=stop, clock=clock, telemetry=telemetry)
        self.consumer = self.reached("joining the bus", lambda: broker.consumer(STATE_GROUP))
        self.reader = self.reached("reading the bus", broker.reader)
        self.producer = broker.producer()
        self.link = Link(
            self.consumer, receive=receive, stop=stop, clock=clock, telemetry=telemetry
        )
        self.machine = Machine(folds, telemetry=telemetry, clock=clock)
        self.backlog = Backlog()
        self.outbox = Outbox(self.producer, telemetry)
        self.ticker = Ticker(self.producer, clock, cluster=config.cluster, tick_s=config.tick_s)
        self.snapshots = Snapshots(
            config.state_dir, cluster=config.cluster, fingerprint=fingerprint, telemetry=telemetry
        )
        limits = config.snapshots
        self.keeper = Keeper(
            self.machine,
            self.snapshots,
            events=limits.events,
            every_s=limits.every_s,
            telemetry=telemetry,
            clock=clock,
        )
        self.letters = DeadLetters(self.producer, config.dead_letters, clock)
        window = Window(config.past_days, config.future_hours)
        self.deliverer = Deliverer(
            store, ledger, self.letters, clock, telemetry, window, config.cluster
        )
        self.takeover = self._takeover(config, telemetry, clock)
        self.standby = Standby(
            self.machine, self.keeper, self.takeover, self.consumer, self.reader, clock
        )
        self.tally = Tally(telemetry, clock, config.stall_s)

    def _takeover(
        self, config: StateProcessorConfig, telemetry: Telemetry, clock: Clock
    ) -> Takeover:
        return Takeover(
            self.machine,
            self.backlog,
            self.outbox,
            self.keeper,
            self.consumer,
            self.reader,
            self.link,
            clock,
            telemetry,
            window_ms=int(config.dedup_window_h * 3_600_000),
            refold_ms=int(config.refold_h * 3_600_000),
        )

    def close(self) -> None:
        """Whatever happens, every client is closed."""
        try:
            self.consumer.close()
        finally:
            try:
                self.producer.close(_CLOSE_S)
            finally:
                self.reader.close()

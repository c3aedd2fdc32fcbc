"""Everything that the log processor works with, put together once: clients, stages, and what
is told about the work. Nothing is connected to before it is used."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from pipeline.base.clock import Clock
from pipeline.base.lifecycle import Stop
from pipeline.base.patience import reached
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Broker, Record
from pipeline.contract.topics import LOG_GROUP
from pipeline.logs_config import LogProcessorConfig
from pipeline.processor.ask import Asker
from pipeline.processor.configs import ConfigFeed
from pipeline.processor.dead import DeadLetters
from pipeline.processor.deliver import Deliverer
from pipeline.processor.link import Link
from pipeline.processor.mistakes import Mistakes
from pipeline.processor.partition import Partition
from pipeline.processor.pods import PodFeed
from pipeline.processor.prepare import Preparer
from pipeline.processor.quotas import Quotas
from pipeline.processor.recovery import Recovery
from pipeline.processor.signals import SignalSender
from pipeline.processor.tally import Tally
from pipeline.readiness.finder import SignalFinder
from pipeline.readiness.signals import load_signals
from pipeline.stages.assemble import Window
from pipeline.stages.enrich import MultilineRule, PodTable
from pipeline.stages.refine import Bounds
from pipeline.store.ledger import Ledger
from pipeline.store.protocol import Store

_CLOSE_S = 5.0


class Crew:
    """Made by the processor, closed by it. One thread, but for `health`."""

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
        receive: Callable[[Sequence[Record]], None],
    ) -> None:
        self.store = store
        self._ledger = ledger
        self.reached = partial(reached, stop=stop, clock=clock, telemetry=telemetry)
        self.consumer = self.reached("joining the bus", lambda: broker.consumer(LOG_GROUP))
        self.reader = self.reached("reading the bus", broker.reader)
        self.config_reader = self.reached("reading the bus", broker.reader)
        self.producer = broker.producer()
        self.bounds = bounds_of(config)
        self.link = Link(
            self.consumer, receive=receive, stop=stop, clock=clock, telemetry=telemetry
        )
        table = PodTable(rules_of(config))
        feeding: Any = {"clock": clock, "telemetry": telemetry, "load_s": config.pods_load_s}
        self.configs = ConfigFeed(table.configs, reader=self.config_reader, **feeding)
        self.pods = PodFeed(table, reader=self.reader, store=store, **feeding)
        self.quotas = Quotas(table.configs, store, self.producer, clock, telemetry)
        self.mistakes = Mistakes(self.producer, clock)
        self.preparer = Preparer(table)
        self.letters = DeadLetters(self.producer, config.dead_letters, clock)
        self.deliverer = Deliverer(
            broker,
            store,
            self.letters,
            SignalSender(
                SignalFinder(load_signals()) if config.signals.enabled else None,
                self.producer,
                self.link,
                clock,
                telemetry,
                config.signals.wait_s,
            ),
            self.link,
            clock,
            telemetry,
            Window(config.past_days, config.future_hours),
        )
        self.recovery = Recovery(
            self.consumer,
            self.reader,
            ledger,
            self.link,
            clock,
            telemetry,
            dedup_window_ms=int(config.dedup_window_h * 3_600_000),
        )
        self.tally = Tally(telemetry, clock, config.stall_s)

    def asker(self, partition: Partition) -> Asker:
        """Questions about the batch that starts now."""
        return Asker(self._ledger, self.link, partition, partition.start)

    def health(self) -> str | None:
        """What is stuck, or nothing."""
        return self.tally.health()

    def watch(self, partitions: Iterable[Partition]) -> None:
        """Look at how far behind we are, from time to time."""
        self.tally.watch(list(partitions), self.reader)

    def close(self) -> None:
        """Whatever happens, every client is closed."""
        try:
            self.consumer.close()
        finally:
            try:
                self.producer.close(_CLOSE_S)
            finally:
                self.config_reader.close()
                self.reader.close()


def bounds_of(config: LogProcessorConfig) -> Bounds:
    return Bounds(
        row_bytes=config.lines.row_bytes,
        hold_ms=int(config.lines.hold_s * 1000),
        remember_ms=int(config.lines.hold_s * 1000) * 12,
        carry_bytes=config.lines.carry_bytes,
    )


def rules_of(config: LogProcessorConfig) -> list[MultilineRule]:
    return [
        MultilineRule(rule.pattern, rule.namespace, rule.pod, rule.container)
        for rule in config.multiline
    ]

"""Processors and the evaluator come up while the store or the bus is away, as after a power
failure."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from alerts.config import AlertConfig
from alerts.service import Patient, open_evaluator
from pipeline.base.clock import ManualClock
from pipeline.base.errors import Unavailable
from pipeline.base.lifecycle import Stop
from pipeline.base.patience import Stopping, reached
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.broker.memory import MemoryBroker
from pipeline.broker.protocol import Consumer, Reader
from pipeline.contract.topics import topic_specs
from pipeline.logs import LogProcessor
from pipeline.logs_config import LogProcessorConfig
from tests.models.processor_rig import ToyLedger, ToyStore


class LateStore(ToyStore):
    away = 3

    def check(self) -> list[str]:
        self.away -= 1
        if self.away >= 0:
            raise Unavailable("not yet")
        return ["fine"]


class LateBroker(MemoryBroker):
    away = 5

    def consumer(self, group: str) -> Consumer:
        self._come()
        member = super().consumer(group)
        subscribe = member.subscribe

        def late(topics: Sequence[str], **callbacks: Any) -> None:
            self._come()
            subscribe(topics, **callbacks)

        member.subscribe = late  # type: ignore[method-assign]
        self.away = 3
        return member

    def reader(self) -> Reader:
        self._come()
        self.away = 3
        return super().reader()

    def _come(self) -> None:
        self.away -= 1
        if self.away >= 0:
            raise Unavailable("not yet")


def made(broker: MemoryBroker, store: ToyStore, clock: ManualClock, stop: Stop) -> LogProcessor:
    admin = broker.admin()
    admin.ensure(topic_specs(2), create=True)
    admin.close()
    return LogProcessor(
        LogProcessorConfig(),
        broker=broker,
        store=store,
        ledger=ToyLedger(store),
        telemetry=RecordingTelemetry(),
        stop=stop,
        clock=clock,
    )


@pytest.mark.parametrize("kind", [MemoryBroker, LateBroker])
def test_it_waits_for_store_and_bus_before_it_joins_the_group(kind: type[MemoryBroker]) -> None:
    clock = ManualClock()
    processor = made(kind(clock=clock), LateStore(), clock, Stop())
    try:
        processor.wait_for_store()
        processor.join()
        processor.step(0.0)
        assert len(processor.partitions) == 2
    finally:
        processor.close()


def test_a_wish_to_stop_ends_the_wait() -> None:
    clock, stop = ManualClock(), Stop()
    stop.set()
    with pytest.raises(Stopping):
        made(LateBroker(clock=clock), ToyStore(), clock, stop)


def test_the_evaluator_of_alerts_waits_for_the_bus() -> None:
    clock, telemetry = ManualClock(), RecordingTelemetry()
    broker = LateBroker(clock=clock)
    broker.admin().ensure(topic_specs(2), create=True)
    reach = partial(reached, stop=Stop(), clock=clock, telemetry=telemetry)
    evaluator = open_evaluator(
        AlertConfig(), {}, broker=Patient(broker, reach), telemetry=telemetry, clock=clock
    )
    try:
        reach("joining the group", evaluator.join)
        for _ in range(2):
            evaluator.step(0.0)
        assert evaluator.mine is not None
        assert telemetry.names().count("waited") == 3
    finally:
        evaluator.close()

"""The processor comes up while the store is away, as after a node's restart."""

from pipeline.base.clock import ManualClock
from pipeline.base.errors import Unavailable
from pipeline.base.lifecycle import Stop
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.broker.memory import MemoryBroker
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


def test_it_waits_for_the_store_before_it_joins_the_group() -> None:
    clock, telemetry, store = ManualClock(), RecordingTelemetry(), LateStore()
    broker = MemoryBroker(clock=clock)
    admin = broker.admin()
    admin.ensure(topic_specs(2), create=True)
    processor = LogProcessor(
        LogProcessorConfig(),
        broker=broker,
        store=store,
        ledger=ToyLedger(store),
        telemetry=telemetry,
        stop=Stop(),
        clock=clock,
    )
    try:
        processor.wait_for_store()
        processor.join()
        processor.step(0.0)
        assert len(processor.partitions) == 2
    finally:
        processor.close()
        admin.close()

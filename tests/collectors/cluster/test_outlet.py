"""State events on their way to the bus: bounded, but for what the ticker has to say."""

import threading

from collectors.cluster.outlet import Outlet
from pipeline.base.clock import SystemClock
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.broker.memory import MemoryBroker
from pipeline.contract.state import SYNCED, StateEvent
from pipeline.contract.topics import topic_specs


def outlet(broker: MemoryBroker) -> Outlet:
    broker.admin().ensure(topic_specs(1), create=True)
    return Outlet(
        broker.producer(),
        cluster="prod",
        most_records=2,
        most_bytes=1 << 20,
        open=lambda: True,
        telemetry=RecordingTelemetry(),
        clock=SystemClock(),
    )


def event(number: int) -> StateEvent:
    body = {"resource": "nodes", "outcome": "ok", "count": number}
    return StateEvent(SYNCED, 1_795_435_200_000 + number, "watch", f"synced/{number}", body)


def test_the_ticker_does_not_wait_where_a_worker_took_the_last_room() -> None:
    """It looks whether there is room before it asks what is due; both may be told in between.
    Waiting there stood all gauges still, for as long as the bus was away."""
    broker = MemoryBroker()
    way = outlet(broker)
    broker.available = False
    way.send([event(1), event(2)])
    assert way.full()
    way.send([event(3)], waits=False)
    assert way.waiting()[0] == 3
    worker = threading.Thread(target=way.send, args=([event(4)],))
    worker.start()
    worker.join(0.3)
    assert worker.is_alive()
    assert way.waiting()[0] == 3
    broker.available = True
    worker.join(60)
    assert not worker.is_alive()
    assert way.drained(60)

"""Time passes in the log itself: the working member writes a tick per slot, so that a replay sees
time pass exactly as the folds saw it. A slot has one tick, whoever writes it: same id, same time.
"""

from concurrent.futures import Future

from pipeline.base.clock import Clock
from pipeline.broker.protocol import Position, Producer
from pipeline.contract.state import TICK, StateEvent, encode_state
from pipeline.contract.topics import STATE

_BACK_SLOTS = 120  # a clock that went back by less waits; by more, it is believed


class Ticker:
    def __init__(self, producer: Producer, clock: Clock, *, cluster: str, tick_s: float) -> None:
        self._producer = producer
        self._clock = clock
        self._key = cluster.encode()
        self._tick_ms = int(tick_s * 1000)
        self._slot = 0
        self._pending: Future[Position] | None = None

    def tick(self) -> None:
        """Write the slot's tick if it is due. While the bus is away only one waits."""
        slot = self._clock.wall_ns() // 1_000_000 // self._tick_ms
        if self._slot - _BACK_SLOTS < slot <= self._slot:
            return
        if self._pending is not None and not self._pending.done():
            return
        self._slot = slot
        event = StateEvent(
            TICK, slot * self._tick_ms, "process-state", f"tick/{self._tick_ms}/{slot}", {}
        )
        value, headers = encode_state(event)
        self._pending = self._producer.send(STATE, key=self._key, value=value, headers=headers)

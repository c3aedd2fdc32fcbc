"""Patience: every call to the bus and the store goes through here.

When the far side is away, the call is made again, without a limit, as long as the partition is
ours. Between two attempts the group is polled with everything paused: a member that does not
poll loses its partitions, and a rebalance must be noticed. A call about a partition that was
lost meanwhile ends in Fenced; a wish to stop ends in `Stopping`.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from pipeline.base.clock import Clock
from pipeline.base.errors import Fenced, Unavailable
from pipeline.base.lifecycle import Stop
from pipeline.base.patience import FIRST_WAIT_S, LONGEST_WAIT_S, Stopping
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Consumer, Partitions, Record

T = TypeVar("T")


class Link:
    """Attempts, with back-off. `receive` takes records that came while waiting."""

    def __init__(
        self,
        consumer: Consumer,
        *,
        receive: Callable[[Sequence[Record]], None],
        stop: Stop,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        self._consumer = consumer
        self._receive = receive
        self._stop = stop
        self._clock = clock
        self._telemetry = telemetry
        self._paused: Partitions = frozenset()

    def patiently(
        self,
        what: str,
        attempt: Callable[[], T],
        *,
        ours: Callable[[], bool],
        retried: Callable[[], None] | None = None,
    ) -> T:
        """The attempt's result; its errors other than Unavailable pass."""
        wait_s, told = FIRST_WAIT_S, False
        try:
            while True:
                if not ours():
                    raise Fenced(f"{what}: the partition went to another member")
                try:
                    return attempt()
                except Unavailable as error:
                    if not told:
                        self._telemetry.event("waiting", "warn", what=what, error=str(error))
                        told = True
                    if retried is not None:
                        retried()
                self._wait(wait_s)
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)
        finally:
            if told:
                self._telemetry.event("waited", what=what)

    def _wait(self, seconds: float) -> None:
        """Keep the membership alive for that long."""
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 0:
            if self._stop.is_set():
                raise Stopping("asked to stop")
            try:
                self._pause(self._consumer.assignment())
                self._receive(self._consumer.poll(min(left, 0.5)))
            except Unavailable:
                self._clock.sleep(min(left, 0.5))

    def pace(self, held: Partitions) -> None:
        """Pause these partitions and no others."""
        self._paused &= self._consumer.assignment()
        if self._paused - held:
            self._consumer.resume(self._paused - held)
        self._pause(held)

    def _pause(self, held: Partitions) -> None:
        if held - self._paused:
            self._consumer.pause(held - self._paused)
        self._paused = held

    def forget(self, tps: Partitions) -> None:
        """These were taken away, or given anew: nothing of them is paused."""
        self._paused -= tps

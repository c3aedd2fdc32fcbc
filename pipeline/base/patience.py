"""A service comes up while the bus or the store is away, as after a power failure: it waits."""

from collections.abc import Callable
from typing import TypeVar

from pipeline.base.clock import Clock
from pipeline.base.errors import KubeledgerError, Unavailable
from pipeline.base.lifecycle import Stop
from pipeline.base.telemetry import Telemetry

T = TypeVar("T")

FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 10.0


class Stopping(KubeledgerError):
    """Asked to stop while waiting; what is declared is finished at the next start."""


def reached(
    what: str, attempt: Callable[[], T], *, stop: Stop, clock: Clock, telemetry: Telemetry
) -> T:
    """The attempt's result, however long the far side is away. Before there is a group to
    stay in."""
    wait_s, told = FIRST_WAIT_S, False
    while True:
        try:
            found = attempt()
        except Unavailable as error:
            if not told:
                telemetry.event("waiting", "warn", what=what, error=str(error))
                told = True
        else:
            if told:
                telemetry.event("waited", what=what)
            return found
        until = clock.monotonic() + wait_s
        while (left := until - clock.monotonic()) > 0:
            if stop.is_set():
                raise Stopping("asked to stop")
            clock.sleep(min(left, 0.5))
        wait_s = min(wait_s * 2, LONGEST_WAIT_S)

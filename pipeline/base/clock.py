"""Time is an argument: services take a `Clock`, tests give one that they move themselves."""

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks and a way to wait. Wall time is Unix nanoseconds and may jump; monotonic time
    is seconds and never goes back. Deadlines and ages use monotonic time only."""

    def wall_ns(self) -> int: ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clocks."""

    def wall_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class ManualClock:
    """Virtual time. `sleep` moves it, so that code that waits can be tested without waiting."""

    def __init__(self, wall_ns: int = 1_795_412_100_000_000_000) -> None:
        self._wall_ns = wall_ns
        self._monotonic = 1000.0

    def wall_ns(self) -> int:
        return self._wall_ns

    def monotonic(self) -> float:
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self._monotonic += seconds
        self._wall_ns += int(seconds * 1e9)

    def jump_wall(self, seconds: float) -> None:
        """Wall time steps (NTP, an operator); monotonic time does not."""
        self._wall_ns += int(seconds * 1e9)

"""Start, run, stop: the same for every service."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SLICE_S = 0.5


class Stop:
    """A wish to stop that a loop looks at. SIGTERM and SIGINT set it once `on_signals` is
    active; a second signal is not special: stopping has its own bound."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep, but wake when asked to stop. True if so. In slices: a signal that arrives just
        before a wait begins runs its handler only when that wait ends."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self._event.wait(min(left, _SLICE_S)):
                return True
        return self._event.is_set()

    @contextmanager
    def on_signals(self) -> Iterator["Stop"]:
        """Handlers for the time of the block; the old ones come back."""

        def handle(_number: int, _frame: FrameType | None) -> None:
            self.set()

        old = {s: signal.signal(s, handle) for s in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield self
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)

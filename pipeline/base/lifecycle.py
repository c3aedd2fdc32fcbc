"""Start, run, stop: the same for every service."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


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
        """Sleep, but wake when asked to stop. True if so."""
        return self._event.wait(seconds)

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

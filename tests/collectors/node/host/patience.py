"""Time for work on threads of its own (collectors/node/aside.py), where only one thing may hang."""

import threading
import time


def come_back(prefix: str, *, but: str = "") -> None:
    """Wait for the threads whose names begin so, save the one that hangs."""
    for thread in threading.enumerate():
        if thread.name.startswith(prefix) and thread.name != but:
            thread.join(60)
            assert not thread.is_alive(), f"{thread.name} hangs"


def patient(prefix: str, *, but: str) -> float:
    """The time, once all that can come back has."""
    come_back(prefix, but=but)
    return time.monotonic()

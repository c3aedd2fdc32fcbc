"""Work that may never come back, on a daemon thread of its own.

State: at most one thread. Invariant: while it has not come back, no second one is started, and
nobody waits for it again: a file system that hangs costs one thread and one wait, not one each
round.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Late(Exception):
    """It has not come back in time."""


class Aside(Generic[T]):
    """`begin`, do other things, `take`; over and over, from one thread."""

    def __init__(self, work: Callable[[], T], *, name: str) -> None:
        self._work = work
        self._name = name
        self._thread: threading.Thread | None = None
        self._late = False
        self._value: T | None = None
        self._failure: OSError | None = None

    @property
    def busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def begin(self) -> None:
        """Start it, unless it is still under way."""
        if self.busy:
            return
        self._late, self._value, self._failure = False, None, None
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def take(self, wait_s: float) -> T:
        """What it returned. Raises Late, or the OSError that it raised."""
        thread = self._thread
        if thread is None:
            raise Late(f"{self._name} was not begun")
        if not self._late:
            thread.join(max(wait_s, 0.0))
        if thread.is_alive():
            self._late = True
            raise Late(f"{self._name} has not come back")
        if self._failure is not None:
            raise self._failure
        return self._value  # type: ignore[return-value]  # set by _run, which has ended

    def _run(self) -> None:
        try:
            self._value = self._work()
        except OSError as error:
            self._failure = error
        except Exception as error:  # noqa: BLE001 - border of a thread: its taker must hear of it
            self._failure = OSError(f"{self._name}: {type(error).__name__}: {error}")

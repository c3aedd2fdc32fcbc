"""Connections to the store for many requests at once: a few, lent one by one."""

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.base.errors import Unavailable
from pipeline.store.protocol import Store

_PATIENCE_S = 30.0


class Connections:
    """At most `size` are open; who comes when all are lent waits. Any thread."""

    def __init__(self, opener: Callable[[], Store], size: int) -> None:
        self._opener = opener
        self._free: queue.LifoQueue[Store | None] = queue.LifoQueue()
        for _ in range(size):
            self._free.put(None)

    @contextmanager
    def lent(self) -> Iterator[Store]:
        """Raises Unavailable when none becomes free."""
        try:
            store = self._free.get(timeout=_PATIENCE_S)
        except queue.Empty:
            raise Unavailable("all connections to the store are busy; try again") from None
        try:
            store = store or self._opener()
            yield store
        finally:
            self._free.put(store)

    def close(self) -> None:
        """Those that are not lent."""
        while not self._free.empty():
            store = self._free.get_nowait()
            if store is not None:
                store.close()

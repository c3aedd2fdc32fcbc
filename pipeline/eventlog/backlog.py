"""Records that are folded and not yet stored, in order. They outlive a rebalance: what became of
a record does not depend on who asks."""

from collections import deque
from collections.abc import Sequence
from itertools import islice

from pipeline.eventlog.machine import Item


class Backlog:
    """`held` is the bytes of the records' values. `first_seen`: when the oldest one came."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self.held = 0
        self.first_seen: float | None = None

    def __len__(self) -> int:
        return len(self._items)

    @property
    def first(self) -> int | None:
        return self._items[0].offset if self._items else None

    def add(self, items: Sequence[Item], now: float) -> None:
        if items and self.first_seen is None:
            self.first_seen = now
        self._items.extend(items)
        self.held += sum(item.size for item in items)

    def upto(self, last: int) -> list[Item]:
        """Items to offset `last`."""
        found = []
        for item in self._items:
            if item.offset > last:
                break
            found.append(item)
        return found

    def next_batch(self, events: int, size: int) -> tuple[list[Item], bool]:
        """What the next batch takes, and whether a limit says that no more may join it."""
        total = 0
        for count, item in enumerate(self._items):
            total += item.size
            if count and (count >= events or total > size):
                return list(islice(self._items, count)), True
        return list(self._items), len(self._items) >= events or total >= size

    def drop_below(self, offset: int, now: float) -> None:
        """These are stored."""
        dropped = False
        while self._items and self._items[0].offset < offset:
            self.held -= self._items.popleft().size
            dropped = True
        if dropped:
            self.first_seen = now if self._items else None

    def clear(self) -> None:
        self._items.clear()
        self.held, self.first_seen = 0, None

"""Chunks that clients asked to have acknowledged: which come again, and who waits.

A client that hears nothing sends a chunk again, often over another connection. What is on its way
is not taken twice: whoever sent it last waits with the first. What is done is answered at once.
Known are the last `limit` chunks of this life of the process, whatever connection they came by:
after a restart a chunk whose acknowledgement did not arrive is stored again.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

C = TypeVar("C", bound=Hashable)


class Chunks(Generic[C]):
    """By digest of all that was sent, id included; `C` is a client's connection."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: dict[bytes, dict[C, None]] = {}
        self._done: OrderedDict[bytes, None] = OrderedDict()

    def is_done(self, digest: bytes) -> bool:
        """Was it acknowledged before?"""
        if digest not in self._done:
            return False
        self._done.move_to_end(digest)
        return True

    def joins(self, digest: bytes, client: C) -> bool:
        """True: it is on its way, and this client waits for it, too. Else it is new, and it will
        be answered when `done` says so."""
        known = digest in self._waiting
        self._waiting.setdefault(digest, {})[client] = None
        return known

    def done(self, digest: bytes) -> list[C]:
        """Durable now; who waits for it."""
        self._done[digest] = None
        while len(self._done) > self._limit:
            self._done.popitem(last=False)
        return list(self._waiting.pop(digest, ()))

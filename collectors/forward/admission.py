"""Who may be read now: bounds on memory for any number of clients. No I/O.

A message is held until it is whole. Short ones are for every client; of long ones only so many are
read at a time, in the order of asking, each within a time. Lines that the bus has not acknowledged
are bounded per client and in all.
"""

from collections import deque
from typing import TYPE_CHECKING

from collectors.forward.connection import SMALL, Connection

if TYPE_CHECKING:
    from collectors.forward.config import ForwardConfig

OVERHEAD = 512  # bytes that a message costs beyond its lines, until it is acknowledged


class Admission:
    """State: what is under way in all, who sends a long message, who waits to."""

    def __init__(self, config: "ForwardConfig") -> None:
        self._config = config
        self._long: dict[Connection, None] = {}
        self._waiting: deque[Connection] = deque()
        self.under_way = 0

    @property
    def full(self) -> bool:
        return self.under_way >= self._config.under_way_bytes

    def reads(self, client: Connection) -> bool:
        """May it be read?"""
        return client.handshaking or not (
            self.full or client.under_way >= self._config.connection_bytes
        )

    def takes(self, client: Connection, size: int) -> None:
        client.under_way += size
        self.under_way += size

    def gives_back(self, client: Connection, size: int) -> None:
        client.under_way -= size
        self.under_way -= size

    def held(self, client: Connection, now: float) -> list[Connection]:
        """After it was read: what it holds of a message may be too much to go on. Returns clients
        that may go on instead."""
        if client.framing.held <= SMALL:
            return self.leaves(client, now)
        if client.long_since is None and not client.waits:
            if len(self._long) < self._config.long_messages:
                self._go(client, now)
            else:
                client.waits = True
                self._waiting.append(client)
        return []

    def leaves(self, client: Connection, now: float) -> list[Connection]:
        """Its message is whole, or it has gone."""
        if client.waits:
            client.waits = False
            self._waiting.remove(client)
        if client.long_since is None:
            return []
        client.long_since = None
        del self._long[client]
        if not self._waiting:
            return []
        following = self._waiting.popleft()
        following.waits = False
        self._go(following, now)
        return [following]

    def resumed(self, now: float) -> None:
        """Nobody was read for a while; no client can help it."""
        for client in self._long:
            client.long_since = now

    def _go(self, client: Connection, now: float) -> None:
        client.long_since = now
        self._long[client] = None

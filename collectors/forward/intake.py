"""Messages become lines of logs, and are acknowledged when the bus has acknowledged all of them.

What is refused is counted and said (complaints.py), and what is thereby lost for certain is named
in the ledger (logs.py). A client that asks for acknowledgements is disconnected when its message
is refused, so that it hears of it at once; of another one the messages behind it are read on.
"""

from functools import partial
from typing import TYPE_CHECKING

import msgpack

from collectors.forward.admission import OVERHEAD, Admission
from collectors.forward.chunks import Chunks
from collectors.forward.complaints import Complaints
from collectors.forward.connection import Connection
from collectors.forward.logs import ForwardLogs
from collectors.forward.message import Batch, decode
from collectors.forward.refusal import Refused
from pipeline.base.telemetry import Telemetry
from pipeline.contract import metrics

if TYPE_CHECKING:
    from collectors.config import CollectConfig


class Intake:
    """`changed` gets the clients that have something to hear, or may be read again."""

    def __init__(
        self,
        config: "CollectConfig",
        *,
        logs: ForwardLogs,
        admission: Admission,
        complaints: Complaints,
        telemetry: Telemetry,
        changed: set[Connection],
    ) -> None:
        self._config = config.forward
        self._node = config.node
        self._logs = logs
        self._admission = admission
        self._complaints = complaints
        self._telemetry = telemetry
        self._changed = changed
        self._chunks: Chunks[Connection] = Chunks(config.forward.remember_chunks)

    def take(self, client: Connection, message: bytes, now: float) -> None:
        """A whole message. Raises Refused if the client must go."""
        try:
            batch = decode(message, self._config, self._node)
        except Refused as refusal:
            if client.asks or refusal.asked:
                raise
            self.lost(client, refusal, now)
            return
        if batch.announced not in (None, batch.events):
            why = f"{batch.events} events came, `size` says {batch.announced}; they are stored"
            self._complaints.notice("size", client.peer, why, now=now, tag=batch.tag)
        if batch.chunk and self._came_before(client, batch):
            self._telemetry.count(metrics.FORWARD_REPEATED)
            return
        self._telemetry.count(metrics.FORWARD_EVENTS, batch.events)
        size = sum(map(len, batch.lines.values())) + OVERHEAD
        self._admission.takes(client, size)
        self._logs.take(batch, partial(self._durable, client, batch.chunk, batch.digest, size), now)

    def lost(self, client: Connection, refusal: Refused, now: float) -> None:
        """Say what was refused; name it as missing if nobody will send it again."""
        tag = refusal.tag
        self._complaints.say(
            refusal.kind, client.peer, str(refusal), now=now, tag=tag, bytes=refusal.size
        )
        if tag is not None and not (client.asks or refusal.asked):
            self._logs.lose(tag, refusal.size, now)

    def _came_before(self, client: Connection, batch: Batch) -> bool:
        client.asks = True
        if self._chunks.is_done(batch.digest):
            self._acknowledge(client, batch.chunk)
            return True
        return self._chunks.joins(batch.digest, client)

    def _durable(self, client: Connection, chunk: str, digest: bytes, size: int) -> None:
        """The bus has all of a message."""
        self._admission.gives_back(client, size)
        self._changed.add(client)
        if chunk:
            for waiting in self._chunks.done(digest):
                self._acknowledge(waiting, chunk)

    def _acknowledge(self, client: Connection, chunk: str) -> None:
        client.say(msgpack.packb({"ack": chunk}))
        self._changed.add(client)

"""The loop of the forward input: connections come, are read as far as they may be, and go. One
thread owns all of it.

What each client may cost is admission.py's, what its messages become is intake.py's.
"""

import os
import secrets
import selectors
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.forward.admission import Admission
from collectors.forward.complaints import Complaints
from collectors.forward.connection import Connection, Stage, peer_of
from collectors.forward.framing import Framing
from collectors.forward.handshake import FIRST_BYTES, Handshake, Unauthorized
from collectors.forward.intake import Intake
from collectors.forward.logs import ForwardLogs
from collectors.forward.refusal import CUT, FULL, SLOW, UNAUTHORIZED, Refused
from pipeline.base.clock import Clock
from pipeline.base.telemetry import Telemetry
from pipeline.contract import metrics

if TYPE_CHECKING:
    from collectors.config import CollectConfig

_NIL = b"\xc0"
_READS = 8  # of one client before others have their turn
_ACCEPTS = 64
_LINGER_S = 0.5  # at the end
_LOOK_S = 1.0  # how often time limits are looked at
_BUSY_S, _IDLE_S = 0.02, 0.5


class ForwardServer:
    """`listeners` are bound, listening, and do not block. Drive it with `step`."""

    def __init__(
        self,
        config: "CollectConfig",
        listeners: Sequence[socket.socket],
        *,
        tls: ssl.SSLContext | None,
        logs: ForwardLogs,
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
        self._node = config.node
        self._config = config.forward
        self._tls = tls
        self._logs = logs
        self._telemetry = telemetry
        self._clock = clock
        self._listeners = list(listeners)
        self._selector = selectors.DefaultSelector()
        self._clients: dict[Connection, Handshake | None] = {}
        self._admission = Admission(config.forward)
        self._complaints = Complaints(telemetry)
        self._changed: set[Connection] = set()  # since the selector was told
        self._intake = Intake(
            config,
            logs=logs,
            admission=self._admission,
            complaints=self._complaints,
            telemetry=telemetry,
            changed=self._changed,
        )
        self._again: set[Connection] = set()  # OpenSSL has bytes of them
        self._deaf: list[socket.socket] = []  # listeners that could not accept
        self._full = False
        self._stopping = False
        self._next_look = float("-inf")
        for listener in self._listeners:
            self._selector.register(listener, selectors.EVENT_READ, listener)
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._selector.register(self._bell, selectors.EVENT_READ)

    def wake(self) -> None:
        """End a wait. From any thread."""
        os.eventfd_write(self._bell, 1)

    def step(self, *, wait: bool = True) -> None:
        """One round: what clients sent, what the bus acknowledged, what is due."""
        busy = self._logs.busy
        pause = 0.0 if self._again or not wait else _BUSY_S if busy else _IDLE_S
        again, self._again = self._again, set()
        ready = self._selector.select(pause)
        now = self._clock.monotonic()
        for key, mask in ready:
            if isinstance(key.data, Connection):
                self._serve(key.data, mask, now)
            elif key.data is None:
                os.eventfd_read(self._bell)
            else:
                self._accept(key.data, now)
        for client in again:
            self._serve(client, selectors.EVENT_READ, now)
        self._logs.step(now)
        if now >= self._next_look:
            self._next_look = now + _LOOK_S
            self._look(now)
        self._refresh(now)

    def close(self) -> None:
        """Nobody is heard any more. What clients have sent meanwhile is read and thrown away for a
        moment: a connection closed over unread bytes is reset, and takes answers with it."""
        self.refuse_all()
        now = self._clock.monotonic()
        talking = []
        for client in list(self._clients):
            with suppress(OSError):
                client.flush(now)
                client.sock.shutdown(socket.SHUT_WR)
                talking.append(client)
        while talking := [client for client in talking if client.talks()]:
            if self._clock.monotonic() >= now + _LINGER_S:
                break
            self._clock.sleep(0.02)
        for client in list(self._clients):
            self._drop(client, now)
        self._selector.close()
        os.close(self._bell)

    def refuse_all(self) -> None:
        """Read nothing more; what was taken will still be answered."""
        for listener in self._listeners:
            if listener not in self._deaf:
                self._selector.unregister(listener)
            listener.close()
        self._listeners.clear()
        self._deaf.clear()
        self._stopping = True
        for client in self._clients:
            client.leaving = True
            self._changed.add(client)

    # -- connections -------------------------------------------------------------------------

    def _accept(self, listener: socket.socket, now: float) -> None:
        for _ in range(_ACCEPTS):
            try:
                sock, address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._complaints.say(FULL, "", f"cannot accept: {error.strerror}", now=now)
                self._selector.unregister(listener)  # until the next look
                self._deaf.append(listener)
                return
            peer = peer_of(sock, address)
            if len(self._clients) >= self._config.connections:
                sock.close()
                why = f"{self._config.connections} clients are connected, that is the limit"
                self._complaints.say(FULL, peer, why, now=now)
                continue
            sock.setblocking(False)
            self._begin(sock, peer, now)

    def _begin(self, sock: socket.socket, peer: str, now: float) -> None:
        stage = Stage.OPEN
        if self._tls is not None and sock.family != socket.AF_UNIX:
            sock = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            stage = Stage.TLS
        client = Connection(sock, peer, stage=stage, limit=self._config.message_bytes, now=now)
        self._clients[client] = None
        self._changed.add(client)
        if stage is Stage.OPEN:
            self._greet(client)

    def _greet(self, client: Connection) -> None:
        client.stage = Stage.OPEN
        key = self._config.shared_key_file
        if key is not None and client.sock.family != socket.AF_UNIX:
            name = self._config.hostname or self._node
            handshake = Handshake(self._config, Path(key), name, secrets.token_bytes(32))
            self._clients[client] = handshake
            client.stage, client.framing.limit = Stage.PING, FIRST_BYTES
            client.say(handshake.helo())

    def _serve(self, client: Connection, mask: int, now: float) -> None:
        if client.stage is Stage.CLOSED:
            return
        try:
            if client.stage is Stage.TLS:
                if client.shake():
                    self._greet(client)
            elif mask & selectors.EVENT_READ:
                self._read(client, now)
        except Refused as refusal:
            self._refuse(client, refusal, now)
        except OSError as error:
            self._ended(client, str(error), now)
        self._changed.add(client)

    def _read(self, client: Connection, now: float) -> None:
        for _ in range(_READS):
            if client.paused or not self._admission.reads(client):
                return
            data = client.recv()
            if data is None:
                return
            if not data:
                self._ended(client, "the client ended it", now)
                return
            client.heard_at = now
            client.framing.feed(data)
            for message in client.framing.messages():
                if client.stage is Stage.PING:
                    self._login(client, message)
                elif message != _NIL:
                    self._intake.take(client, message, now)
            self._changed.update(self._admission.held(client, now))
        if client.pending():
            self._again.add(client)

    def _ended(self, client: Connection, how: str, now: float) -> None:
        if client.stage is Stage.TLS:
            self._complaints.say(UNAUTHORIZED, client.peer, f"TLS failed: {how}", now=now)
        elif client.framing.held:
            why = f"the connection ended within a message, after {client.framing.held} bytes: {how}"
            self._complaints.say(CUT, client.peer, why, now=now)
        self._drop(client, now)

    def _drop(self, client: Connection, now: float) -> None:
        self._changed.update(self._admission.leaves(client, now))
        if client.mask:
            self._selector.unregister(client.sock)
            client.mask = 0
        client.close()
        self._clients.pop(client, None)

    def _login(self, client: Connection, message: bytes) -> None:
        handshake = self._clients[client]
        assert handshake is not None  # noqa: S101 - the stage says so
        answer, name = handshake.pong(message)
        client.say(answer)
        client.peer = f"{client.peer} {name!r}"
        client.stage, client.framing.limit = Stage.OPEN, self._config.message_bytes

    def _refuse(self, client: Connection, refusal: Refused, now: float) -> None:
        """It is told, if there is a word for it, and must go."""
        self._intake.lost(client, refusal, now)
        if isinstance(refusal, Unauthorized):
            client.say(refusal.answer)
        client.framing = Framing(0)
        client.leaving = True
        self._changed.update(self._admission.leaves(client, now))

    # -- time and bounds ---------------------------------------------------------------------

    def _look(self, now: float) -> None:
        self._telemetry.gauge(metrics.FORWARD_CONNECTIONS, len(self._clients))
        self._telemetry.gauge(metrics.FORWARD_UNACKED, self._admission.under_way)
        config = self._config
        for listener in self._deaf:
            self._selector.register(listener, selectors.EVENT_READ, listener)
        self._deaf.clear()
        for client in list(self._clients):
            why = ""
            if client.long_since is not None and not self._admission.reads(client):
                client.long_since = now  # it is us who make it wait
            if client.handshaking and now - client.since > config.handshake_s:
                why = f"its {client.stage.value} was not there in {config.handshake_s:g} s"
            elif client.long_since is not None and now - client.long_since > config.message_s:
                why = f"a message of it was not whole in {config.message_s:g} s"
            elif client.stuck_since is not None and now - client.stuck_since > config.message_s:
                why = f"it has read no answer for {config.message_s:g} s"
            if why:
                self._complaints.say(SLOW, client.peer, why, now=now)
                self._drop(client, now)
            elif self._idle(client, now):
                self._ended(client, f"nothing came for {config.idle_s:g} s", now)

    def _idle(self, client: Connection, now: float) -> bool:
        waits = client.waits or client.under_way or self._full
        return not waits and now - client.heard_at > self._config.idle_s

    def _refresh(self, now: float) -> None:
        """Answers go out; the selector hears who may be read."""
        if self._full != self._admission.full:
            self._full = self._admission.full
            self._changed.update(self._clients)
            self._admission.resumed(now)
        changed = list(self._changed)
        self._changed.clear()
        for client in changed:
            if client.stage is Stage.CLOSED:
                continue
            try:
                client.flush(now)
            except OSError as error:
                self._ended(client, str(error), now)
                continue
            if client.leaving and client.silent and not (self._stopping or client.under_way):
                self._drop(client, now)
                continue
            self._watch(client)

    def _watch(self, client: Connection) -> None:
        wanted = client.wanted(reading=self._admission.reads(client))
        if wanted & selectors.EVENT_READ and client.pending():
            self._again.add(client)  # it was paused, and the selector knows nothing of these
        if wanted == client.mask:
            return
        if not client.mask:
            self._selector.register(client.sock, wanted, client)
        elif wanted:
            self._selector.modify(client.sock, wanted, client)
        else:
            self._selector.unregister(client.sock)
        client.mask = wanted

"""Sockets, secrets and positions of the forward input, opened and closed together; and its thread.

The input has a thread of its own: clients are answered while files are read. It shares the
producer with the agent, nothing else.
"""

import errno
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.forward.logs import ForwardLogs
from collectors.forward.server import ForwardServer
from collectors.logs.positions import Positions
from collectors.ship import Shipper
from pipeline.base.clock import Clock
from pipeline.base.errors import Fatal, KubeledgerError, UsageError
from pipeline.base.secret import read_secret
from pipeline.base.telemetry import Telemetry
from pipeline.base.tls import server_tls
from pipeline.broker.protocol import Producer

if TYPE_CHECKING:
    from collectors.config import CollectConfig
    from collectors.forward.config import ForwardConfig

_BACKLOG = 1024


class Forward:
    """The thread. `check`, `trouble` and `stop` are for the agent's."""

    def __init__(
        self,
        config: "CollectConfig",
        server: ForwardServer,
        logs: ForwardLogs,
        positions: Positions,
        *,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._config = config
        self._server = server
        self._logs = logs
        self._positions = positions
        self._clock = clock
        self._wake = wake
        self._stopping = False
        self._error: BaseException | None = None
        self._beat = self._busy_since = clock.monotonic()
        self._thread = threading.Thread(target=self._run, name="forward", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Begin to stop: nothing more is taken."""
        self._stopping = True
        self._server.wake()

    def join(self) -> None:
        """Wait for the end; its own bound is `stop_timeout_s`."""
        self.stop()
        self._thread.join(self._config.stop_timeout_s + 5.0)

    def check(self) -> None:
        """Raises what ended the thread."""
        if isinstance(self._error, KubeledgerError):
            raise self._error
        if self._error is not None:
            raise Fatal(f"the forward input failed: {self._error!r}") from self._error

    @property
    def trouble(self) -> str | None:
        now, bound = self._clock.monotonic(), self._config.health_bound_s
        if now - self._beat > bound:
            return f"the forward input has not turned for {now - self._beat:.0f} s"
        stuck = now - max(self._busy_since, self._logs.last_ack)
        if stuck > bound:
            return f"clients wait and the broker has acknowledged nothing for {stuck:.0f} s"
        return self._positions.trouble

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._beat = self._clock.monotonic()
                self._server.step()
                if not self._logs.busy:
                    self._busy_since = self._beat
            self._drain()
        except BaseException as error:  # noqa: BLE001 - it ends the agent, see `check`
            self._error = error
            self._wake()

    def _drain(self) -> None:
        """What was taken is sent, acknowledged and finished; but not waited for for ever."""
        deadline = self._clock.monotonic() + self._config.stop_timeout_s
        self._server.refuse_all()
        self._logs.finish()
        while self._logs.busy and self._clock.monotonic() < deadline:
            self._server.step()


@contextmanager
def open_forward(
    config: "CollectConfig",
    *,
    producer: Producer,
    telemetry: Telemetry,
    clock: Clock,
    wake: Callable[[], None],
) -> Iterator[Forward]:
    """Serve clients until the block ends."""
    settings = config.forward
    tls = None
    if settings.cert_file is not None and settings.key_file is not None:
        tls = server_tls(Path(settings.cert_file), Path(settings.key_file))
    _secrets_are_there(settings)
    with ExitStack() as stack:
        positions = stack.enter_context(Positions(Path(config.state_dir) / "forward", telemetry))
        ship = Shipper(
            producer, positions, limits=config.limits, telemetry=telemetry, clock=clock,
            wake=lambda: None, topic=config.topic,
        )  # fmt: skip
        logs = ForwardLogs(config, ship=ship, positions=positions, life=secrets.token_hex(16))
        logs.begin()
        listeners = [stack.enter_context(one) for one in _listeners(settings)]
        server = ForwardServer(
            config, listeners, tls=tls, logs=logs, telemetry=telemetry, clock=clock
        )
        stack.callback(server.close)
        forward = Forward(config, server, logs, positions, clock=clock, wake=wake)
        stack.callback(forward.join)
        addresses = [str(one.getsockname()) for one in listeners]
        telemetry.event("forward-listening", addresses=addresses, tls=tls is not None)
        forward.start()
        yield forward


def _secrets_are_there(config: "ForwardConfig") -> None:
    """A missing one is an error now."""
    files = [(user.password_file, f"password of {user.name}") for user in config.users]
    if config.shared_key_file is not None:
        files.append((config.shared_key_file, "shared key of the forward input"))
    for path, what in files:
        if not read_secret(Path(path), what):
            raise UsageError(f"{path}: the {what} is empty")


def _listeners(config: "ForwardConfig") -> Iterator[socket.socket]:
    if config.listen:
        host, _, port = config.listen.rpartition(":")
        address = host.strip("[]"), int(port)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            yield _ready(socket.create_server(address, family=family, backlog=_BACKLOG))
        except OSError as error:
            raise UsageError(
                f"forward.listen: cannot listen on {config.listen}: {error.strerror}"
            ) from error
    if config.unix is not None:
        try:
            yield _ready(_unix(Path(config.unix), int(config.unix_mode, 8)))
        except OSError as error:
            raise UsageError(
                f"forward.unix: cannot listen on {config.unix}: {error.strerror or error}"
            ) from error


def _ready(listener: socket.socket) -> socket.socket:
    listener.setblocking(False)
    return listener


def _unix(path: Path, mode: int) -> socket.socket:
    """A socket that an earlier life left behind is replaced; one that answers is not."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        if path.is_socket():
            _nobody_answers(path)
            path.unlink()
        before = os.umask(0o777 & ~mode)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _nobody_answers(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        with suppress(ConnectionRefusedError, FileNotFoundError):
            probe.connect(str(path))
            raise OSError(errno.EADDRINUSE, "another process serves this socket")

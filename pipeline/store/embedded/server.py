"""`kubeledger store`: the engine of one directory behind native TCP and HTTP.

State: the directory (see directory.py). Everything else belongs to a connection and ends with
it. An INSERT that was acknowledged is in the engine's files: a killed process loses none of it.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from pipeline.base.address import is_loopback, split_address
from pipeline.base.errors import Fatal, UsageError
from pipeline.base.lifecycle import Stop
from pipeline.store.embedded.directory import Endpoint, locked, remove_endpoint, write_endpoint
from pipeline.store.embedded.engine import Engine
from pipeline.store.embedded.failure import EngineError
from pipeline.store.embedded.http import Served, http_answerer
from pipeline.store.embedded.login import Login
from pipeline.store.embedded.sessions import Sessions
from pipeline.store.embedded.tcp import TcpClient
from pipeline.store.embedded.watch import Watch

MOST_CLIENTS = 512
_GRACE_S = 10.0
_EXAMPLE = "127.0.0.1:9000"
# A signal that arrives just before a wait begins is only seen when that wait ends.
_LOOK_S = 0.5


def serve(
    data: Path,
    tcp: str,
    http: str | None,
    *,
    user: str = "default",
    password: str = "",
    stop: Stop,
    on_ready: Callable[[Endpoint], None],
) -> None:
    """Serve until `stop`. Ports 0 are free ones. Raises UsageError for a directory in use, a
    port that is taken, and an address beyond loopback without a password."""
    for address in filter(None, (tcp, http)):
        _check_exposure(address, password)
    login = Login(user, password)
    with ExitStack() as stack:
        folder = stack.enter_context(locked(data))
        tcp_socket = stack.enter_context(_listening(tcp))
        http_socket = stack.enter_context(_listening(http)) if http else None
        engine = stack.enter_context(_opened(folder))
        watch = Watch()
        watch.start()
        stack.callback(watch.stop)
        stack.enter_context(
            _accepting(tcp_socket, lambda c: TcpClient(c, engine, login, watch).run(), engine)
        )
        if http_socket is not None:
            sessions = Sessions(engine)
            stack.callback(sessions.close)
            answer = http_answerer(Served(engine, login, watch, sessions))
            stack.enter_context(_accepting(http_socket, answer, engine))
        stack.callback(watch.deafen)
        endpoint = _endpoint(tcp_socket, http_socket, login)
        write_endpoint(data, endpoint)
        stack.callback(remove_endpoint, data)
        on_ready(endpoint)
        while not stop.wait(_LOOK_S):
            pass


def _endpoint(tcp: socket.socket, http: socket.socket | None, login: Login) -> Endpoint:
    host, port = tcp.getsockname()[:2]
    http_port = http.getsockname()[1] if http else None
    return Endpoint(os.getpid(), host, port, http_port, time.time(), login.user, login.required)


def _check_exposure(address: str, password: str) -> None:
    host, _ = split_address(address, example=_EXAMPLE)
    if not is_loopback(host) and not password:
        raise UsageError(
            f"{address} is reachable from other machines and no password is set; give "
            "--password-file, or listen on 127.0.0.1"
        )


@contextmanager
def _listening(address: str) -> Iterator[socket.socket]:
    host, port = split_address(address, example=_EXAMPLE)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise UsageError(
                f"cannot listen on {address}: {error.strerror}; stop what uses it or give "
                "another port (0 takes a free one)"
            ) from error
        listener.listen(128)
        yield listener
    finally:
        listener.close()


@contextmanager
def _opened(folder: Path) -> Iterator[Engine]:
    if "?" in str(folder):
        raise UsageError(f"{folder}: a data directory's path cannot have a question mark")
    engine = Engine(folder)
    try:
        engine.open()
    except EngineError as error:
        raise Fatal(f"{folder}: the engine does not start: {error.message}") from error
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def _accepting(
    listener: socket.socket, answer: Callable[[socket.socket], None], engine: Engine
) -> Iterator[None]:
    """Clients of one port, a thread for each, for the time of the block. At its end nothing new
    is read from anybody; statements that run may end, after a while they are cancelled."""
    clients = _Clients(listener, answer)
    thread = threading.Thread(target=clients.accept, name="accept")
    thread.start()
    try:
        yield
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        clients.finish(engine)


class _Clients:
    def __init__(self, listener: socket.socket, answer: Callable[[socket.socket], None]) -> None:
        self._listener = listener
        self._answer = answer
        self._lock = threading.Lock()
        self._threads: dict[threading.Thread, socket.socket] = {}

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # the listener was shut down
            with self._lock:
                if len(self._threads) >= MOST_CLIENTS:
                    connection.close()
                    continue
                thread = threading.Thread(target=self._run, args=(connection,), name="client")
                self._threads[thread] = connection
            thread.start()

    def _run(self, connection: socket.socket) -> None:
        try:
            self._answer(connection)
        except OSError:
            pass  # the client is gone
        finally:
            connection.close()
            with self._lock:
                del self._threads[threading.current_thread()]

    def finish(self, engine: Engine) -> None:
        with self._lock:
            left = dict(self._threads)
        for connection in left.values():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        deadline = time.monotonic() + _GRACE_S
        for thread in left:
            thread.join(max(deadline - time.monotonic(), 0.0))
        for thread, connection in left.items():
            while thread.is_alive():
                engine.kill_all()
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                thread.join(0.2)

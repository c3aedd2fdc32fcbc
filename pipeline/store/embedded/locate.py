"""Find the store that serves a directory, or run one for a while."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from pipeline.base.errors import Fatal, UsageError
from pipeline.store.config import StoreConfig
from pipeline.store.embedded.directory import Endpoint, read_endpoint

_START_S = 60.0
_STOP_S = 20.0


def endpoint(data: Path) -> StoreConfig | None:
    """The running store of that directory. None when none runs, or it does not answer."""
    found = read_endpoint(data)
    if found is None or not _alive(found.pid) or not _answers(found):
        return None
    return StoreConfig(host=found.host, port=found.tcp_port, user=found.user)


@contextmanager
def opened(data: Path) -> Iterator[StoreConfig]:
    """The running store of that directory, or one that is started for the time of the block."""
    running = endpoint(data)
    if running is not None:
        yield running
        return
    words = ["store", "--data", str(data), "--listen", "127.0.0.1:0", "--http", "off"]
    with TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "kubeledger", *words],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the command that uses the store
        )
        try:
            yield _started(data, process, said)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _started(data: Path, process: "subprocess.Popen[bytes]", said: IO[bytes]) -> StoreConfig:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        ended = process.poll()
        found = endpoint(data)
        if found is not None:
            return found
        if ended is not None:
            said.seek(0)
            text = said.read().decode("utf-8", "replace").strip()[-2000:]
            kind = UsageError if ended == UsageError.exit_code else Fatal
            raise kind(f"{data}: the store did not start: {text.removeprefix('error: ')}")
        time.sleep(0.05)
    raise Fatal(f"{data}: the store did not start in {_START_S:.0f} s")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's process
    return True


def _answers(found: Endpoint) -> bool:
    try:
        socket.create_connection((found.host, found.tcp_port), timeout=2).close()
    except OSError:
        return False
    return True

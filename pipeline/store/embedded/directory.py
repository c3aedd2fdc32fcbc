"""A store's data directory: who uses it, and where that process answers.

engine/         the engine's own files
lock            held (flock) by the process that serves this directory
endpoint.json   written when serving, removed on a clean stop
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.base.alone import alone
from pipeline.base.errors import UsageError


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A serving process."""

    pid: int
    host: str
    tcp_port: int
    http_port: int | None
    started: float  # Unix seconds
    user: str
    password: bool  # is one needed

    def __str__(self) -> str:
        http = f", HTTP http://{self.host}:{self.http_port}" if self.http_port else ""
        return f"native protocol {self.host}:{self.tcp_port}{http}"


@contextmanager
def locked(data: Path) -> Iterator[Path]:
    """The directory for this process alone; yields the engine's folder."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"{data}: cannot be used as data directory: {error.strerror}") from error
    try:
        if not alone(handle):
            holder = os.pread(handle, 32, 0).decode().strip() or "unknown"
            raise UsageError(
                f"{data}: in use by another store (process {holder}); stop it, or give "
                "another --data directory"
            )
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield data / "engine"
    finally:
        os.close(handle)


def write_endpoint(data: Path, endpoint: Endpoint) -> None:
    temporary = data / f"endpoint.json.{os.getpid()}"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        json.dump(asdict(endpoint), file)
        file.write("\n")
    temporary.replace(data / "endpoint.json")


def read_endpoint(data: Path) -> Endpoint | None:
    try:
        return Endpoint(**json.loads((data / "endpoint.json").read_text("ascii")))
    except (OSError, ValueError, TypeError):
        return None


def remove_endpoint(data: Path) -> None:
    (data / "endpoint.json").unlink(missing_ok=True)

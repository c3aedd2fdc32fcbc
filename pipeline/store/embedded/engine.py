"""The door to chdb: the ClickHouse engine in this process.

One `Engine` holds a data directory; sessions on it run in parallel. The process must never fork
once this module is imported: the engine's threads would be missing in the child.
"""

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from chdb import _chdb

from pipeline.store.embedded.failure import EngineError
from pipeline.store.embedded.guard import Guard
from pipeline.store.embedded.session import MARK, Session
from pipeline.store.embedded.sql import literal


class Engine:
    """The one engine of this process. `open` first."""

    settings: frozenset[str]  # names that this engine knows
    guard: Guard
    version: str
    timezone: str

    def __init__(self, path: Path, *, memory_share: float = 0.6) -> None:
        self._path = path
        self._memory_share = memory_share
        self._count = 0
        self._lock = threading.Lock()
        self._root: Any = None

    def open(self) -> None:
        self._root = self._connect()
        self.settings = frozenset(self._lines("SELECT name FROM system.settings"))
        self.guard = Guard.of(self._lines("SELECT name FROM system.table_functions"))
        self.version, self.timezone = self._lines("SELECT arrayJoin([version(), timezone()])")

    def _lines(self, sql: str) -> list[str]:
        return list(self._root.query(sql, "TSV").bytes().decode().split())

    def _connect(self) -> Any:
        try:
            return _chdb.connect(str(self._path))  # type: ignore[attr-defined]
        except RuntimeError as error:
            raise EngineError.of(error) from error

    def session(self, database: str = "") -> Session:
        with self._lock:
            self._count += 1
            mark = f"session-{self._count}"
        session = Session(self._connect(), mark, self.guard, self)
        session.begin(database, {"max_memory_usage": str(self.memory_limit())})
        return session

    def kill(self, mark: str) -> None:
        """End what a session is running, if anything."""
        self._kill(f"Settings['{MARK}'] = {literal(mark)}")

    def kill_all(self) -> None:
        self._kill(f"Settings['{MARK}'] != ''")

    def _kill(self, which: str) -> None:
        with self._lock, suppress(RuntimeError):
            self._root.query(f"KILL QUERY WHERE {which} ASYNC", "Null")

    def memory_limit(self) -> int:
        """Bytes that one statement may use: more is an error of that statement."""
        physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return int(min(physical, _container_memory()) * self._memory_share)

    def close(self) -> None:
        self._root.close()


def _container_memory() -> int:
    try:
        return int(Path("/sys/fs/cgroup/memory.max").read_text("ascii"))
    except (OSError, ValueError):
        return 1 << 62

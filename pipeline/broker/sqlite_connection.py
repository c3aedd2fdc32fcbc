"""A connection to `bus.db`: opening, transactions, waiting for news, errors.

Every error of the sqlite3 module becomes one of ours here. A lock held by another process is
waited for with short sleeps (never SQLite's own growing ones, which starve a waiter while a
busy producer writes); past `lock_timeout_s` it is Unavailable. That time is always the machine's,
whatever clock the bus is given: a thread or process that holds the lock knows no other.
"""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.base.clock import Clock, SystemClock
from pipeline.base.errors import Fatal, KubeledgerError, Unavailable, UsageError
from pipeline.broker.sqlite_schema import APPLICATION_ID, PAGE_BYTES, TABLES, VERSION

LOCK_TIMEOUT_S = 60.0
_LOCK_PAUSE_S = 0.002
_LOOK_S = (0.002, 0.04)  # how often an idle reader looks for news: at first, and at rest

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_PASSING = (
    *_BUSY,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_PROTOCOL,
)


class Connection:
    """One SQLite connection, used by one thread at a time (whoever does so holds a lock)."""

    def __init__(self, path: Path, connection: sqlite3.Connection, clock: Clock) -> None:
        self.path = path
        self._connection = connection
        self._clock = clock
        self._seen: object = None
        self._look_s = _LOOK_S[0]

    def rows(self, sql: str, parameters: tuple[object, ...] = ()) -> list[Any]:
        with self.errors():
            return self._execute(sql, parameters).fetchall()

    def stream(self, sql: str, parameters: tuple[object, ...]) -> sqlite3.Cursor:
        """Rows one by one; use it inside `errors`, and close it."""
        return self._connection.execute(sql, parameters)

    def run(self, sql: str, parameters: tuple[object, ...] = ()) -> int:
        """A statement inside `write`; how many rows it touched."""
        with self.errors():
            return self._connection.execute(sql, parameters).rowcount

    def run_many(self, sql: str, parameters: list[tuple[object, ...]]) -> None:
        with self.errors():
            self._connection.executemany(sql, parameters)

    @contextlib.contextmanager
    def read(self) -> Iterator[None]:
        """Several statements that see the same moment."""
        with self.errors():
            self._connection.execute("BEGIN")
        try:
            yield
        finally:
            with self.errors():
                if self._connection.in_transaction:
                    self._connection.execute("COMMIT")

    @contextlib.contextmanager
    def write(self, lock_timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
        """One transaction, durable when the block has ended; an error undoes all of it."""
        self._lock(lock_timeout_s)
        try:
            yield
            with self.errors():
                self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            raise

    def wait(self, seconds: float) -> None:
        """Until another connection has written, or the time is over. The pause between two
        looks grows while nothing happens: an idle reader costs next to nothing."""
        deadline = self._clock.monotonic() + seconds
        while True:
            version = self._version()
            if version != self._seen:
                self._seen = version
                self._look_s = _LOOK_S[0]
                return
            left = deadline - self._clock.monotonic()
            if left <= 0:
                return
            self._clock.sleep(min(left, self._look_s))
            self._look_s = min(self._look_s * 1.3, _LOOK_S[1])

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise explain(self.path, error) from error

    def _version(self) -> object:
        return self.rows("PRAGMA data_version")[0][0]

    def _execute(self, sql: str, parameters: tuple[object, ...]) -> sqlite3.Cursor:
        """Reads meet a lock only while another process recovers the file after a crash or is
        the last to close it."""
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                return self._connection.execute(sql, parameters)
            except sqlite3.OperationalError as error:
                if _primary(error) not in _BUSY or time.monotonic() >= deadline:
                    raise
            time.sleep(_LOCK_PAUSE_S)

    def _lock(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.Error as error:
                busy = _primary(error) in _BUSY
                if not busy or time.monotonic() >= deadline:
                    raise explain(self.path, error) from error
            time.sleep(_LOCK_PAUSE_S)


def connect(
    path: Path, *, clock: Clock | None = None, durable: bool = True, max_pages: int = 0
) -> Connection:
    """Open the bus file and create it when it is missing. Not `durable`: a crash of the machine
    may take back the last transactions (heartbeats). `max_pages` bounds the file."""
    _make_directory(path)
    try:
        raw = sqlite3.connect(path, timeout=10.0, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise explain(path, error) from error
    connection = Connection(path, raw, clock or SystemClock())
    try:
        _prepare(connection, durable=durable, max_pages=max_pages)
    except BaseException:
        connection.close()
        raise
    return connection


def _make_directory(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)
    except OSError as error:
        raise UsageError(
            f"cannot create the bus at {path}: {error.strerror}; choose another place with "
            "broker.url: sqlite:PATH"
        ) from error


def _prepare(connection: Connection, *, durable: bool, max_pages: int) -> None:
    connection.run(f"PRAGMA page_size = {PAGE_BYTES}")
    mode = connection.rows("PRAGMA journal_mode = WAL")[0][0]
    if mode != "wal":
        raise Fatal(f"{connection.path}: no SQLite WAL on this file system; use a local one")
    for pragma in (
        f"synchronous = {'FULL' if durable else 'NORMAL'}",
        "secure_delete = OFF",  # freed pages are reused, not overwritten first
        "cache_size = -4096",
        "wal_autocheckpoint = 2000",
        f"journal_size_limit = {128 << 20}",
    ):
        connection.run(f"PRAGMA {pragma}")
    if max_pages:
        connection.run(f"PRAGMA max_page_count = {max_pages}")
    if not _is_ours(connection):
        with connection.write():  # only now does the file hold still: another may be making it
            if not _is_ours(connection):
                _refuse_others(connection)
                _create(connection)
    connection.run("PRAGMA busy_timeout = 0")  # from here on the waiting is ours


def _is_ours(connection: Connection) -> bool:
    application = connection.rows("PRAGMA application_id")[0][0]
    version = connection.rows("PRAGMA user_version")[0][0]
    return bool((application, version) == (APPLICATION_ID, VERSION))


def _refuse_others(connection: Connection) -> None:
    application = connection.rows("PRAGMA application_id")[0][0]
    version = connection.rows("PRAGMA user_version")[0][0]
    if application == APPLICATION_ID:
        raise Fatal(f"{connection.path}: bus format {version} is not known (this reads {VERSION})")
    if connection.rows("SELECT count(*) FROM sqlite_master")[0][0]:
        raise UsageError(f"{connection.path} is a SQLite file of another program, not a bus")


def _create(connection: Connection) -> None:
    for statement in TABLES.split(";"):
        if statement.strip():
            connection.run(statement)
    connection.run(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.run(f"PRAGMA user_version = {VERSION}")


def explain(path: Path, error: sqlite3.Error) -> KubeledgerError:
    """The error in our words: what happened, where, what to do."""
    code = _primary(error)
    if code == sqlite3.SQLITE_FULL:
        return Unavailable(f"{path}: no space left for the bus; nothing is lost, free some space")
    if code in _BUSY:
        return Unavailable(f"{path}: another process holds the bus locked; try again")
    if code == sqlite3.SQLITE_READONLY:
        return Fatal(f"{path}: the bus is read-only; make file and directory writable")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Fatal(
            f"{path}: the bus file is damaged or not a bus ({error}); move it away and start "
            "with a new one"
        )
    if code in _PASSING:
        return Unavailable(f"{path}: the bus cannot be used now ({error}); try again")
    if code == sqlite3.SQLITE_CANTOPEN:
        return UsageError(f"{path}: cannot open the bus ({error}); check path and permissions")
    return Fatal(f"{path}: the bus refused a statement ({error})")


def _primary(error: sqlite3.Error) -> int:
    """SQLite's extended codes carry the primary one in the lowest byte."""
    return getattr(error, "sqlite_errorcode", -1) & 0xFF

"""The embedded bus: one SQLite file (WAL, synchronous=FULL) for many processes of one machine.

Every acknowledged record survives the end of any process at any moment, and of the machine if
its disk tells the truth about fsync. See sqlite_schema.py for the tables, sqlite_producer.py for
group commit, group.py for consumer groups, sqlite_sweep.py for retention and compaction.
"""

import threading
import uuid
from collections.abc import Callable
from pathlib import Path

from pipeline.base.clock import Clock, SystemClock
from pipeline.base.errors import Unavailable
from pipeline.broker.admin import LocalAdmin
from pipeline.broker.member import GroupConsumer
from pipeline.broker.protocol import Record
from pipeline.broker.reader import LogReader
from pipeline.broker.sqlite_connection import Connection, connect
from pipeline.broker.sqlite_log import SqliteStore
from pipeline.broker.sqlite_producer import SqliteProducer
from pipeline.broker.sqlite_sweep import sweep
from pipeline.broker.trouble import Notice

MAX_POLL_INTERVAL_S = 300.0  # a member that works longer on one poll is thought to hang


class SqliteBroker:
    """`max_pages` bounds the file (0: the disk does). `heartbeats` off: only `poll` keeps a
    member alive; with a virtual clock that is what makes sessions testable."""

    def __init__(
        self,
        path: Path,
        *,
        session_timeout_s: float = 10.0,
        clock: Clock | None = None,
        notice: Notice | None = None,
        max_pages: int = 0,
        heartbeats: bool = True,
    ) -> None:
        self._path = path
        self._session_s = session_timeout_s
        self._clock = clock or SystemClock()
        self._notice = _ignore if notice is None else notice
        self._max_pages = max_pages
        self._heartbeats = heartbeats

    def producer(self) -> SqliteProducer:
        return SqliteProducer(self._connect, clock=self._clock, notice=self._notice).start()

    def consumer(self, group: str) -> "SqliteConsumer":
        consumer = SqliteConsumer(
            SqliteStore(self._connect()),
            group,
            name=uuid.uuid4().hex,
            clock=self._clock,
            session_timeout_s=self._session_s,
        )
        if self._heartbeats:
            consumer.start_heartbeats(lambda: connect(self._path, clock=self._clock, durable=False))
        return consumer

    def reader(self) -> LogReader:
        return LogReader(SqliteStore(self._connect()), self._clock)

    def admin(self) -> LocalAdmin:
        return LocalAdmin(SqliteStore(self._connect()))

    def maintain(self) -> None:
        """All the retention and compaction that is due; producers do the same bit by bit."""
        connection = self._connect()
        try:
            while sweep(connection, self._clock.wall_ns() // 1_000_000):
                pass
        finally:
            connection.close()

    def close(self) -> None:
        """Each client holds its own connection."""

    def _connect(self) -> Connection:
        return connect(self._path, clock=self._clock, max_pages=self._max_pages)


class SqliteConsumer(GroupConsumer):
    """A member whose session is kept by a thread, so that long work between two polls is not
    taken for death. A stopped process stops the thread too, and is expelled."""

    _beating: "_Heartbeats | None" = None
    _polled = 0.0

    def start_heartbeats(self, connect: Callable[[], Connection]) -> None:
        self._polled = self._clock.monotonic()
        self._beating = _Heartbeats(self._beat, connect, self._session_s / 3)
        self._beating.start()

    def poll(self, timeout_s: float) -> list[Record]:
        self._polled = self._clock.monotonic()
        try:
            return super().poll(timeout_s)
        finally:
            self._polled = self._clock.monotonic()

    def close(self) -> None:
        if self._beating is not None:
            self._beating.stop()
        super().close()

    def _beat(self, store: SqliteStore) -> None:
        now = self._clock.monotonic()
        if now - self._polled < MAX_POLL_INTERVAL_S:
            with store.change(self._group) as group:
                group.beat(self._name, now + self._session_s)


class _Heartbeats:
    """A thread that calls `beat` with a store of its own until it is stopped."""

    def __init__(
        self,
        beat: Callable[[SqliteStore], None],
        connect: Callable[[], Connection],
        interval_s: float,
    ) -> None:
        self._beat = beat
        self._connect = connect
        self._interval_s = interval_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bus-heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        store: SqliteStore | None = None
        try:
            while not self._stopped.wait(self._interval_s):
                try:
                    store = store or SqliteStore(self._connect())
                    self._beat(store)
                except Unavailable:
                    continue  # the next beat may do; if none does, the session ends as it must
        finally:
            if store is not None:
                store.close()


def _ignore(_text: str) -> None:
    """Nobody asked for notices."""

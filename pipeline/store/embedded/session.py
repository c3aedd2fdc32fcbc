"""One client's connection to the engine: its database, temporary tables and settings.

A session runs one statement at a time, on one thread; `cancel` alone may be called from another.
Settings given with a statement hold for that statement only: what they were before is put back
before the next one that does not give them.

INSERT data goes to the engine through a pipe that the statement reads as a file. The engine's
own streaming insert call is not used: it loses errors that happen behind the parser (a violated
constraint, too many partitions) and reports success.
"""

import json
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from pipeline.store.embedded.blocks import Columns, split
from pipeline.store.embedded.failure import EngineError
from pipeline.store.embedded.feed import Piece, through_pipe
from pipeline.store.embedded.guard import ACCESS_DENIED, Guard
from pipeline.store.embedded.sql import Insert, Statement, identifier, last_name, literal

# A string setting that changes nothing here; it marks the statements of one session.
MARK = "stream_like_engine_insert_queue"
# Formats whose pieces can be joined as they are.
STREAMABLE = frozenset(
    {
        *("Native", "RowBinary", "RawBLOB", "LineAsString", "Null"),
        *("TSV", "TabSeparated", "TSVRaw", "TabSeparatedRaw", "CSV"),
        *("JSONEachRow", "JSONLines", "NDJSON", "JSONCompactEachRow", "JSONStringsEachRow"),
    }
)
_UNKNOWN_IDENTIFIER = 47
_NOT_INSERTED = ("MATERIALIZED", "ALIAS", "EPHEMERAL")

Progress = Callable[[dict[str, int]], None]


class SessionMaker(Protocol):
    """The engine, as a session needs it."""

    def session(self, database: str = "") -> "Session": ...

    def kill(self, mark: str) -> None: ...


class Session:
    def __init__(self, connection: Any, mark: str, guard: Guard, engine: "SessionMaker") -> None:
        self._connection = connection
        self._mark = mark
        self._guard = guard
        self._engine = engine
        self._database = ""
        self._applied: dict[str, str] = {}
        self._before: dict[str, str | None] = {}
        self._running = False
        self._ending = threading.Lock()  # no statement begins or ends while another one is killed
        self.cancelled = False

    def begin(self, database: str, settings: Mapping[str, str]) -> None:
        """First thing: settings of the session and its database."""
        try:
            self._set({MARK: self._mark, "implicit_select": "0", **settings})
            self._set({"allow_introspection_functions": "0"})
            self.use(database)
        except EngineError:
            self.close()
            raise

    def close(self) -> None:
        self._connection.close()

    def use(self, database: str) -> None:
        if database:
            self.command(f"USE {identifier(database)}")
            self._database = database

    def command(self, sql: str | bytes) -> None:
        """Our own statement, without an answer and without a guard."""
        self._run(sql, "Null")

    def _run(self, sql: str | bytes, form: str, params: Mapping[str, str] | None = None) -> Any:
        try:
            return self._connection.query(sql, form, params=dict(params or {}))
        except RuntimeError as error:
            raise EngineError.of(error) from error

    def _rows(self, sql: str, params: Mapping[str, str] | None = None) -> list[list[Any]]:
        answer = self._run(sql, "JSONCompactEachRow", params)
        return [json.loads(line) for line in answer.bytes().splitlines()]

    # Settings

    def apply(self, settings: Mapping[str, str]) -> None:
        """Settings of the next statement; those of the statement before are taken back."""
        for name in [name for name in self._applied if name not in settings]:
            old = self._before.pop(name)
            self.command(f"SET {name} = {'DEFAULT' if old is None else literal(old)}")
            del self._applied[name]
        fresh = {n: v for n, v in settings.items() if self._applied.get(n) != v}
        self._remember([name for name in fresh if name not in self._before])
        for name, value in fresh.items():
            self._set({name: value})
            self._applied[name] = value

    def _remember(self, names: Sequence[str]) -> None:
        if names:
            listed = ", ".join(literal(name) for name in names)
            where = f"changed AND name IN ({listed})"
            old = dict(self._rows(f"SELECT name, value FROM system.settings WHERE {where}"))
            self._before.update((name, old.get(name)) for name in names)

    def _set(self, settings: Mapping[str, str]) -> None:
        self.command("SET " + ", ".join(f"{n} = {literal(v)}" for n, v in settings.items()))

    # Statements with an answer

    def answer(
        self,
        statement: Statement,
        form: str = "Native",
        *,
        params: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> Generator[bytes]:
        """Run a statement; its answer in pieces. A SELECT in a format that can be joined is
        streamed, in memory for a few blocks; anything else comes whole."""
        text = statement.plain if form == "Native" else statement.text
        self._allow(text)
        with self._statement(progress):
            if statement.streams and form in STREAMABLE:
                yield from self._stream(text, form, params)
            else:
                data = self._run(text, form, params).bytes()
                if statement.verb == "USE":
                    self._database = last_name(text)
                if data:
                    yield data

    def native(
        self,
        statement: Statement,
        *,
        params: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> Iterator[bytes]:
        """Like `answer`, one block at a time."""
        for piece in self.answer(statement, params=params, progress=progress):
            if statement.streams:
                yield piece
            else:
                yield from split(piece)

    def _stream(self, text: str, form: str, params: Mapping[str, str] | None) -> Iterator[bytes]:
        connection = self._connection
        handle = None
        try:
            handle = connection.send_query(text, form, params=dict(params or {}))
            while True:
                piece = connection.streaming_fetch_result(handle)
                if piece is None or not piece.rows_read():
                    handle = None
                    return
                yield piece.bytes()
        except RuntimeError as error:
            handle = None
            raise EngineError.of(error) from error
        finally:
            if handle is not None:
                with suppress(RuntimeError):
                    connection.streaming_cancel_query(handle)

    def _allow(self, text: str) -> None:
        reason = self._guard.refusal(text)
        if reason:
            raise EngineError(ACCESS_DENIED, f"Not allowed here: {reason}.", "ACCESS_DENIED")

    def describe(self, statement: Statement, params: Mapping[str, str]) -> Columns | None:
        """Columns of an answer that had no rows."""
        if statement.streams:
            return _columns(self._describe(f"({statement.plain})", params))
        if statement.verb != "SHOW":
            return None
        # SHOW changes nothing; asked again in a format that has names even without rows.
        head = self._run(statement.plain, "JSONCompactEachRowWithNamesAndTypes").bytes()
        names, types = (json.loads(line) for line in head.splitlines()[:2])
        return Columns(tuple(names), tuple(types))

    def typed(self, statement: Statement, columns: Columns, params: Mapping[str, str]) -> Columns:
        """The engine's Native form, as it is had here, leaves the time zone out of DateTime.
        Asked of another session, because a question on this one would end its stream; one that
        does not see this one's temporary tables keeps the type without its zone."""
        if "DateTime" not in columns.types or not statement.streams:
            return columns
        with suppress(EngineError):
            other = self._engine.session(self._database)
            try:
                found = other.describe(statement, params)
            finally:
                other.close()
            if found is not None and found.names == columns.names:
                pairs = zip(columns.types, found.types, strict=True)
                return columns._replace(
                    types=tuple(full if kind == "DateTime" else kind for kind, full in pairs)
                )
        return columns

    def _describe(
        self, source: str, params: Mapping[str, str] | None = None
    ) -> list[tuple[str, str]]:
        rows = self._rows(f"DESCRIBE TABLE {source}", params)
        return [(row[0], row[1]) for row in rows if row[2] not in _NOT_INSERTED]

    # INSERT

    def sample(self, insert: Insert) -> Columns:
        """Columns that an INSERT expects."""
        self._allow(insert.head)
        if insert.columns:
            source = f"(SELECT {insert.columns} FROM {insert.target})"
            try:
                return _columns(self._describe(source))
            except EngineError as error:
                if error.code != _UNKNOWN_IDENTIFIER:
                    raise
                text = f"No such column in table {insert.target}: {error.message}"
                raise EngineError(16, text, "NO_SUCH_COLUMN_IN_TABLE") from error
        return _columns(self._describe(insert.target))

    def insert(
        self,
        insert: Insert,
        columns: Columns,
        pieces: Iterable[Sequence[Piece]],
        *,
        form: str = "Native",
        progress: Progress | None = None,
    ) -> None:
        """Run an INSERT on data that arrives. When `pieces` raises, what has not been inserted
        yet is not inserted."""
        structure = literal(_declared(columns))

        def run(path: str) -> None:
            source = f"file({literal(path)}, {form}, {structure})"
            self.command(f"{insert.head} SELECT * FROM {source}")

        with self._statement(progress):
            through_pipe(run, pieces)

    def make_temporary(self, name: str, columns: Columns) -> None:
        listed = _declared(columns)
        self.command(f"CREATE TEMPORARY TABLE {identifier(name)} ({listed})")

    def fill_temporary(self, name: str, columns: Columns, pieces: Sequence[Piece]) -> None:
        head = f"INSERT INTO {identifier(name)}"
        self.insert(Insert(head, identifier(name), "", "Native", 0, False), columns, [pieces])

    # Cancel

    @contextmanager
    def _statement(self, progress: Progress | None) -> Iterator[None]:
        with self._ending:
            self.cancelled = False
            self._running = True
        if progress is not None:
            self._connection.set_progress_callback(progress)
        try:
            yield
        finally:
            with self._ending:
                self._running = False
            if progress is not None:
                self._connection.set_progress_callback(None)

    def cancel(self, over: Callable[[], bool]) -> None:
        """From another thread: end the running statement. Tried again until it is over, because
        it may not have reached the engine's list yet. A kill takes its time: were the statement
        to end meanwhile, it would be the next one of the session that is killed."""
        while True:
            with self._ending:
                if over():
                    return
                if self._running:
                    self.cancelled = True
                    self._engine.kill(self._mark)
            time.sleep(0.05)


def _columns(described: Sequence[tuple[str, str]]) -> Columns:
    return Columns(tuple(n for n, _ in described), tuple(t for _, t in described))


def _declared(columns: Columns) -> str:
    pairs = zip(columns.names, columns.types, strict=True)
    return ", ".join(f"{identifier(name)} {kind}" for name, kind in pairs)

"""The store, as the rest of the code sees it. The door to ClickHouse is clickhouse.py.

Errors are those of pipeline.base.errors: Unavailable (try the same insert again: the token
absorbs what had already arrived), Rejected (the data itself is refused: bisect), Fatal (schema
altered, too old, settings wrong), UsageError (wrong SQL of a person).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from pipeline.base.block import Block

Row = tuple[Any, ...]
Parameters = Mapping[str, Any]


class Result(NamedTuple):
    """Answer of a query: column names, ClickHouse type names, rows."""

    names: list[str]
    types: list[str]
    rows: list[Row]


class Stream(NamedTuple):
    """A large answer, read block by block in bounded memory."""

    names: list[str]
    types: list[str]
    rows: Iterator[Row]


class Store(Protocol):
    """One connection. One thread."""

    def insert(self, table: str, block: Block, *, token: str) -> None:
        """Insert as exactly one native block with `async_insert=0` and this deduplication
        token. After an error that is Unavailable the very same call may be made again."""

    def query(self, sql: str, parameters: Parameters | None = None) -> Result:
        """Parameters are `{name:Type}` placeholders, substituted by the server."""

    def stream(self, sql: str, parameters: Parameters | None = None) -> Stream: ...

    def command(self, sql: str, settings: Mapping[str, Any] | None = None) -> None:
        """A statement without an answer (DDL)."""

    def check(self) -> Sequence[str]:
        """Start-up checks: version, tables and columns as the contract says, deduplication
        window. Returns what was found; raises Fatal naming each difference and its remedy."""

    def close(self) -> None: ...

"""The door to ClickHouse: clickhouse-driver is used here (and in native.py) and nowhere else.

Invariants of `insert`: one Data packet with one block; `async_insert=0`; a deduplication token;
settings that keep the server from splitting or joining blocks. A retry after Unavailable sends
the same bytes with the same token, so the server can recognise it.

Strings come back as `str`; a value that is not valid UTF-8 comes back as `bytes`, unchanged.
"""

import logging
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import lz4.block
from clickhouse_cityhash.cityhash import CityHash128
from clickhouse_driver import Client
from clickhouse_driver.errors import Error, NetworkError, ServerException, SocketTimeoutError
from clickhouse_driver.protocol import ClientPacketTypes, ServerPacketTypes

from pipeline.base.block import Block
from pipeline.base.config import read_secret
from pipeline.base.errors import Fatal, Unavailable
from pipeline.contract.tables import TABLES
from pipeline.store.codes import UNKNOWN_DATABASE, insert_error, query_error
from pipeline.store.config import StoreConfig
from pipeline.store.format import BLOCK_INFO, string, varint
from pipeline.store.native import encode_block
from pipeline.store.protocol import Parameters, Result, Row, Stream
from pipeline.store.startup import inspect

_FRAME_BYTES = 1 << 20
_LZ4 = 0x82
# What the driver raises where a server sends something else than it announced.
_MISREAD = (ValueError, LookupError, OverflowError, MemoryError, struct.error)
# A block is inserted as it is sent: not split, not joined, not buffered, checked by its token.
_INSERT_SETTINGS: Mapping[str, Any] = {
    "async_insert": 0,
    "deduplicate_insert": "enable",
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "max_insert_block_size": 1 << 22,
    "min_insert_block_size_rows": 0,
    "min_insert_block_size_bytes": 0,
    "max_insert_threads": 1,
}
# Built by merges: on insert they would cost several times the insert itself.
_LATE_INDEXES = {"logs": "ix_body, ix_items, ix_trace"}


class ClickHouseStore:
    """One connection, one thread. Connects at first use, and again after it broke."""

    def __init__(self, config: StoreConfig, client: Client) -> None:
        self._config = config
        self._client = client
        self._where = f"{config.host}:{config.port}"

    # Protocol

    def insert(self, table: str, block: Block, *, token: str) -> None:
        if not len(block):
            return
        types = _types(table)
        names = ", ".join(f"`{name}`" for name in block.columns)
        target = f"{table}_local" if self._config.cluster else table
        sql = f"INSERT INTO {self._config.database}.{target} ({names}) VALUES"
        settings = {
            **_INSERT_SETTINGS,
            "insert_deduplication_token": token,
            "min_free_disk_bytes_to_perform_insert": self._config.min_free_bytes,
        }
        if table in _LATE_INDEXES:
            settings["exclude_materialize_skip_indexes_on_insert"] = _LATE_INDEXES[table]
        if self._config.cluster:
            settings["insert_quorum"] = "auto"
        with self._errors(insert=table):
            self._connect(settings)
            revision = self._begin_insert(sql)
        encoded = encode_block(block, types, revision)  # what does not fit is our own mistake
        with self._errors(insert=table):
            self._send_block(encoded)

    def query(self, sql: str, parameters: Parameters | None = None) -> Result:
        with self._errors():
            self._use()
            answer = self._client.execute(sql, dict(parameters or {}), with_column_types=True)
            rows, columns = _with_columns(answer)
        return Result([name for name, _ in columns], [kind for _, kind in columns], rows)

    def stream(self, sql: str, parameters: Parameters | None = None) -> Stream:
        with self._errors():
            self._use()
            answer = self._client.execute_iter(sql, dict(parameters or {}), with_column_types=True)
            columns: list[tuple[str, str]] = next(answer, [])
        return Stream(
            [name for name, _ in columns], [kind for _, kind in columns], self._guarded(answer)
        )

    def command(self, sql: str, settings: Mapping[str, Any] | None = None) -> None:
        with self._errors():
            self._use()
            self._client.execute(sql, settings=dict(settings or {}))

    def check(self) -> Sequence[str]:
        return inspect(self, self._config, TABLES)

    def close(self) -> None:
        self._client.disconnect()

    # Connection

    def _connect(self, settings: Mapping[str, Any] | None = None) -> None:
        """A connection that is free: an answer that was not read to its end is given up."""
        if self._client.connection.is_query_executing:
            self._client.disconnect()
        self._client.establish_connection(dict(settings or {}))

    def _use(self) -> None:
        """Make the configured database the current one, once it exists."""
        if self._client.connection.is_query_executing:
            self._client.disconnect()
        if self._client.connection.database == self._config.database:
            return
        try:
            self._client.execute(f"USE {self._config.database}")
        except ServerException as error:
            if error.code != UNKNOWN_DATABASE:
                raise

    def _guarded(self, rows: Iterator[Any]) -> Iterator[Any]:
        with self._errors():
            yield from rows

    @contextmanager
    def _errors(self, insert: str = "") -> Iterator[None]:
        where = f"{self._where}, insert into {insert}" if insert else self._where
        try:
            yield
        except ServerException as error:
            self._client.disconnect()
            text = _first_line(error)
            kind = insert_error if insert else query_error
            raise kind(where, error.code, text) from error
        except (NetworkError, SocketTimeoutError, OSError, EOFError) as error:
            self._client.disconnect()
            raise Unavailable(
                f"{where}: the store does not answer: {str(error) or type(error).__name__}"
            ) from error
        except (Error, *_MISREAD) as error:
            self._client.disconnect()
            raise Unavailable(f"{where}: the answer was not understood: {error}") from error

    # INSERT

    def _begin_insert(self, sql: str) -> int:
        """The revision that the server speaks; it waits for a block then."""
        connection = self._client.connection
        connection.send_query(sql)
        connection.send_external_tables(None)
        self._client.receive_sample_block()
        return int(connection.server_info.used_revision)

    def _send_block(self, encoded: list[bytes]) -> None:
        connection = self._client.connection
        self._send_data(encoded)
        self._send_data([BLOCK_INFO, varint(0), varint(0)])
        while True:
            packet = connection.receive_packet()
            if packet.type == ServerPacketTypes.EXCEPTION:
                raise packet.exception
            if packet.type == ServerPacketTypes.END_OF_STREAM:
                return

    def _send_data(self, pieces: list[bytes]) -> None:
        connection = self._client.connection
        body = b"".join(pieces)
        head = varint(ClientPacketTypes.DATA) + string("")
        if not connection.compression:
            connection.socket.sendall(head + body)
            return
        frames = (
            _frame(body[start : start + _FRAME_BYTES])
            for start in range(0, len(body), _FRAME_BYTES)
        )
        connection.socket.sendall(head + next(frames))
        for frame in frames:
            connection.socket.sendall(frame)


def _frame(raw: bytes) -> bytes:
    packed = lz4.block.compress(raw, store_size=False)
    body: bytes = struct.pack("<BII", _LZ4, len(packed) + 9, len(raw)) + packed
    checksum = int(CityHash128(body))
    return struct.pack("<QQ", checksum >> 64, checksum & (1 << 64) - 1) + body


def _types(table: str) -> Mapping[str, str]:
    for spec in TABLES:
        if spec.name == table:
            return {column.name: column.type for column in spec.columns}
    raise Fatal(f"table {table!r} is not in the contract")


def _with_columns(answer: Any) -> tuple[list[Row], list[tuple[str, str]]]:
    """A statement without an answer gives a bare list."""
    return answer if isinstance(answer, tuple) else (answer, [])


def _first_line(error: ServerException) -> str:
    text = str(error.message).partition("Stack trace:")[0].strip()
    return text.removeprefix("DB::Exception: ").rstrip(".")


def open_store(config: StoreConfig) -> ClickHouseStore:
    """A store that connects when it is first used."""
    password = read_secret(config.password_file, "password") if config.password_file else ""
    # The driver logs tracebacks of what it raises as well, and what is raised is told by us.
    logging.getLogger("clickhouse_driver").addHandler(logging.NullHandler())
    client = Client(
        config.host,
        port=config.port,
        user=config.user,
        password=password,
        client_name="kubeledger",
        connect_timeout=config.connect_timeout_s,
        send_receive_timeout=config.send_receive_timeout_s,
        compression="lz4",
        secure=config.secure,
        ca_certs=str(config.ca_file) if config.ca_file else None,
        settings={"server_side_params": True, "async_insert": 0},
        tcp_keepalive=True,
    )
    return ClickHouseStore(config, client)

"""What clients do to the endpoint: settings, progress, cancel, errors, and going away."""

import socket
import struct
import threading
from collections.abc import Callable

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import Error, ServerException

from pipeline.base.clock import SystemClock
from pipeline.store.format import string, varint
from tests.pipeline.store.running import Running

ENDLESS = "SELECT count() FROM system.numbers WHERE sipHash64(number) = 7"


def eventually(true: Callable[[], bool], seconds: float = 60.0) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + seconds
    while not true():
        assert clock.monotonic() < deadline, "it did not come to be"
        clock.sleep(0.05)


def running_queries(client: Client) -> int:
    rows = client.execute(
        "SELECT count() FROM system.processes WHERE query NOT LIKE '%system.processes%'"
    )
    return int(rows[0][0])


def test_settings_hold_for_one_statement(running: Running) -> None:
    ask = "SELECT getSetting('max_threads'), getSetting('max_block_size')"
    with running.client() as client, running.client() as other:
        usual = client.execute(ask)
        changed = client.execute(ask, settings={"max_threads": 1, "max_block_size": 77})
        assert changed == [(1, 77)]
        assert other.execute(ask) == usual
        assert client.execute(ask) == usual


def test_set_holds_for_the_connection(running: Running) -> None:
    ask = "SELECT getSetting('max_block_size')"
    with running.client() as client, running.client() as other:
        usual = other.execute(ask)
        client.execute("SET max_block_size = 1234")
        assert client.execute(ask) == [(1234,)]
        assert client.execute(ask, settings={"max_block_size": 5}) == [(5,)]
        assert client.execute(ask) == [(1234,)]
        assert other.execute(ask) == usual


def test_unknown_settings(running: Running) -> None:
    with running.client() as client:
        assert client.execute("SELECT 1", settings={"no_such_setting": 1}) == [(1,)]
    with running.client(settings_is_important=True) as strict:
        with pytest.raises(ServerException) as caught:
            strict.execute("SELECT 1", settings={"no_such_setting": 1})
        assert caught.value.code == 115


def test_database_and_temporary_tables_are_the_connections_own(running: Running) -> None:
    with running.client() as client, running.client() as other:
        client.execute("USE system")
        client.execute("CREATE TEMPORARY TABLE mine (x UInt8)")
        assert client.execute("SELECT currentDatabase()") == [("system",)]
        assert other.execute("SELECT currentDatabase()") == [("default",)]
        with pytest.raises(ServerException, match="mine"):
            other.execute("SELECT * FROM mine")
    with running.client(database="system") as client:
        assert client.execute("SELECT currentDatabase()") == [("system",)]
    with running.client(database="nowhere") as client, pytest.raises(ServerException) as caught:
        client.execute("SELECT 1")
    assert caught.value.code == 81


def test_progress_and_profile(running: Running) -> None:
    with running.client() as client:
        client.execute("SELECT max(number) FROM numbers(3000000)", settings={"max_threads": 1})
        assert client.last_query.progress.rows == 3_000_000
        assert client.last_query.profile_info.rows == 1
        progress = client.execute_with_progress(
            "SELECT count() FROM numbers(50000000) WHERE sipHash64(number) = 7"
        )
        seen = list(progress)
        assert seen[-1][0] == 50_000_000
        assert progress.get_result() == [(0,)]


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELEC 1", 62),
        ("SELECT * FROM nowhere", 60),
        ("SELECT nope", 47),
        ("SELECT no_such_function(1)", 46),
        ("INSERT INTO nowhere VALUES", 60),
        ("CREATE TABLE t (x Nonsense) ENGINE = Memory", 50),
        ("SELECT throwIf(number = 3) FROM numbers(9)", 395),
        ("SELECT 1; SELECT 2", 497),
        ("SELECT repeat('x', number) FROM numbers(100000000) ORDER BY 1", 241),
    ],
)
def test_errors_have_their_codes(running: Running, sql: str, code: int) -> None:
    with running.client() as client:
        with pytest.raises(ServerException) as caught:
            client.execute(sql, [(1,)] if sql.startswith("INSERT") else None,
                           settings={"max_memory_usage": 200_000_000})  # fmt: skip
        assert caught.value.code == code
        assert client.execute("SELECT 1") == [(1,)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM `file`('/etc/passwd', 'LineAsString')",
        "SELECT file('/etc/passwd')",
        "SELECT * FROM/**/url('http://localhost/', 'LineAsString')",
        "SELECT * FROM executable('id', 'TSV', 'x String')",
        "SELECT * FROM python('x')",
        "CREATE TABLE t (x String) ENGINE = File(CSV)",
        "CREATE TABLE t (x String) ENGINE URL('http://localhost/')",
        "INSERT INTO FUNCTION file('x.csv') SELECT 1",
        "SELECT 1 INTO OUTFILE '/tmp/x'",
        "INSERT INTO t FROM INFILE '/etc/passwd' FORMAT LineAsString",
        "BACKUP DATABASE default TO File('x')",
        "CREATE DICTIONARY d (x UInt8) PRIMARY KEY x SOURCE(FILE(path '/x' format 'CSV'))",
        "CREATE DATABASE d ENGINE = SQLite('/x')",
        "SYSTEM SHUTDOWN",
    ],
)
def test_the_host_is_out_of_reach(running: Running, sql: str) -> None:
    with running.client() as client:
        with pytest.raises(ServerException) as caught:
            client.execute(sql)
        assert caught.value.code == 497


def test_words_that_only_look_dangerous(running: Running) -> None:
    with running.client() as client:
        assert client.execute("SELECT 'file(x); url(y)' AS file -- FROM url(z)") == [
            ("file(x); url(y)",)
        ]
        assert client.execute("SELECT max(file) FROM (SELECT 1 AS file)") == [(1,)]


def test_cancel(running: Running) -> None:
    with running.client() as client, running.client() as other:
        client.execute_with_progress(ENDLESS)
        eventually(lambda: running_queries(other) == 1)
        client.cancel()
        eventually(lambda: running_queries(other) == 0)
        assert client.execute("SELECT 1") == [(1,)]


def test_what_goes_wrong_after_a_cancel_is_told(running: Running) -> None:
    with running.client(settings_is_important=True) as client, running.client() as other:
        client.execute_with_progress(ENDLESS)
        eventually(lambda: running_queries(other) == 1)
        client.cancel()
        with pytest.raises(ServerException) as caught:
            client.execute("SELECT 1", settings={"no_such_setting": 1})
        assert caught.value.code == 115


def test_a_cancel_leaves_a_quick_answer_whole(fresh: Callable[..., Running]) -> None:
    store = fresh()
    store.module = "tests.pipeline.store.patient"
    with store.start().client() as client:
        for _ in range(50):
            client.execute_with_progress("SELECT 2")
            assert client.cancel() == [(2,)]


def test_cancel_of_a_stream(running: Running) -> None:
    with running.client() as client:
        progress = client.execute_with_progress("SELECT number FROM system.numbers")
        next(iter(progress))
        client.cancel()
        assert client.execute("SELECT 1") == [(1,)]


def test_a_client_that_vanishes_frees_its_query(running: Running) -> None:
    with running.client() as other:
        for sql in (ENDLESS, "SELECT number FROM system.numbers"):
            client = Client(running.config.host, port=running.config.port)
            client.connection.force_connect()
            client.connection.send_query(sql)
            client.connection.send_external_tables(None)
            eventually(lambda: running_queries(other) == 1)
            client.connection.socket.close()
            eventually(lambda: running_queries(other) == 0)


@pytest.mark.parametrize("compression", [False, "lz4"])
def test_a_client_that_vanishes_in_an_insert(running: Running, compression: bool | str) -> None:
    """Half a block, or whole blocks without the end: nothing of the last one is there."""
    with running.client() as other:
        other.execute(
            "CREATE OR REPLACE TABLE half (x UInt64, s String) ENGINE = MergeTree ORDER BY x"
        )
        for whole in (True, False):
            client = Client(running.config.host, port=running.config.port, compression=compression)
            connection = client.connection
            client.establish_connection({})
            connection.send_query("INSERT INTO half VALUES")
            connection.send_external_tables(None)
            sample = client.receive_sample_block()
            if whole:
                from clickhouse_driver.block import RowOrientedBlock

                rows = [(1, "a"), (2, "b")]
                connection.send_data(RowOrientedBlock(sample.columns_with_types, rows))
            else:
                connection.socket.sendall(varint(2) + string("") + b"\x01\x00\x02")
            connection.socket.close()
            eventually(lambda: running_queries(other) == 0)
            assert other.execute("SELECT count() FROM half") == [(0,)]
        other.execute("DROP TABLE half SYNC")


def test_garbage_is_answered_and_others_go_on(running: Running) -> None:
    config = running.config
    with running.client() as client:
        for junk in (b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 64, b"\xff" * 300, b""):
            with socket.create_connection((config.host, config.port)) as raw:
                raw.sendall(junk)
                raw.shutdown(socket.SHUT_WR)
                raw.settimeout(60)
                while raw.recv(4096):
                    pass
        assert client.execute("SELECT 1") == [(1,)]


def test_a_damaged_frame_is_refused(running: Running) -> None:
    with running.client(compression="lz4") as client:
        client.execute("CREATE TEMPORARY TABLE t (x UInt8)")
        connection = client.connection
        connection.send_query("INSERT INTO t VALUES")
        connection.send_external_tables(None)
        client.receive_sample_block()
        frame = struct.pack("<QQBII", 1, 2, 0x82, 12, 100) + b"abc"
        connection.socket.sendall(varint(2) + string("") + frame)
        with pytest.raises(ServerException, match="checksum"):
            client.receive_end_of_query()


def test_many_clients_at_once(running: Running) -> None:
    """32 connections insert and ask at the same time; every answer is the asker's own."""
    with running.client() as client:
        client.execute(
            "CREATE OR REPLACE TABLE crowd (who UInt32, n UInt32) ENGINE = MergeTree ORDER BY who"
        )
    wrong: list[object] = []

    def work(who: int) -> None:
        try:
            with running.client(compression="lz4" if who % 2 else False) as client:
                for n in range(5):
                    client.execute("INSERT INTO crowd VALUES", [(who, n)] * 10)
                    mine = client.execute(
                        f"SELECT who, count() FROM crowd WHERE who = {who} GROUP BY who"
                    )
                    if mine != [(who, 10 * (n + 1))]:
                        wrong.append(mine)
        except (Error, OSError, EOFError) as error:  # a thread's failure must reach the test
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(who,)) for who in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    with running.client() as client:
        assert client.execute("SELECT count(), uniq(who) FROM crowd") == [(1600, 32)]
        client.execute("DROP TABLE crowd SYNC")


def test_connections_do_not_pile_up(running: Running) -> None:
    before = _threads(running.pid)
    for _ in range(60):
        with running.client() as client:
            client.execute("SELECT 1")
    eventually(lambda: _threads(running.pid) <= before + 5)


def _threads(pid: int) -> int:
    """The store's own: those of the engine's pools have other names, and stay."""
    from pathlib import Path

    own = Path(f"/proc/{pid}/comm").read_text()
    return sum(path.read_text() == own for path in Path(f"/proc/{pid}/task").glob("*/comm"))

"""The store as a process: one per directory, safe to kill, closed to strangers."""

import json
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from clickhouse_driver.errors import ServerException

from pipeline.base import alone
from pipeline.base.errors import Unavailable, UsageError
from pipeline.base.lifecycle import Stop
from pipeline.base.ports import free_port
from pipeline.store.embedded.directory import locked, read_endpoint
from pipeline.store.embedded.locate import endpoint, opened
from pipeline.store.embedded.server import serve
from pipeline.store.migrate import migrate
from tests.pipeline.store.rows import log_block
from tests.pipeline.store.running import Running

Fresh = Callable[..., Running]


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-m", "pipeline.store.embedded", *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=120)


def test_killed_stores_keep_what_they_acknowledged(fresh: Fresh) -> None:
    """A writer inserts while the store is killed three times. What was acknowledged is there;
    what was in the air is sent again with its token and is there once."""
    running = fresh("--listen", f"127.0.0.1:{free_port()}", "--http", "off").start()
    config = running.config
    with running.store() as store:
        migrate(store, config)
    acknowledged: list[int] = []
    done = threading.Event()

    def write() -> None:
        from pipeline.store.clickhouse import open_store

        store = open_store(config)
        number = 0
        while not done.is_set() or number < 30:
            block = log_block([b"%d" % number] * 50, ko=number, file_id=number)
            try:
                store.insert("logs", block, token=f"t:{number}")
            except Unavailable:
                done.wait(0.05)
                continue
            acknowledged.append(number)
            number += 1
        store.close()

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(3):
        seen = len(acknowledged)
        while len(acknowledged) < seen + 5:
            done.wait(0.01)
        running.kill()
        running.start()
    done.set()
    writer.join()
    with running.store() as store:
        found = store.query("SELECT ko, count() FROM logs GROUP BY ko ORDER BY ko").rows
    assert found == [(number, 50) for number in acknowledged]


def test_two_stores_on_one_directory(fresh: Fresh) -> None:
    running = fresh().start()
    second = run("--data", str(running.data), "--listen", "127.0.0.1:0")
    assert second.returncode == 2
    assert f"in use by another store (process {running.pid})" in second.stderr
    assert "Traceback" not in second.stderr
    with running.client() as client:
        assert client.execute("SELECT 1") == [(1,)]


def test_a_store_that_is_yet_dying_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was killed holds its locks until its memory is given back."""
    monkeypatch.setattr(alone, "DYING_S", 60.0)  # how long is not asked here
    with ExitStack() as dying:
        dying.enter_context(locked(tmp_path))
        gone = threading.Timer(0.5, dying.close)
        gone.start()
        with locked(tmp_path) as engine:
            assert engine == tmp_path / "engine"
        gone.join()


def test_port_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = run("--data", str(tmp_path / "d"), "--listen", address)
    assert ended.returncode == 2
    assert f"cannot listen on {address}" in ended.stderr


@pytest.mark.parametrize("which", ["--listen", "--http"])
def test_open_to_the_network_without_password(tmp_path: Path, which: str) -> None:
    other = {"--listen": "--http", "--http": "--listen"}[which]
    ended = run("--data", str(tmp_path / "d"), which, "0.0.0.0:0", other, "127.0.0.1:0")
    assert ended.returncode == 2
    assert "no password is set" in ended.stderr


def test_password(fresh: Fresh, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    listen = ("--listen", "0.0.0.0:0", "--http", "127.0.0.1:0")
    running = fresh(*listen, "--password-file", str(secret), "--user", "ada").start()
    with running.client(user="ada", password="s3cret") as client:
        assert client.execute("SELECT 1") == [(1,)]
    for user, password in (("ada", "wrong"), ("ada", ""), ("default", "s3cret"), ("", "")):
        with running.client(user=user, password=password) as client:
            with pytest.raises(ServerException) as caught:
                client.execute("SELECT 1")
            assert caught.value.code == 516
    with running.store(user="ada") as store, pytest.raises(UsageError, match="password_file"):
        store.query("SELECT 1")
    with running.store(user="ada", password_file=secret) as store:
        assert store.query("SELECT 1").rows == [(1,)]
    assert "s3cret" not in (running.data / "endpoint.json").read_text()
    assert "s3cret" not in running.log.read_text()


def test_endpoint_file(fresh: Fresh) -> None:
    running = fresh()
    assert endpoint(running.data) is None
    running.start()
    path = running.data / "endpoint.json"
    found = json.loads(path.read_text())
    assert found["pid"] == running.pid
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert running.stop() == 0
    assert not path.exists()
    assert endpoint(running.data) is None


def test_an_endpoint_file_of_a_killed_store_is_not_believed(fresh: Fresh) -> None:
    running = fresh().start()
    running.kill()
    assert read_endpoint(running.data) is not None
    assert endpoint(running.data) is None


def test_sigterm_lets_statements_end(fresh: Fresh) -> None:
    running = fresh()
    running.module = "tests.pipeline.store.patient"
    running.start()
    sql = "SELECT sleepEachRow(0.5) FROM numbers(4)"
    with running.client() as client:
        rows = client.execute_iter(sql, settings={"max_block_size": 1})
        first = next(rows)  # now it runs
        running.terminate()
        assert [first, *rows] == [(0,)] * 4
    assert running.stop() == 0


def test_opened_uses_the_running_store(fresh: Fresh) -> None:
    running = fresh().start()
    with opened(running.data) as config:
        assert config.port == running.config.port
    assert endpoint(running.data) is not None, "it was not ours to stop"


def test_opened_starts_one_and_stops_it(fresh: Fresh) -> None:
    running = fresh().start()
    with running.client() as client:
        client.execute("CREATE TABLE kept (x UInt8) ENGINE = MergeTree ORDER BY x")
        client.execute("INSERT INTO kept VALUES", [(7,)])
    running.stop()
    with opened(running.data) as config:
        running.process = None
        assert config.host == "127.0.0.1"
        from pipeline.store.clickhouse import open_store

        store = open_store(config)
        assert store.query("SELECT x FROM default.kept").rows == [(7,)]
        store.close()
    assert endpoint(running.data) is None


def test_opened_says_why_not(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UsageError, match="cannot be used as data directory"),
        opened(tmp_path / "file"),
    ):
        pass


@pytest.mark.parametrize("address", ["9000", "localhost", "127.0.0.1:x", "127.0.0.1:70000"])
def test_address_that_is_none(tmp_path: Path, address: str) -> None:
    with pytest.raises(UsageError, match="HOST:PORT"):
        serve(tmp_path, address, None, stop=Stop(), on_ready=lambda _: None)
    assert os.listdir(tmp_path) == []

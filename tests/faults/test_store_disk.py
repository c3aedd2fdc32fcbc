"""The embedded store on a disk that takes no more, and on one that has room again."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.base.errors import Unavailable
from pipeline.store.clickhouse import ClickHouseStore
from pipeline.store.migrate import migrate
from tests.pipeline.store.rows import log_block
from tests.pipeline.store.running import Running

EVERYTHING = 1 << 60  # more than any disk has free


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    made = Running(tmp_path / "store").start()
    with made.store() as store:
        migrate(store, made.config)
    yield made
    made.stop()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB, where this user may mount one."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def count(store: ClickHouseStore) -> tuple[int, int]:
    """Rows that can be read to their last byte, and rows in the roll-up."""
    rows = store.query("SELECT count() FROM logs WHERE NOT ignore(*)").rows[0][0]
    rolled = store.query("SELECT sum(rows) FROM logs_1m").rows[0][0]
    return int(rows), int(rolled)


def test_inserts_wait_while_too_little_is_free(running: Running) -> None:
    """A disk that fills up in the middle of an insert leaves half a block, and the engine says
    nothing of it: so nothing is begun that might not fit."""
    block = log_block([b"a", b"b"])
    with running.store(min_free_bytes=EVERYTHING) as store:
        for _ in range(2):
            with pytest.raises(Unavailable, match="NOT_ENOUGH_SPACE"):
                store.insert("logs", block, token="logs:0:1-1")
        assert count(store) == (0, 0)
    with running.store() as store:
        for _ in range(2):
            store.insert("logs", block, token="logs:0:1-1")
        assert count(store) == (2, 2)


def test_a_full_disk_is_tried_again_and_stored_once(small_disk: Path) -> None:
    """Never Rejected: that would make dead letters of good rows. The last insert that fits leaves
    no room for its roll-up: it counts as not done, and done again it is there once."""
    running = Running(small_disk / "store").start()
    block = log_block([os.urandom(4000) for _ in range(500)])
    try:
        with running.store(min_free_bytes=0) as store:
            migrate(store, running.config)
            done = 0
            with pytest.raises(Unavailable, match="not enough space"):  # noqa: PT012 - until full
                while True:
                    store.insert("logs", block, token=f"logs:0:{done}-{done}")
                    done += 1
            assert done > 5
            refused = f"logs:0:{done}-{done}"
            remount = ["mount", "-o", "remount,size=64m", str(small_disk)]
            subprocess.run(remount, check=True)
            for _ in range(2):
                store.insert("logs", block, token=refused)
            assert count(store) == (500 * (done + 1), 500 * (done + 1))
    finally:
        running.stop()

"""Large answers and large inserts in bounded memory, of both sides."""

import os
from pathlib import Path

import pytest

from tests.pipeline.store.running import Running

ROWS = 10_000_000
BOUND = 200 << 20


def own_memory() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
def test_ten_million_rows_are_streamed(running: Running) -> None:
    """About 1 GB of answer; neither side holds more than a few blocks of it."""
    sql = (
        f"SELECT number, repeat('x', 80) || toString(number) FROM numbers({ROWS}) "
        "SETTINGS max_block_size = 20000"
    )
    with running.store() as store:
        store.query("SELECT 1")
        mine, theirs = own_memory(), running.memory_bytes()
        most_mine = most_theirs = 0
        expected = 0
        for number, _ in store.stream(sql).rows:
            assert number == expected
            expected += 1
            if not expected % 500_000:
                most_mine = max(most_mine, own_memory())
                most_theirs = max(most_theirs, running.memory_bytes())
    assert expected == ROWS
    assert most_mine - mine < BOUND
    assert most_theirs - theirs < BOUND


@pytest.mark.slow
def test_a_reader_that_waits_holds_the_engine_back(running: Running) -> None:
    """Rows are made as they are read, not before."""
    with running.store() as store:
        rows = store.stream("SELECT number, repeat('x', 1000) FROM system.numbers").rows
        next(rows)
        before = running.memory_bytes()
        with running.client() as other:
            for _ in range(20):
                other.execute("SELECT sleep(0.1)")
        assert running.memory_bytes() - before < BOUND


def test_a_query_that_wants_too_much_fails_alone(running: Running) -> None:
    from pipeline.base.errors import Unavailable

    sql = "SELECT groupArray(repeat('x', 1000000)) FROM numbers(10000000)"
    with running.store() as store, running.store() as other:
        store.command("SET max_memory_usage = 500000000")
        with pytest.raises(Unavailable, match="code 241"):
            store.query(sql)
        assert other.query("SELECT 1").rows == [(1,)]
        limit = int(other.query("SELECT getSetting('max_memory_usage')").rows[0][0])
        assert 0 < limit < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

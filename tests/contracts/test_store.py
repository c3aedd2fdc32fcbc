"""The store's protocol, through the door, on the embedded endpoint; and on a ClickHouse server
when KUBELEDGER_TEST_CLICKHOUSE names one (host:port, user `default` without password)."""

import itertools
import os
from collections.abc import Iterator

import numpy as np
import pytest

from pipeline.base.block import Block, Fixed
from pipeline.base.errors import Fatal, Rejected, Unavailable, UsageError
from pipeline.store.clickhouse import ClickHouseStore, open_store
from pipeline.store.config import StoreConfig
from pipeline.store.migrate import migrate
from tests.pipeline.store.rows import NOON, log_block
from tests.pipeline.store.running import Running, changed

SERVER = os.environ.get("KUBELEDGER_TEST_CLICKHOUSE", "")
MIDNIGHT = NOON + 12 * 3600 * 10**9
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreConfig]:
    running = Running(tmp_path_factory.mktemp("contract") / "data").start()
    yield running.config
    running.stop()


@pytest.fixture(params=["embedded", *(["server"] if SERVER else [])])
def config(request: pytest.FixtureRequest) -> StoreConfig:
    database = f"contract_{os.getpid()}_{next(_numbers)}"
    if request.param == "server":
        host, _, port = SERVER.rpartition(":")
        return StoreConfig(host=host, port=int(port), database=database)
    return changed(request.getfixturevalue("embedded"), database=database)


@pytest.fixture
def store(config: StoreConfig) -> Iterator[ClickHouseStore]:
    opened = open_store(config)
    migrate(opened, config)
    yield opened
    opened.command(f"DROP DATABASE {config.database} SYNC")
    opened.close()


def count(store: ClickHouseStore, table: str = "logs") -> int:
    return int(store.query(f"SELECT count() FROM {table}").rows[0][0])


def test_same_token_twice_is_stored_once(store: ClickHouseStore) -> None:
    block = log_block([b"a", b"b", b"c"])
    store.insert("logs", block, token="logs:0:0-0")
    store.insert("logs", block, token="logs:0:0-0")
    assert count(store) == 3
    rolled = store.query("SELECT sum(rows), sum(bytes) FROM logs_1m").rows
    assert rolled == [(3, 3 * 46)]


def test_another_token_is_stored_again(store: ClickHouseStore) -> None:
    block = log_block([b"a"])
    store.insert("logs", block, token="one")
    store.insert("logs", block, token="two")
    assert count(store) == 2


def test_a_block_across_midnight_is_stored_once(store: ClickHouseStore) -> None:
    block = log_block([b"line %d" % n for n in range(100)], ts=MIDNIGHT - 50 * 10**9, step=10**9)
    for _ in range(3):
        store.insert("logs", block, token="t")
    assert store.query("SELECT count(), uniqExact(off), uniqExact(toDate(ts)) FROM logs").rows == [
        (100, 100, 2)
    ]


def test_one_block_is_one_part(store: ClickHouseStore) -> None:
    """Half a million rows, the largest batch: not split, or the token would not cover it."""
    store.insert("logs", log_block([b"x"] * 500_000, step=1000), token="t")
    parts = store.query(
        "SELECT rows FROM system.parts WHERE database = currentDatabase() AND table = 'logs' "
        "AND active"
    ).rows
    assert parts == [(500_000,)]


def test_too_many_days_in_a_block_are_rejected(store: ClickHouseStore) -> None:
    """ClickHouse refuses it for ever; with the code of `too many parts`, which passes."""
    block = log_block([b"x"] * 120, step=86_400 * 10**9)
    with pytest.raises(Rejected, match="Too many partitions"):
        store.insert("logs", block, token="t")
    assert count(store) == 0
    store.insert("logs", block.slice(0, 60), token="t1")
    assert count(store) == 60


def test_a_violated_constraint_is_rejected(store: ClickHouseStore) -> None:
    store.command("ALTER TABLE logs ADD CONSTRAINT c CHECK body != 'bad'")
    with pytest.raises(Rejected, match="violated"):
        store.insert("logs", log_block([b"good", b"bad"]), token="t")
    assert count(store) == 0


def test_an_unknown_column_is_fatal(store: ClickHouseStore) -> None:
    store.command("ALTER TABLE files DROP COLUMN path")
    from pipeline.contract.tables import FILES
    from pipeline.store.native import rows_block

    row = {spec.name: b"" if "String" in spec.type else 1 for spec in FILES.written}
    with pytest.raises(Fatal, match="kubeledger migrate"):
        store.insert("files", rows_block(FILES, [row]), token="t")


def test_values_come_back_in_their_types(store: ClickHouseStore) -> None:
    result = store.query(
        "SELECT 1 AS one, 'ü' AS text, unhex('ff00') AS raw, map('a', 'b') AS attrs, NULL AS none"
    )
    assert result.names == ["one", "text", "raw", "attrs", "none"]
    assert result.types[:3] == ["UInt8", "String", "String"]
    assert result.rows == [(1, "ü", b"\xff\x00", {"a": "b"}, None)]


@pytest.mark.parametrize(
    "value", ["", "it's", 'a "b" `c`', "tab\tline\nnul\0back\\slash", "{x:String}", "ü€😀", "\\N"]
)
def test_parameters_are_data(store: ClickHouseStore, value: str) -> None:
    sql = "SELECT {value:String}, {list:Array(String)}, {number:UInt64}"
    result = store.query(sql, {"value": value, "list": [value, "b"], "number": 2**64 - 1})
    assert result.rows == [(value, [value, "b"], 2**64 - 1)]


def test_wrong_sql_is_a_usage_error_and_the_store_goes_on(store: ClickHouseStore) -> None:
    for sql, code in (("SELEC 1", 62), ("SELECT x FROM nowhere", 60), ("SELECT nope", 47)):
        with pytest.raises(UsageError, match=rf"\(code {code}\)"):
            store.query(sql)
    assert store.query("SELECT 1").rows == [(1,)]


def test_an_empty_answer_has_names(store: ClickHouseStore) -> None:
    result = store.query("SELECT body, off FROM logs")
    assert (result.names, result.types, result.rows) == (["body", "off"], ["String", "UInt64"], [])


def test_stream_is_read_in_order(store: ClickHouseStore) -> None:
    stream = store.stream("SELECT number, toString(number) FROM system.numbers LIMIT 300000")
    assert stream.names[0] == "number"
    expected = 0
    for number, text in stream.rows:
        assert (number, text) == (expected, str(expected))
        expected += 1
    assert expected == 300_000


def test_a_stream_given_up_half_way_does_not_block(store: ClickHouseStore) -> None:
    rows = store.stream("SELECT number FROM system.numbers").rows
    assert next(rows) == (0,)
    assert store.query("SELECT 1").rows == [(1,)]


def test_an_error_in_the_middle_of_a_stream(store: ClickHouseStore) -> None:
    rows = store.stream("SELECT throwIf(number = 400000) FROM system.numbers LIMIT 500000").rows
    with pytest.raises(UsageError, match=r"\(code 395\)"):
        for _ in rows:
            pass
    assert store.query("SELECT 1").rows == [(1,)]


def test_check_finds_nothing_wrong(store: ClickHouseStore) -> None:
    assert any("ClickHouse" in line for line in store.check())


def test_settings_of_a_command_end_with_it(store: ClickHouseStore) -> None:
    store.command("SELECT 1", {"max_threads": 3})
    assert store.query("SELECT getSetting('max_threads') = 3").rows == [(False,)]


def test_nobody_at_home(config: StoreConfig) -> None:
    store = open_store(changed(config, port=1, connect_timeout_s=1.0))
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        store.query("SELECT 1")
    with pytest.raises(Unavailable):
        store.insert("logs", log_block([b"a"]), token="t")


def test_a_block_that_does_not_fit_leaves_the_connection_usable(store: ClickHouseStore) -> None:
    block = log_block([b"a"])
    wrong = Block({**block.columns, "kp": Fixed(np.zeros(1, np.uint64))})
    with pytest.raises(ValueError, match="kp"):
        store.insert("logs", wrong, token="t")
    store.insert("logs", block, token="t")
    assert count(store) == 1

"""Encoded blocks, read back by the real engine."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.base.block import Block, Dictionary, Fixed, Strings
from pipeline.contract.tables import DEAD_LETTERS, FILE_EVENTS, FILES, LOGS, ColumnSpec
from pipeline.store.clickhouse import ClickHouseStore
from pipeline.store.embedded.blocks import from_packet, split, to_packet
from pipeline.store.embedded.wire import Source
from pipeline.store.native import encode_block, rows_block
from tests.pipeline.store.rows import NOON, log_block

TYPES = {column.name: column.type for column in LOGS.columns}


def test_every_column_comes_back(store: ClickHouseStore) -> None:
    bodies = [b"plain", b"", "späß".encode(), b"\xff\x00\xfe binary", b"x" * 100_000]
    block = log_block(bodies, kp=3, ko=2**63, file_id=2**64 - 1)
    store.insert("logs", block, token="t")
    names = [spec.name for spec in LOGS.written if spec.name not in ("ts", "stream")]
    result = store.query(
        f"SELECT {', '.join(names)}, toUnixTimestamp64Nano(ts), stream FROM logs ORDER BY ts"
    )
    for number, row in enumerate(result.rows):
        *values, ts, stream = row
        assert ts == NOON + number * 1_000_000
        assert stream == "stdout"
        for name, value in zip(names, values, strict=True):
            assert _same(value, _expected(block, name, number)), (name, number)
    assert [row[names.index("body")] for row in result.rows][3] == bodies[3]


def _expected(block: Block, name: str, row: int) -> object:
    column = block.columns[name]
    if isinstance(column, Fixed):
        return int(column.values[row])
    if isinstance(column, Strings):
        return column.values[row]
    return column.values[column.codes[row]]


def _same(found: object, expected: object) -> bool:
    if isinstance(expected, bytes) and isinstance(found, str):
        return found.encode() == expected
    return found == expected


columns = st.lists(
    st.tuples(
        st.binary(max_size=300), st.sampled_from([b"", b"a", b"b" * 200]), st.integers(0, 2**32 - 1)
    ),
    max_size=40,
)


@given(rows=columns, revision=st.sampled_from([54429, 54454, 54460]))
@settings(max_examples=60, deadline=None)
def test_packet_and_engine_forms_agree(rows: list[tuple[bytes, bytes, int]], revision: int) -> None:
    """What is encoded for a packet is understood by the endpoint's reader to the last byte, and
    what the endpoint writes is understood again."""
    block = Block(
        {
            "number": Fixed(np.array([n for _, _, n in rows], np.uint32)),
            "word": Dictionary([w for _, w, _ in rows], np.arange(len(rows), dtype=np.uint32)),
            "text": Strings([t for t, _, _ in rows]),
        }
    )
    types = {"number": "UInt32", "word": "LowCardinality(String)", "text": "String"}
    packet = b"".join(encode_block(block, types, revision))
    source = Source.over(packet)
    header, pieces = from_packet(source, revision)
    assert source.at == len(packet)
    assert header.rows == len(rows)
    engine_form = b"".join(pieces)
    assert list(split(engine_form)) == [engine_form]
    again = b"".join(to_packet(engine_form, None, revision)[1])
    assert again == packet
    assert b"".join(to_packet(engine_form, header.columns, revision)[1]) == packet


def test_repeated_and_unused_dictionary_values(store: ClickHouseStore) -> None:
    block = log_block([b"a", b"b", b"c", b"d"])
    pods = Dictionary([b"p", b"q", b"p", b"unused"], np.array([0, 1, 2, 0], np.uint32))
    store.insert("logs", Block({**block.columns, "pod": pods}), token="t")
    found = store.query("SELECT pod FROM logs ORDER BY ts").rows
    assert found == [("p",), ("q",), ("p",), ("p",)]


@pytest.mark.parametrize("distinct", [1, 256, 257, 65_536, 65_537])
def test_width_of_dictionary_indexes(store: ClickHouseStore, distinct: int) -> None:
    count = 70_000
    block = log_block([b"x"] * count)
    values = [b"p%d" % n for n in range(distinct)]
    codes = (np.arange(count) % distinct).astype(np.uint32)
    store.insert("logs", Block({**block.columns, "pod": Dictionary(values, codes)}), token="t")
    assert store.query("SELECT uniqExact(pod), count() FROM logs").rows == [(distinct, count)]
    assert store.query(
        "SELECT pod FROM logs WHERE ts = fromUnixTimestamp64Nano({ts:Int64}, 'UTC')",
        {"ts": NOON + 1_000_000 * (distinct - 1)},
    ).rows == [(f"p{distinct - 1}",)]


def test_values_of_the_wrong_width_are_refused() -> None:
    block = Block({"kp": Fixed(np.zeros(1, np.uint32))})
    with pytest.raises(ValueError, match="column kp: uint32 does not fit UInt16"):
        encode_block(block, TYPES, 54460)


def test_rows_of_small_tables(store: ClickHouseStore) -> None:
    row = {
        "ts": NOON // 1_000_000,
        "event": FILE_EVENTS["end"],
        "file_id": 7,
        "node": "n1",
        "namespace": "shop",
        "pod": "cart-1",
        "pod_uid": "0f9d",
        "container": "app",
        "restart": 2,
        "path": b"/var/log/\xff.log",
        "size": 10**12,
        "reason": "rotated",
        "exact": 1,
        "kp": 0,
        "ko": 9,
    }
    store.insert("files", rows_block(FILES, [row, row]), token="t")
    found = store.query("SELECT event, path, size, restart FROM files").rows
    assert found == [("end", b"/var/log/\xff.log", 10**12, 2)] * 2


def test_no_rows_is_no_insert(store: ClickHouseStore) -> None:
    store.insert("dead_letters", rows_block(DEAD_LETTERS, []), token="t")
    assert store.query("SELECT count() FROM dead_letters").rows == [(0,)]


def test_every_written_column_of_the_contract_can_be_encoded() -> None:
    """A type that somebody adds to the contract must be known to the encoder."""
    from pipeline.contract.tables import TABLES

    for table in TABLES:
        rows = [{spec.name: _zero(spec) for spec in table.written}]
        types = {spec.name: spec.type for spec in table.columns}
        assert encode_block(rows_block(table, rows), types, 54460)


def _zero(spec: ColumnSpec) -> object:
    return b"" if "String" in spec.type else 0

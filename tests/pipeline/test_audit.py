"""The audit's arithmetic on the real engine: whole, open, short or double files."""

from collections.abc import Iterator

import numpy as np
import pytest

from pipeline.audit import Audit, audit
from pipeline.base.block import Block, Column, Dictionary, Fixed, Strings
from pipeline.base.clock import ManualClock
from pipeline.contract import tables
from pipeline.store.clickhouse import ClickHouseStore, open_store
from pipeline.store.config import StoreConfig
from pipeline.store.embedded.locate import opened
from pipeline.store.migrate import migrate
from pipeline.store.native import rows_block
from tests.pipeline.store.running import FOR_EVER, changed

NOW = 1_795_412_100


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreConfig]:
    directory = tmp_path_factory.mktemp("audit") / "store"
    directory.mkdir()
    with opened(directory) as settings:
        yield changed(settings, ttl_days=FOR_EVER)


@pytest.fixture
def store(config: StoreConfig) -> Iterator[ClickHouseStore]:
    connection = open_store(config)
    migrate(connection, config)
    for table in ("logs", "files", "gaps", "shed", "dead_letters"):
        connection.command(f"TRUNCATE TABLE {config.database}.{table}")
    yield connection
    connection.close()


def rows(store: ClickHouseStore, file_id: int, *spans: tuple[int, ...], token: str = "a") -> None:
    """Rows of one file as (off, nbytes[, interleaved])."""
    full = [span if len(span) == 3 else (*span, 0) for span in spans]
    many = len(full)
    numbers: dict[str, list[int]] = {
        "ts": [NOW * 10**9] * many,
        "off": [s[0] for s in full],
        "nbytes": [s[1] for s in full],
        "interleaved": [s[2] for s in full],
        "file_id": [file_id] * many,
        "stream": [1] * many,
    }
    kinds = {"DateTime64": "i8", "Int64": "i8", "UInt64": "u8", "UInt32": "u4", "UInt16": "u2",
             "UInt8": "u1", "Enum8": "i1"}  # fmt: skip
    columns: dict[str, Column] = {}
    for column in tables.LOGS.written:
        if column.type == tables.LOW:
            columns[column.name] = Dictionary([b"x"], np.zeros(many, np.uint32))
        elif column.type == "String":
            columns[column.name] = Strings([b"line"] * many)
        else:
            values = numbers.get(column.name, [0] * many)
            columns[column.name] = Fixed(np.array(values, kinds[column.type.split("(")[0]]))
    store.insert("logs", Block(columns), token=f"{file_id}:{token}")


def note(store: ClickHouseStore, table: tables.TableSpec, **values: object) -> None:
    """One row of a small table; what is not given is zero or empty."""
    row: dict[str, object] = {}
    for column in table.written:
        empty: object = "" if "String" in column.type else 0
        row[column.name] = values.get(column.name, empty)
    row["ts"] = values.get("ts", NOW * 1000)
    store.insert(table.name, rows_block(table, [row]), token=repr(sorted(values.items())))


def end(store: ClickHouseStore, file_id: int, size: int, *, exact: int = 1) -> None:
    note(store, tables.FILES, file_id=file_id, event=2, size=size, exact=exact)


def gap(store: ClickHouseStore, file_id: int, start: int, stop: int, reason: str) -> None:
    note(store, tables.GAPS, file_id=file_id, start=start, stop=stop, reason=reason)


def judge(store: ClickHouseStore, config: StoreConfig, since: int = 0) -> Audit:
    return audit(store, database=config.database, since_ns=since, clock=ManualClock(), settle_s=4)


def verdict(store: ClickHouseStore, config: StoreConfig) -> str:
    (file,) = judge(store, config).files
    return file.verdict


def test_complete(store: ClickHouseStore, config: StoreConfig) -> None:
    rows(store, 1, (0, 40), (40, 60))
    end(store, 1, 100)
    assert verdict(store, config) == "complete"


def test_bytes_that_were_shed_are_accounted_for(
    store: ClickHouseStore, config: StoreConfig
) -> None:
    rows(store, 1, (0, 40))
    note(store, tables.SHED, file_id=1, reason="sampled", rows=2, bytes=60, low=40, high=100)
    end(store, 1, 100)
    (file,) = judge(store, config).files
    assert (file.verdict, file.shed, file.shed_reasons) == ("complete", 60, ("sampled",))


def test_bytes_that_were_shed_and_stored_are_a_duplicate(
    store: ClickHouseStore, config: StoreConfig
) -> None:
    rows(store, 1, (0, 60))
    note(store, tables.SHED, file_id=1, reason="sampled", rows=2, bytes=60, low=40, high=100)
    end(store, 1, 100)
    assert verdict(store, config) == "duplicate"


def test_a_file_of_which_every_line_was_shed_is_open(
    store: ClickHouseStore, config: StoreConfig
) -> None:
    note(store, tables.SHED, file_id=1, reason="excluded", rows=9, bytes=90, high=90, pod="p")
    (file,) = judge(store, config).files
    assert (file.verdict, file.expected, file.pod) == ("open", 90, "p")


def test_open_until_its_end_is_known(store: ClickHouseStore, config: StoreConfig) -> None:
    rows(store, 1, (0, 40), (40, 60))
    assert verdict(store, config) == "open"


@pytest.mark.parametrize("missing", [((0, 40),), ((40, 60),), ((0, 40), (90, 10))])
def test_a_hole_anywhere_is_unexplained(
    store: ClickHouseStore, config: StoreConfig, missing: tuple[tuple[int, int], ...]
) -> None:
    rows(store, 1, *missing)
    end(store, 1, 100)
    account = judge(store, config)
    assert account.files[0].verdict == "unexplained"
    assert account.files[0].unexplained == 100 - sum(n for _, n in missing)
    assert account.bad


def test_a_hole_in_an_open_file_is_unexplained(store: ClickHouseStore, config: StoreConfig) -> None:
    rows(store, 1, (0, 40), (50, 10))
    assert verdict(store, config) == "unexplained"


def test_a_repeat_cannot_hide_behind_a_hole(store: ClickHouseStore, config: StoreConfig) -> None:
    rows(store, 1, (0, 50), (0, 50))
    end(store, 1, 100)
    account = judge(store, config)
    assert account.files[0].verdict == "duplicate"
    assert account.summary()["duplicates"] == 1


def test_overlapping_rows_are_duplicates(store: ClickHouseStore, config: StoreConfig) -> None:
    rows(store, 1, (0, 60), (50, 50))
    end(store, 1, 100)
    assert verdict(store, config) == "duplicate"


def test_interleaved_parts_add_up(store: ClickHouseStore, config: StoreConfig) -> None:
    # stdout P [0,40), stderr [40,60), stdout F [60,100)
    rows(store, 1, (0, 80, 20), (40, 20))
    assert verdict(store, config) == "open"
    end(store, 1, 100)
    assert verdict(store, config) == "complete"


def test_gaps_explain_once_however_often_they_are_told(
    store: ClickHouseStore, config: StoreConfig
) -> None:
    rows(store, 1, (0, 40), (90, 10))
    gap(store, 1, 40, 80, "deleted")
    gap(store, 1, 60, 90, "rotated-away")
    gap(store, 1, 40, 90, "deleted")
    end(store, 1, 100)
    (file,) = judge(store, config).files
    assert (file.verdict, file.explained) == ("gaps", 50)
    assert set(file.reasons) >= {"deleted"}


def test_a_gap_that_was_stored_after_all_explains_nothing_more(
    store: ClickHouseStore, config: StoreConfig
) -> None:
    rows(store, 1, (0, 40), (40, 30))
    gap(store, 1, 40, 90, "deleted")
    end(store, 1, 100)
    (file,) = judge(store, config).files
    assert (file.explained, file.unexplained) == (20, 10)


def test_dead_letters_explain_until_they_are_put_back(
    store: ClickHouseStore, config: StoreConfig
) -> None:
    rows(store, 1, (0, 40))
    end(store, 1, 100)
    note(store, tables.DEAD_LETTERS, id="t:0:7", file_id=1, off=40, nbytes=60, reason="x")
    (file,) = judge(store, config).files
    assert (file.verdict, file.reasons) == ("gaps", ("dead-letter:x",))
    rows(store, 1, (40, 60), token="replayed")
    (file,) = judge(store, config).files
    assert file.verdict == "complete"


def test_a_file_that_nothing_came_of(store: ClickHouseStore, config: StoreConfig) -> None:
    end(store, 1, 100)
    gap(store, 2, 0, 50, "deleted")
    end(store, 2, 50)
    end(store, 3, 0)
    verdicts = {f.file[-1]: f.verdict for f in judge(store, config).files}
    assert verdicts == {"1": "unexplained", "2": "gaps", "3": "complete"}


def test_since_leaves_out_files_that_were_quiet(
    store: ClickHouseStore, config: StoreConfig
) -> None:
    rows(store, 1, (0, 40))
    assert len(judge(store, config, since=NOW * 10**9).files) == 1
    assert judge(store, config, since=(NOW + 60) * 10**9).files == ()


def test_many_files_keep_apart(store: ClickHouseStore, config: StoreConfig) -> None:
    for file_id in range(1, 30):
        rows(store, file_id, (0, file_id))
        end(store, file_id, file_id if file_id != 13 else 14)
    summary = judge(store, config).summary()
    assert (summary["files"], summary["complete"], summary["unexplained"]) == (29, 28, 1)
    assert summary["unexplained_bytes"] == 1


def test_a_file_that_vanished_unseen_is_not_called_complete(
    store: ClickHouseStore, config: StoreConfig
) -> None:
    rows(store, 1, (0, 10), (10, 10))
    end(store, 1, 20, exact=0)
    rows(store, 2, (0, 10))
    end(store, 2, 10, exact=0)
    end(store, 2, 10, exact=1)  # seen to its end, whatever a later life of the collector thought
    account = judge(store, config)
    assert [f.verdict for f in account.files] == ["gaps", "complete"]
    summary = account.summary()
    assert (summary["ok"], summary["gaps"], summary["inexact"]) == (True, 1, 1)


def test_why_it_is_not_known_how_much_is_missing(
    store: ClickHouseStore, config: StoreConfig
) -> None:
    """Of a damaged archive, whose rest has no length; of one that was known to be longer; of a
    file whose gap was in the middle and that vanished unseen."""
    for file_id, start, stop in ((1, 10, 10), (2, 10, 30), (3, 10, 20)):
        rows(store, file_id, (0, 10), *([(20, 10)] if file_id == 3 else []))
        gap(store, file_id, start, stop, "unreadable")
        end(store, file_id, 30 if file_id > 1 else 10, exact=0)
    files = judge(store, config).files
    assert [f.inexact for f in files] == [
        "unreadable", "unreadable", "deleted before it was looked at again"
    ]  # fmt: skip
    assert [(f.verdict, f.explained) for f in files] == [("gaps", 0), ("gaps", 20), ("gaps", 10)]


def opening(store: ClickHouseStore, file_id: int, days_ago: int) -> None:
    note(store, tables.FILES, file_id=file_id, event=1, ts=(NOW - days_ago * 86_400) * 1000)


def test_rows_past_the_retention_are_not_missed(
    store: ClickHouseStore, config: StoreConfig
) -> None:
    for file_id, days_ago in ((1, 30), (2, 3)):
        opening(store, file_id, days_ago)
        rows(store, file_id, (600, 40), (640, 60))
        end(store, file_id, 700)
    opening(store, 3, 30)
    end(store, 3, 500)
    found = {f.file[-1]: f for f in judge(store, config).files}
    assert {name: f.verdict for name, f in found.items()} == {
        "1": "expired",
        "2": "unexplained",
        "3": "expired",
    }
    assert [found[name].expired for name in "123"] == [600, 0, 500]


def test_an_old_file_may_still_have_holes(store: ClickHouseStore, config: StoreConfig) -> None:
    opening(store, 1, 30)
    rows(store, 1, (600, 40), (690, 10))
    end(store, 1, 700)
    (file,) = judge(store, config).files
    assert (file.verdict, file.unexplained) == ("unexplained", 50)


def test_rows_that_were_kept_for_a_short_time_are_not_missed(
    store: ClickHouseStore, config: StoreConfig
) -> None:
    """Written four days ago; what is gone without having been short is still missed."""
    old = NOW - 4 * 86_400
    store.command("TRUNCATE TABLE expiring")
    for file_id, kept in ((1, "short"), (2, "")):
        for off, size, retention in ((0, 50, kept), (50, 40, ""), (90, 40, kept)):
            store.command(
                "INSERT INTO logs (ts, file_id, off, nbytes, retention) "
                f"SELECT toDateTime64({old}, 9), {file_id}, {off}, {size}, '{retention}'"
            )
        end(store, file_id, 130)
    store.command("ALTER TABLE logs DELETE WHERE off IN (0, 90) SETTINGS mutations_sync = 1")
    found = {f.file[-1]: f for f in judge(store, config).files}
    assert (found["1"].expired, found["1"].unexplained) == (90, 0)
    assert (found["2"].expired, found["2"].unexplained) == (0, 90)

"""The judge must be able to say no: doctored stores and mirrors."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collectors.logs.identity import file_id
from pipeline.store.protocol import Parameters, Result, Stream
from tests.chaos.account import Outage, Verdict, judge
from tests.chaos.writer import Generation

UID = "0a1b2c3d-0000-4000-8000-000000000001"
LINES = [
    b"2026-11-23T05:00:00.000000001Z stdout F one seq=1\n",
    b"2026-11-23T05:00:00.000000002Z stdout P two seq=2 \n",
    b"2026-11-23T05:00:00.000000003Z stderr F three seq=3\n",
    b"2026-11-23T05:00:00.000000004Z stdout F two's end\n",
]
SIZES = [len(line) for line in LINES]
OFFSETS = [sum(SIZES[:n]) for n in range(len(SIZES) + 1)]
FILE = file_id(UID, "main", 0, LINES[0][:-1])
ROWS: list[tuple[Any, ...]] = [
    (FILE, 0, SIZES[0], "stdout", 0, zlib.crc32(b"one seq=1"), 1, UID),
    (
        FILE,
        OFFSETS[1],
        SIZES[1] + SIZES[3],
        "stdout",
        0,
        zlib.crc32(b"two seq=2 two's end"),
        2,
        UID,
    ),
    (FILE, OFFSETS[2], SIZES[2], "stderr", 0, zlib.crc32(b"three seq=3"), 3, UID),
]
AWAY = Outage(100.0, 110.0, fatal=True)


class Told:
    """A store that answers what it is told."""

    def __init__(self, rows: list[Any], gaps: list[Any], files: list[Any]) -> None:
        self._rows, self._gaps, self._files = rows, gaps, files

    def stream(self, sql: str, parameters: Parameters | None = None) -> Stream:
        return Stream([], [], self._all())

    def query(self, sql: str, parameters: Parameters | None = None) -> Result:
        return Result([], [], self._gaps if "FROM gaps" in sql else self._files)

    def _all(self) -> Iterator[Any]:
        yield from self._rows


def verdict(
    directory: Path,
    rows: list[Any],
    gaps: tuple[Any, ...] = (),
    files: tuple[Any, ...] = (),
    *,
    deleted: float = 0.0,
    outages: tuple[Outage, ...] = (AWAY,),
) -> Verdict:
    (directory / "a.raw").write_bytes(b"".join(LINES))
    generation = Generation(UID, "main", 0, "a.raw", "0.log", 90.0, 95.0, deleted)
    store: Any = Told(rows, list(gaps), list(files))
    return judge(store, [generation], directory, outages)


def test_everything_once_is_fine(tmp_path: Path) -> None:
    assert verdict(tmp_path, ROWS).problems == []


def test_a_row_twice(tmp_path: Path) -> None:
    said = verdict(tmp_path, [*ROWS, ROWS[0]]).problems
    assert any("1 lines twice" in p for p in said)
    assert any("1 sequence numbers twice: [1]" in p for p in said)


def test_another_text(tmp_path: Path) -> None:
    row = (*ROWS[0][:5], 1, *ROWS[0][6:])
    assert any("another text" in p for p in verdict(tmp_path, [row, *ROWS[1:]]).problems)


def test_an_end_that_is_missing_must_be_flagged(tmp_path: Path) -> None:
    first = (FILE, OFFSETS[1], SIZES[1], "stdout", 0, zlib.crc32(b"two seq=2 "), 2, UID)
    rest = (FILE, OFFSETS[3], SIZES[3], "stdout", 0, zlib.crc32(b"two's end"), 0, UID)
    assert any(
        "not flagged" in p for p in verdict(tmp_path, [ROWS[0], first, ROWS[2], rest]).problems
    )


def test_a_loss_without_a_name(tmp_path: Path) -> None:
    assert any("still there" in p for p in verdict(tmp_path, ROWS[:2]).problems)
    assert any("not named" in p for p in verdict(tmp_path, ROWS[:2], deleted=105.0).problems)


def test_a_loss_with_a_name_needs_an_outage(tmp_path: Path) -> None:
    gap = (FILE, OFFSETS[2], OFFSETS[3], 0)
    named = verdict(tmp_path, ROWS[:2], (gap,), deleted=105.0)
    assert (named.problems, named.lost_named, named.named_bytes) == ([], 1, SIZES[2])
    alone = verdict(tmp_path, ROWS[:2], (gap,), deleted=105.0, outages=())
    assert any("while the collector was there" in p for p in alone.problems)
    late = verdict(tmp_path, ROWS[:2], (gap,), deleted=150.0)
    assert any("while the collector was there" in p for p in late.problems)


def test_a_tail_that_nobody_saw(tmp_path: Path) -> None:
    assert (
        verdict(tmp_path, ROWS[:1], (), ((FILE, "end", SIZES[0], 0),), deleted=105.0).lost_tail == 3
    )
    exact = verdict(tmp_path, ROWS[:1], (), ((FILE, "end", SIZES[0], 1),), deleted=105.0)
    assert any("not named" in p for p in exact.problems)


@pytest.mark.parametrize(("pause_s", "explained"), [(0.0, True), (5.0, False)])
def test_two_outages_in_a_row_are_one(tmp_path: Path, pause_s: float, explained: bool) -> None:
    """Seed 301, both buses: a pause, and in the moment of its end an outage. A file that came in
    the first and went in the second was never seen."""
    outages = (Outage(89.0, 94.0, fatal=False), Outage(94.0 + pause_s, 110.0, fatal=True))
    found = verdict(tmp_path, [], deleted=105.0, outages=outages)
    assert any("no trace" in p for p in found.problems) is not explained


def test_a_file_that_nobody_saw(tmp_path: Path) -> None:
    long = (Outage(80.0, 110.0, fatal=True),)
    assert verdict(tmp_path, [], deleted=105.0, outages=long).lost_unseen == 4
    assert any("no trace" in p for p in verdict(tmp_path, [], deleted=105.0).problems)

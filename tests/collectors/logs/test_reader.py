"""Archives are read by offset, in bounded memory."""

import gzip
import os
import random
from pathlib import Path

import pytest

from collectors.logs.reader import Archive, Plain

DATA = b"".join(b"%d %d\n" % (n, n * n) for n in range(60_000))


def archive(path: Path, data: bytes) -> Archive:
    path.write_bytes(data)
    return Archive(os.open(path, os.O_RDONLY))


def read(reader: Archive | Plain, offset: int, length: int) -> bytes:
    buffer = bytearray(length)
    return bytes(buffer[: reader.read(memoryview(buffer), offset)])


@pytest.mark.parametrize("members", [1, 3])
def test_any_offset_forwards_and_backwards(tmp_path: Path, members: int) -> None:
    step = len(DATA) // members + 1
    packed = b"".join(gzip.compress(DATA[i : i + step]) for i in range(0, len(DATA), step))
    reader = archive(tmp_path / "a.gz", packed)
    chance = random.Random(1)
    for _ in range(30):
        offset, length = chance.randrange(len(DATA)), chance.randrange(1, 300_000)
        assert read(reader, offset, length) == DATA[offset : offset + length]
        assert len(reader._data) <= 300_000
    assert read(reader, len(DATA), 10) == b""
    assert reader.finished
    assert not reader.damage
    assert reader.size == len(DATA)
    reader.close()


def test_an_archive_that_waits_holds_no_more_than_is_left_of_what_it_read(tmp_path: Path) -> None:
    """1,500 archives that are new at once held 100 KiB each: first while they waited for their
    turn, then while the broker had not acknowledged them."""
    reader = archive(tmp_path / "a.gz", gzip.compress(DATA) + gzip.compress(b"more\n"))
    assert read(reader, 0, 4096) == DATA[:4096]
    reader.keep_from(0)
    assert (reader._inflate, len(reader._data)) == (None, 0)
    assert reader.size >= 4096, "that there is something to read is not forgotten"
    assert read(reader, 0, 300_000) == DATA[:300_000]
    reader.keep_from(299_000)
    assert len(reader._data) == 1_000
    assert read(reader, 299_000, len(DATA)) == DATA[299_000:] + b"more\n"
    assert read(reader, 299_000, len(DATA)) == DATA[299_000:] + b"more\n"
    reader.keep_from(len(DATA) + 5)
    assert read(reader, len(DATA) + 5, 10) == b""
    assert reader.finished
    assert (reader._inflate, len(reader._data), reader.size) == (None, 0, len(DATA) + 5)
    assert read(reader, 5, 10) == DATA[5:15], "a refused chunk is read again"
    assert not reader.damage
    reader.close()


def test_trailing_zeros_are_no_damage(tmp_path: Path) -> None:
    reader = archive(tmp_path / "a.gz", gzip.compress(b"hello\n") + b"\0" * 512)
    assert read(reader, 0, 100) == b"hello\n"
    assert reader.finished
    assert not reader.damage
    reader.close()


@pytest.mark.parametrize("cut", [0, 5, 12, 1000, -1, -5])
def test_a_torn_archive_gives_what_it_has(tmp_path: Path, cut: int) -> None:
    packed = gzip.compress(DATA)
    reader = archive(tmp_path / "a.gz", packed[:cut])
    found = read(reader, 0, len(DATA))
    assert DATA.startswith(found)
    assert read(reader, len(found), 10) == b""
    assert reader.finished
    assert reader.damage
    assert reader.size >= len(found)
    reader.close()


def test_plain_files_are_read_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"hello")
    reader = Plain(os.open(tmp_path / "a", os.O_RDONLY))
    assert read(reader, 1, 100) == b"ello"
    reader.close()

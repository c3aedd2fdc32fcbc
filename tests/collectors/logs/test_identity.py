"""Identity by content."""

import itertools

import pytest

from collectors.logs.identity import HEAD, detect_format, file_id, first_line, mark

CRI = b'2026-11-23T05:00:00.1+08:00 stderr P {"log":1}\n'


@pytest.mark.parametrize(
    ("head", "complete", "line"),
    [
        (b"", False, None),
        (b"", True, None),
        (b"half", False, None),
        (b"half", True, b"half"),
        (b"one\ntwo", False, b"one"),
        (b"\n", False, b""),
        (b"x" * (HEAD - 1), False, None),
        (b"x" * HEAD, False, b"x" * HEAD),
        (b"x" * HEAD + b"y\n", False, b"x" * HEAD),
    ],
)
def test_first_line(head: bytes, complete: bool, line: bytes | None) -> None:
    assert first_line(head, complete=complete) == line


def test_an_id_depends_on_each_part_and_on_where_they_part() -> None:
    arguments = [
        ("uid", "main", 0, b"line"), ("uid2", "main", 0, b"line"), ("uid", "other", 0, b"line"),
        ("uid", "main", 1, b"line"), ("uid", "main", 0, b"line2"), ("uidm", "ain", 0, b"line"),
    ]  # fmt: skip
    ids = [file_id(*a) for a in arguments] + [file_id(*arguments[0], epoch) for epoch in (1, 2)]
    assert all(a != b for a, b in itertools.combinations(ids, 2))
    assert file_id(*arguments[0], 0) == ids[0]
    assert all(0 <= value < 1 << 64 for value in ids)


def test_an_id_is_written_in_stone() -> None:
    """Positions and tables hold ids: they must not change with a version."""
    assert file_id("uid", "main", 0, b"line") == 14_974_286_358_188_348_014
    assert mark(b"bytes") == "e8b5b900f48084d3"


@pytest.mark.parametrize(
    ("head", "host", "found"),
    [
        (CRI, False, "cri"),
        (b"2026-11-23T05:00:00Z stdout F \n", False, "cri"),
        (b'{"log":"x\\n","stream":"stdout","time":"t"}\n', False, "docker-json"),
        (b'{"stream":"stdout","log":"x\\n"}\n', False, "docker-json"),
        (b"torn garbage\n" + CRI, False, "cri"),
        (b"hello world\n", False, "plain"),
        (CRI, True, "plain"),
    ],
)
def test_formats(head: bytes, host: bool, found: str) -> None:
    assert detect_format(head, host=host) == found

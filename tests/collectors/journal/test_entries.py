"""Entries as lines, and cursors in order."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.journal.entries import (
    MAX_CHARS,
    PART_CHARS,
    compare,
    journald_entry,
    lines_of,
    text_of,
)
from tests.collectors.journal.rig import UNITS, fields, messages


def entry(found: dict, **asked):
    wish = {"units": UNITS, "systemd": True, "kernel": True} | asked
    return journald_entry(found, **wish)


def test_who_said_it() -> None:
    programs = ["kubelet", "containerd", "kernel", "systemd"]
    assert [entry(fields(1, name, "x")).program for name in programs] == programs
    assert entry(fields(1, "cron", "x")) is None
    assert entry(fields(1, "kernel", "x"), kernel=False) is None
    assert entry(fields(1, "systemd", "x"), systemd=False) is None
    said = json.loads(entry(fields(1, "systemd", "Started kubelet.")).data)
    assert (said["unit"], said["pid"]) == ("kubelet.service", 1)
    with pytest.raises(ValueError, match="cursor"):
        entry({"MESSAGE": "x"})


def test_values_as_journalctl_shows_them() -> None:
    assert text_of("x") == "x"
    assert text_of([104, 105, 255]) == "hi\udcff"
    assert text_of(["a", "b"]) == text_of([[97], "b"]) == "a"
    assert text_of(None) == text_of([]) == text_of(7) == ""


@given(st.binary(max_size=200))
def test_any_bytes_are_kept(message: bytes) -> None:
    data = lines_of(text_of(list(message)), ts=1, priority=None, pid=None, unit="")
    (found,) = messages(data)
    assert found.encode("utf-8", "surrogateescape") == message
    assert data.count(b"\n") == 1


def test_long_messages_go_on_in_the_next_line() -> None:
    long = "".join(chr(0x4E00 + i % 1000) for i in range(2 * PART_CHARS + 5))
    data = lines_of(long, ts=1, priority=6, pid=2, unit="u")
    assert data.count(b"\n") == 3
    assert messages(data) == [long]
    (found,) = messages(lines_of("x" * (MAX_CHARS + 1), ts=1, priority=6, pid=2, unit="u"))
    assert found.endswith(f"… ({MAX_CHARS + 1} characters)")
    assert len(found) < MAX_CHARS + 50


def test_the_same_entry_makes_the_same_bytes() -> None:
    assert entry(fields(3, "kubelet", "é")) == entry(fields(3, "kubelet", "é"))


def test_order_of_cursors() -> None:
    def cursor(number: int, **other) -> str:
        return fields(number, "kubelet", "x", **other)["__CURSOR"]

    assert compare(cursor(1), cursor(2)) < 0 < compare(cursor(16), cursor(2))
    assert compare(cursor(2), cursor(2)) == 0
    assert compare(cursor(2, sequence="f"), cursor(3)) < 0, "another sequence: by the boot's clock"
    assert compare(cursor(2, sequence="f", boot=1), cursor(3)) < 0, "another boot: by the time"
    assert compare("odd", cursor(1)) < 0

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.console.output import JsonPrinter, TextPrinter, harmless
from pipeline.contract import tables
from tests.pipeline.console.fake_store import log_row


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def text(out: io.StringIO, *, colour: bool = False, raw: bool = False, **values: object) -> str:
    TextPrinter(out, colour=colour, raw=raw).row(log_row(**values))
    return out.getvalue()


def parsed(**values: object) -> dict[str, object]:
    out = io.StringIO()
    JsonPrinter(out).row(log_row(**values))
    assert out.getvalue().count("\n") == 1
    document: dict[str, object] = json.loads(out.getvalue())
    return document


def test_text_line() -> None:
    assert text(io.StringIO()) == "2026-11-23T05:35:03.371Z shop/web-1 http: hello\n"
    host = text(io.StringIO(), namespace="", pod="", container="kubelet")
    assert host == "2026-11-23T05:35:03.371Z node-a kubelet: hello\n"


def test_context_lines_have_a_dash_and_groups_a_line() -> None:
    out = io.StringIO()
    printer = TextPrinter(out, colour=False, raw=False)
    printer.row(log_row(body="before"), match=False)
    printer.row(log_row(body="found"), match=True)
    printer.separator()
    lines = out.getvalue().splitlines()
    assert lines[0].endswith(" http- before")
    assert lines[1].endswith(" http: found")
    assert lines[2] == "--"


def test_colours_by_level() -> None:
    assert "\x1b[31mhello\x1b[0m" in text(Terminal(), colour=True, level="error")
    assert "\x1b[33mhello\x1b[0m" in text(Terminal(), colour=True, level="warn")
    assert text(Terminal(), colour=True).endswith(" hello\n")
    assert "\x1b" not in text(Terminal(), level="fatal")


def test_a_line_cannot_drive_the_terminal() -> None:
    evil = "a\x1b[2Jb\rc\x9b1md\u202ee\tf\ng"
    assert text(Terminal(), body=evil).endswith(": a\\x1b[2Jb\\x0dc\\x9b1md\\u202ee\tf\ng\n")
    assert text(Terminal(), body=evil, raw=True).endswith(f": {evil}\n")
    assert text(io.StringIO(), body=evil).endswith(f": {evil}\n")  # a pipe gets what was printed


@given(st.text())
def test_harmless_leaves_nothing_that_a_terminal_obeys(body: str) -> None:
    shown = harmless(body)
    assert all(c >= " " or c in "\t\n" for c in shown)
    assert not any("\x7f" <= c <= "\x9f" for c in shown)


def test_bytes_that_are_no_text() -> None:
    assert text(io.StringIO(), body=b"caf\xc3\xa9 \xff").endswith(": café \\xff\n")
    document = parsed(body=b"caf\xc3\xa9 \xff")
    assert document["body"] == "café \\xff"
    assert document["body_base64"] == "Y2Fmw6kg/w=="
    assert "body_base64" not in parsed(body=b"fine")


def test_json_has_the_whole_identity() -> None:
    document = parsed(attrs={"user": "u1", b"k": b"\xff"}, flags=tables.PARTIAL | tables.CLAMPED)
    assert document == {
        "ts": "2026-11-23T05:35:03.371688700Z",
        "namespace": "shop",
        "workload": "Deployment/web",
        "pod": "web-1",
        "pod_uid": "u-1",
        "container": "http",
        "restart": 0,
        "node": "node-a",
        "stream": "stdout",
        "level": "info",
        "body": "hello",
        "trace_id": "",
        "attrs": {"user": "u1", "k": "\\xff"},
        "file_id": "000000000000000a",
        "off": 0,
        "nbytes": 50,
        "kp": 0,
        "ko": 0,
        "enriched": True,
        "flags": ["partial", "clamped"],
    }


def test_a_clamped_time_comes_with_the_original() -> None:
    document = parsed(ts_shift=-3600 * 10**9)
    assert document["ts"] == "2026-11-23T05:35:03.371688700Z"
    assert document["original_ts"] == "2026-11-23T04:35:03.371688700Z"


def test_json_numbers_groups() -> None:
    out = io.StringIO()
    printer = JsonPrinter(out)
    printer.row(log_row(), match=True)
    printer.separator()
    printer.row(log_row(), match=False)
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(d["group"], d["match"]) for d in found] == [(0, True), (1, False)]


@pytest.mark.parametrize("newline", ["\u2028", "\u0085"])
def test_one_object_is_one_line_for_line_readers(newline: str) -> None:
    out = io.StringIO()
    JsonPrinter(out).row(log_row(body=f"a{newline}b"))
    assert len(out.getvalue().splitlines()) == 1

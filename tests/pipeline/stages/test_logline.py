"""Lines of components -> message and fields."""

import json

from hypothesis import given
from hypothesis import strategies as st

from pipeline.stages.logline import MAX_BYTES, read_line


def go_quote(text: str) -> str:
    """As strconv.Quote does for printable text and the usual escapes."""
    plain = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\x00": "\\x00"}
    return '"' + "".join(plain.get(char, char) for char in text) + '"'


TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")) | st.sampled_from("\n\t\x00")
)
# `error` is shown as `err`
KEY = st.from_regex(r"[a-z][A-Za-z]{2,8}", fullmatch=True).filter(lambda key: key != "error")


@given(TEXT.filter(bool), st.dictionaries(KEY, TEXT, max_size=5))
def test_klog_reads_back(message: str, fields: dict[str, str]) -> None:
    pairs = "".join(f" {key}={go_quote(value)}" for key, value in fields.items())
    line = f"E1123 05:51:17.076067   16481 a.go:1] {go_quote(message)}{pairs}"
    found = read_line(line.encode(), host=True)
    assert (found.message, found.fields) == (message, fields)


@given(TEXT.filter(bool), st.dictionaries(KEY, TEXT, max_size=5))
def test_json_reads_back(message: str, fields: dict[str, str]) -> None:
    fields.pop("msg", None), fields.pop("message", None)
    line = json.dumps({"msg": message, **fields})
    found = read_line(line.encode(), host=False)
    assert (found.message, found.fields) == (message, fields)


@given(st.binary(max_size=300))
def test_no_line_raises(body: bytes) -> None:
    for prefix in (b"", b"{", b"time=", b'E1123 05:51:17.076067   16481 a.go:1] "', b"<6>[ 1.2] "):
        read_line(prefix + body, host=True)


def test_forms() -> None:
    line = b'E1123 05:51:17.076067 1 a.go:1] "x" err=<\n pods=["a/b","c/d"] '
    line += b'id={"Type":"c","ID":"1"} n=4 q="" e=>'
    found = read_line(line, host=True)
    assert found.fields == {
        "err": "<", "pods": '["a/b","c/d"]', "id": "c://1", "n": "4", "q": "", "e": ">",
    }  # fmt: skip
    found = read_line(b'time="t" level=error msg="get \\"x\\"" error="e" id=1', host=True)
    assert found.message == 'get "x"'
    assert found.fields == {"time": "t", "level": "error", "err": "e", "id": "1"}
    assert found.text() == 'get "x" time=t level=error err=e id=1'


def test_syslog_is_for_logs_of_the_node() -> None:
    line = b"Jan  4 11:56:31 node-a kernel: [ 1234.567890] nfs: server x OK"
    found = read_line(line, host=True)
    assert (found.program, found.message) == ("kernel", "nfs: server x OK")
    assert read_line(line, host=False).message == line.decode()
    rfc5424ish = b"2026-11-23T05:40:12.123456+08:00 node-a systemd[1]: Started x."
    assert read_line(rfc5424ish, host=True).program == "systemd"
    assert read_line(b"<4>[ 12.5][T17] soft", host=True).message == "soft"


def test_only_the_beginning_is_read() -> None:
    assert len(read_line(b"x" * (2 * MAX_BYTES), host=True).message) == MAX_BYTES
    deep = b'{"msg":' + b"[" * 100_000
    assert read_line(deep, host=False).message.startswith('{"msg":[')

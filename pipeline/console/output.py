"""How log rows look: for people (text) and for programs (one JSON object a line).

Bytes that are not UTF-8 appear as `\\xNN`; in JSON `body_base64` then has them as they were. On a
terminal control characters, escape sequences and characters that reorder text are shown as
`\\xNN` or `\\uNNNN` too, unless raw output is asked for: a log line must not drive the terminal
of the person who reads it.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, TextIO

from pipeline.console.when import rfc3339
from pipeline.contract import tables

_DANGEROUS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_FLAGS = {
    tables.PARTIAL: "partial",
    tables.CLAMPED: "clamped",
    tables.UNPARSED: "unparsed",
    tables.MULTILINE: "multiline",
    tables.CONTINUES: "continues",
}
_STYLES = {
    "trace": "dim",
    "debug": "dim",
    "warn": "yellow",
    "error": "red",
    "fatal": "bold red",
}


class LogRow(NamedTuple):
    """In the order of log_query.SELECT."""

    ts: int
    ts_shift: int
    namespace: str
    workload: str
    pod: str
    pod_uid: str
    container: str
    restart: int
    node: str
    stream: str
    level: str
    body: str | bytes
    trace_id: str
    attrs: Mapping[Any, Any]
    file_id: int
    off: int
    nbytes: int
    kp: int
    ko: int
    enriched: int
    flags: int


class Printer(Protocol):
    """Where rows go. `match` is None outside of --context."""

    def row(self, row: LogRow, match: bool | None = None) -> None: ...

    def separator(self) -> None:
        """Between two groups of context."""


def as_text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")


def harmless(text: str) -> str:
    """Safe to show on a terminal; tab and newline stay."""
    return _DANGEROUS.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def json_text(document: Any) -> str:
    """JSON on one line for every reader of lines, and harmless on a terminal: what would be
    neither is escaped, which changes nothing of the value."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    return _DANGEROUS.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


class JsonPrinter:
    """One object a line; numbers wider than 53 bits as text."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._group = 0

    def row(self, row: LogRow, match: bool | None = None) -> None:
        document: dict[str, Any] = {"ts": rfc3339(row.ts)}
        if row.ts_shift:
            document["original_ts"] = rfc3339(row.ts + row.ts_shift)
        document |= {
            "namespace": row.namespace,
            "workload": row.workload,
            "pod": row.pod,
            "pod_uid": row.pod_uid,
            "container": row.container,
            "restart": row.restart,
            "node": row.node,
            "stream": row.stream,
            "level": row.level,
            "body": as_text(row.body),
        }
        if isinstance(row.body, bytes) and _not_text(row.body):
            document["body_base64"] = base64.b64encode(row.body).decode()
        document |= {
            "trace_id": as_text(row.trace_id),
            "attrs": {as_text(key): as_text(value) for key, value in row.attrs.items()},
            "file_id": f"{row.file_id:016x}",
            "off": row.off,
            "nbytes": row.nbytes,
            "kp": row.kp,
            "ko": row.ko,
            "enriched": bool(row.enriched),
            "flags": [name for bit, name in _FLAGS.items() if row.flags & bit],
        }
        if match is not None:
            document |= {"match": match, "group": self._group}
        self._out.write(json_text(document) + "\n")

    def separator(self) -> None:
        self._group += 1


def _not_text(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


class TextPrinter:
    """`time namespace/pod container: body`; the colon is a dash for lines of context, as grep
    does it."""

    def __init__(self, out: TextIO, *, colour: bool, raw: bool) -> None:
        self._out = out
        self._colour = colour
        self._raw = raw or not (colour or out.isatty())

    def row(self, row: LogRow, match: bool | None = None) -> None:
        body = as_text(row.body)
        if not self._raw:
            body = harmless(body)
        head = f"{rfc3339(row.ts)[:23]}Z {_who(row)}{'-' if match is False else ':'}"
        if self._colour:
            head = self._styled(head, "dim")
            body = self._styled(body, "dim" if match is False else _STYLES.get(row.level, ""))
        self._out.write(f"{head} {body}\n")

    def separator(self) -> None:
        self._out.write(self._styled("--", "dim") + "\n" if self._colour else "--\n")

    def _styled(self, text: str, style: str) -> str:
        from rich.color import ColorSystem
        from rich.style import Style

        if not style:
            return text
        return Style.parse(style).render(text, color_system=ColorSystem.STANDARD)


def _who(row: LogRow) -> str:
    """Files of the node itself have no pod."""
    place = f"{row.namespace}/{row.pod}" if row.pod else row.node
    return f"{place} {row.container}" if row.container else place

"""Fields of bodies in a format that somebody named: regex, klog, nginx. JSON and logfmt need no
work here, because the table extracts them itself (its column `attrs`)."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.logconfig.patterns import compiled
from pipeline.logconfig.spec import Parse
from pipeline.stages.logline import KLOG, MAX_BYTES, read_line

UNPARSED = "kubeledger.unparsed"  # a line that is not in the format that was named
_MOST = 32
_LONGEST = 1024

# nginx http_log_module, format `combined`; more may follow (upstream times and the like).
_COMBINED = (
    r'^(?P<remote_addr>\S+) \S+ (?P<remote_user>\S+) \[(?P<time_local>[^\]]+)\] "'
    r'(?:(?P<method>[A-Z]+) (?P<path>[^" ]*) (?P<protocol>[^"]*)|(?P<request>[^"]*))" '
    r"(?P<status>[0-9]{3}) (?P<body_bytes_sent>[0-9]+|-)"
    r'(?: "(?P<http_referer>[^"]*)" "(?P<http_user_agent>[^"]*)")?'
)
_LEVELS = {"I": "info", "W": "warn", "E": "error", "F": "fatal"}
Parser = Callable[[bytes], Mapping[str, str] | None]


def parser_of(wish: Parse | None) -> Parser | None:
    """None: there is nothing to do. A parser gives None for a line that is not in its format."""
    match wish.format if wish is not None else "none":
        case "regex" | "nginx":
            pattern = _COMBINED if wish is None or wish.pattern is None else wish.pattern
            return _by_groups(compiled(pattern))
        case "klog":
            return _klog
        case "json":
            return lambda body: {} if body.lstrip()[:1] == b"{" else None
        case "logfmt":
            return lambda body: {} if b"=" in body[:1024] else None
    return None


def _by_groups(pattern: Any) -> Parser:
    names = dict(pattern.groupindex)

    def parse(body: bytes) -> Mapping[str, str] | None:
        found = pattern.search(body)
        if found is None:
            return None
        groups = {name: found.group(number) for name, number in names.items()}
        return {_text(n): _text(value) for n, value in groups.items() if value not in (None, b"-")}

    return parse


def _klog(body: bytes) -> Mapping[str, str] | None:
    level = _LEVELS.get(_text(body[:1]))
    if level is None or not KLOG.match(_text(body[:MAX_BYTES])):
        return None
    line = read_line(body, host=False)
    return {"level": level, "msg": line.message, **line.fields}


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def as_json(fields: Mapping[str, str]) -> bytes:
    """For the table's column `fields`: bounded, as its `attrs` are."""
    kept = {name[:256]: value[:_LONGEST] for name, value in list(fields.items())[:_MOST]}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")

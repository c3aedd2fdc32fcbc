"""What a component's log line says, whatever form it is written in: a message and named fields.

  klog text <= 1.20   E0314 11:10:13.909915 1105457 generic.go:205] GenericPLEG: Unable to …: err
  klog structured     E1123 05:51:17.076067 16481 generic.go:455] "PLEG: Write status" err="…" k=v
  klog JSON           {"ts":1753121294157.29,"caller":"…","msg":"…","err":"…","pod":{"name":…}}
  logrus text, JSON   time="2026-11-23T05:45:07Z" level=error msg="…" error="…"
  anything else       the line is the message

In front of these there may be what syslog puts there (`Jan  4 11:56:31 host kubelet[1]: `) and,
from the kernel, its own time (`[  123.456789] `). Quoted values are unescaped; values that are
objects stay JSON, but a reference to a Kubernetes object becomes `namespace/name`, and the
kubelet's name of a container `containerd://ID`.

Pure and total: no line raises, and no more than `MAX_BYTES` of one are looked at.
Sources: k8s.io/klog v2 (klog.go, internal/serialize), k8s.io/component-base/logs/json,
sirupsen/logrus text_formatter.go, RFC 3164.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.contract.documents import read_json

MAX_BYTES = 16 * 1024
_MAX_FIELDS = 32

_SYSLOG = re.compile(
    r"(?:<\d{1,3}>)?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S+) "
    r"\S+ ([^\s:\[\]]+)(?:\[\d+\])?: ?"
)
_KERNEL = re.compile(r"(?:<\d{1,3}>)?\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ")
KLOG = re.compile(r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ [^\]]*\] ?")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_PAIR = re.compile(r'([A-Za-z_][\w./-]*)=("(?:[^"\\]|\\.)*"|[^\s]*)')
_ESCAPE = re.compile(r'\\(?:([abfnrtv\\"\'])|x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))')
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_SAME = {"error": "err"}  # logrus and klog name it differently

_JSON = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class LogLine:
    """`program` is what syslog says who wrote it, or empty."""

    program: str
    message: str
    fields: Mapping[str, str]

    def text(self) -> str:
        """All of it, unescaped: `message key=value …`."""
        return " ".join([self.message, *(f"{key}={value}" for key, value in self.fields.items())])


def read_line(body: bytes, *, host: bool) -> LogLine:
    """`host`: a log of the node, which may have come through syslog or from the kernel."""
    text = body[:MAX_BYTES].decode("utf-8", "replace")
    program = ""
    if host:
        if found := _SYSLOG.match(text):
            program = found.group(1)
            text = text[found.end() :]
        if found := _KERNEL.match(text):
            text = text[found.end() :]
    message, fields = _read(text)
    return LogLine(program, message, fields)


def _read(text: str) -> tuple[str, dict[str, str]]:
    if text.startswith("{"):
        return _object(text)
    if found := KLOG.match(text):
        rest = text[found.end() :]
        quoted = _QUOTED.match(rest)
        if quoted is None:
            return rest, {}
        return _unescaped(quoted.group(1)), dict(_pairs(rest, quoted.end()))
    if text.startswith(("time=", "level=", "ts=")):
        fields = dict(_pairs(text, 0))
        message = fields.pop("msg", None)
        return (text, fields) if message is None else (message, fields)
    return text, {}


def _object(text: str) -> tuple[str, dict[str, str]]:
    try:
        document = read_json(text)
    except ValueError:
        return text, {}
    if not isinstance(document, dict):
        return text, {}
    message = document.pop("msg", document.pop("message", None))
    fields: dict[str, str] = {}
    for key, value in list(document.items())[:_MAX_FIELDS]:
        fields.setdefault(_SAME.get(str(key), str(key)), _shown(value))
    return (text if message is None else str(message)), fields


def _pairs(text: str, place: int) -> Iterator[tuple[str, str]]:
    """key=value … until the end; what is in between is skipped."""
    for _ in range(_MAX_FIELDS):
        found = _PAIR.search(text, place)
        if found is None:
            return
        key, value = found.groups()
        place = found.end()
        if value.startswith('"'):
            value = _unescaped(value[1:-1])
        elif value[:1] in ("{", "["):
            value, place = _embedded(text, found.start(2), found.end(2))
        yield _SAME.get(key, key), value


def _embedded(text: str, start: int, end: int) -> tuple[str, int]:
    """A value that is JSON may hold spaces; anything else ends at the first one."""
    try:
        value, stop = _JSON.raw_decode(text, start)
    except (ValueError, RecursionError):
        return text[start:end], end
    return _shown(value), stop


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and value.keys() <= {"name", "namespace"} and "name" in value:
        return "/".join(filter(None, (str(value.get("namespace") or ""), str(value["name"]))))
    if isinstance(value, dict) and value.keys() == {"Type", "ID"}:
        return f"{value['Type']}://{value['ID']}"
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _unescaped(text: str) -> str:
    """The inside of a string as Go quotes it (strconv.Quote)."""
    return _ESCAPE.sub(_meant, text) if "\\" in text else text


def _meant(found: re.Match[str]) -> str:
    simple, *codes = found.groups()
    if simple is not None:
        return _SIMPLE.get(simple, simple)
    code = int(next(filter(None, codes)), 16)
    return chr(code) if code < 0x110000 else "\ufffd"
